# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of openmlops.platform.image_import; its documentation is in plugins/modules/image_import.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import images
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout
from ansible_collections.openmlops.platform.plugins.plugin_utils.worker import end_with_playbook

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state_dir": {"type": "path", "required": True},
    "images": {"type": "dict", "default": {}},
    "archives": {"type": "list", "elements": "path", "default": []},
}


class ActionModule(ActionBase):
    """Brings image archives into a native cluster."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task and return its result."""
        result = super().run(tmp, task_vars)
        end_with_playbook()
        _spec, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        layout = Layout(Path(args["state_dir"]), args["name"])
        try:
            wanted = _wanted(args["images"], args["archives"])
            if self._task.check_mode:
                todo = images.lacking(layout, wanted)
                result.update(changed=bool(todo), imported=todo)
                return result
            imported = images.import_missing(layout, wanted, _say)
        except NodeError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(changed=bool(imported), imported=imported)
        return result


def _wanted(named: dict[str, Any], archives: list[str]) -> dict[str, Path]:
    """Reference to archive of everything that the task names."""
    wanted = {}
    for name, image in named.items():
        if not isinstance(image, dict) or not {"reference", "archive"} <= set(image):
            raise NodeError(f"images.{name} must have the keys reference and archive.")
        wanted[image["reference"]] = Path(image["archive"])
    for archive in archives:
        wanted[images.reference(Path(archive))] = Path(archive)
    return wanted


def _say(line: str) -> None:
    """Print one line of progress at once, while the task is still running."""
    Display().display(f"  {line}")
