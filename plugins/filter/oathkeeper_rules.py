# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter on the service catalogue. Documented in oathkeeper_rules.yml."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError


def oathkeeper_rules(
    services: t.Any, hostname: str, login_url: str, check_url: str | None = None, access_rules: t.Any = None, complete: bool = True,
) -> t.Any:
    """Returns the Oathkeeper rules of the services."""
    try:
        return rules(services, hostname, login_url, check_url, access_rules, complete)
    except AccessError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Returns the filters by name."""
        return {"oathkeeper_rules": oathkeeper_rules}
