# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions ``backup`` and ``restore`` share: settings of the inventory, the run's lock, the passphrase.

FOR INTERNAL COLLECTION USE ONLY: it may change in any release.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.backup import sealing
from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import ApplyError
from ansible_collections.openmlops.platform.plugins.module_utils.converge.lease import Busy, RunLock
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter, WaitError
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction


class BackupAction(PlatformAction):
    """An action on backups."""

    EXPECTED = (ApplyError, BackupError, Busy, OSError, WaitError, sealing.SealError)

    def setting(self, variables: dict[str, t.Any], name: str, default: t.Any) -> t.Any:
        """Returns a variable of the inventory."""
        return self.variable(variables, name, default)

    def space(self, variables: dict[str, t.Any]) -> str:
        """Returns the platform's own namespace."""
        return str(self.setting(variables, "platform_namespace", "openmlops"))

    def lock(self, cluster: Cluster, variables: dict[str, t.Any]) -> RunLock:
        """Returns what keeps other runs away."""
        return RunLock(cluster, self.space(variables), self.say, float(self.setting(variables, "platform_lock_timeout", 600)))

    def waiter(self, cluster: Cluster, variables: dict[str, t.Any], seconds: float) -> Waiter:
        """Returns what waits for Jobs."""
        return Waiter(cluster, self.say, seconds, float(self.setting(variables, "platform_schedule_grace", 300)))

    def passphrase(self, variables: dict[str, t.Any]) -> str:
        """Returns the key of the Secrets, or an empty text when there is none. It never gets into an argument or a result.

        Raises:
            BackupError: when the file cannot be read, or the key is too short.
        """
        found, where = str(self.setting(variables, "backup_passphrase", "") or ""), "backup_passphrase"
        path = str(self.setting(variables, "backup_passphrase_file", "") or "")
        if path and not found:
            where = f"backup_passphrase_file {path}"
            try:
                found = Path(os.path.expanduser(path)).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise BackupError(f"{where} cannot be read: {getattr(error, 'strerror', '') or 'it is no text'}") from None
            if not found:
                raise BackupError(f"{where} is empty")
        if found and len(found) < sealing.SHORTEST:
            raise BackupError(f"{where}: a passphrase must have {sealing.SHORTEST} characters or more")
        if found and sealing.IMPORT_ERROR:
            raise BackupError(f"The Python package cryptography is needed on the controller: {sealing.IMPORT_ERROR}")
        return found
