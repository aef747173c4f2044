# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of openmlops.platform.build; its documentation is in plugins/modules/build.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.inputs import cache_dir
from ansible_collections.openmlops.platform.plugins.plugin_utils.worker import end_with_playbook

COLLECTION = Path(__file__).resolve().parents[2]
ARGUMENTS = {
    "artifacts": {"type": "list", "elements": "str", "required": True},
    "cache_dir": {"type": "path"},
    "workers": {"type": "int", "default": 2},
    "root": {"type": "path"},
}


class ActionModule(ActionBase):
    """Builds what is missing of the artifacts that the task names."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task and return its result."""
        result = super().run(tmp, task_vars)
        end_with_playbook()
        _spec, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        root = Path(args["root"]) if args["root"] else COLLECTION
        cache = Path(args["cache_dir"]) if args["cache_dir"] else cache_dir()
        # Ansible's worker process outlives a playbook that is killed: nobody would wait for what it builds.
        playbook = os.getppid()
        builder = Builder(
            root,
            cache,
            say=Display().display,
            workers=max(1, args["workers"]),
            abandoned=lambda: os.getppid() != playbook,
        )
        try:
            todo = builder.todo(args["artifacts"])
            result.update(changed=bool(todo), todo=todo, cache_dir=str(cache), **builder.results(args["artifacts"]))
            if self._task.check_mode:
                lack = builder.lack(todo)
                result.update(missing_packages=lack.packages, problems=lack.problems, built=[], seconds={})
                return result
            seconds = builder.build(args["artifacts"])
        except BuildError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(built=sorted(seconds), seconds=seconds)
        return result
