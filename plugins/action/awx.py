# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``awx``: brings an AWX to the data in awx/. Documented in plugins/modules/awx.py."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.openmlops.platform.plugins.module_utils.awx import data
from ansible_collections.openmlops.platform.plugins.module_utils.awx.applying import Applier
from ansible_collections.openmlops.platform.plugins.module_utils.awx.controller import Controller
from ansible_collections.openmlops.platform.plugins.module_utils.awx.data import AwxError
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock

display = Display()


class ActionModule(ActionBase):
    """Creates and changes objects of a controller through its REST API."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Reads the data, checks it whole, and brings the controller to it."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(
            argument_spec={
                "host": {"type": "str", "required": True},
                "token": {"type": "str", "no_log": True},
                "username": {"type": "str"},
                "password": {"type": "str", "no_log": True},
                "validate_certs": {"type": "bool", "default": True},
                "api_prefix": {"type": "str", "default": "/api/v2"},
                "folder": {"type": "path"},
                "values": {"type": "dict", "required": True},
                "credentials": {"type": "list", "elements": "str", "default": []},
                "schedules": {"type": "bool", "default": False},
            },
            required_one_of=[["token", "password"]], required_together=[["username", "password"]],
        )
        try:
            values = {key: str(value) for key, value in args["values"].items()}
            wanted = data.read(Path(args["folder"] or lock.COLLECTION_ROOT / "awx"), values, args["credentials"], args["schedules"])
            applier = Applier(
                Controller(args["host"], args["token"] or "", args["username"] or "", args["password"] or "", args["validate_certs"],
                           args["api_prefix"]),
                bool(self._task.check_mode),
            )
            applier.apply(wanted)
        except AwxError as error:
            raise AnsibleActionFail(str(error)) from None
        for line in applier.changes:
            display.display(f"  {line}")
        return {"changed": bool(applier.changes), "changes": applier.changes}
