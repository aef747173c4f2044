# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of openmlops.platform.native_cluster; its documentation is in plugins/modules/native_cluster.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import preflight
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.node import Node
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import Settings
from ansible_collections.openmlops.platform.plugins.plugin_utils.worker import end_with_playbook

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "stopped", "absent", "preflight"], "default": "present"},
    "state_dir": {"type": "path", "required": True},
    "binaries": {"type": "dict", "default": {}},
    "sandbox_image": {"type": "str", "default": ""},
    "pod_cidr": {"type": "str", "default": "10.244.0.0/16"},
    "service_cidr": {"type": "str", "default": "10.96.0.0/16"},
    "node_cidr": {"type": "str", "default": ""},
    "node_port_range": {"type": "str", "default": "30000-32767"},
    "max_pods": {"type": "int", "default": 110},
}


class ActionModule(ActionBase):
    """Starts, stops or removes a Kubernetes cluster that runs in namespaces of this machine."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task and return its result."""
        result = super().run(tmp, task_vars)
        end_with_playbook()
        _spec, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        state, base = args.pop("state"), Path(args.pop("state_dir"))
        try:
            node = Node(base, Settings(**args), _say)
            result.update(self._apply(node, state, self._task.check_mode))
        except NodeError as error:
            raise AnsibleActionFail(str(error)) from error
        return result

    @staticmethod
    def _apply(node: Node, state: str, check_mode: bool) -> dict[str, Any]:
        """Bring *node* into *state*, or only say whether that would change anything."""
        if state == "preflight":
            missing = preflight.missing_packages()
            return {"changed": False, "missing_packages": missing, "gateway_address": node.addresses().node}
        if state == "present":
            if "kubernetes" not in node.settings.binaries or not node.settings.sandbox_image:
                raise NodeError("state 'present' needs binaries.kubernetes and sandbox_image.")
            if check_mode:
                return {"changed": node.would_change(), **node.facts()}
            return node.present()
        if check_mode:
            return {"changed": node.exists()}
        return {"changed": node.stopped() if state == "stopped" else node.absent()}


def _say(line: str) -> None:
    """Print one line of progress at once, while the task is still running."""
    Display().display(f"  {line}")
