# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``demo``: the story of examples/story on the running platform. Documented in plugins/modules/demo.py."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.demo.asking import DemoError
from ansible_collections.openmlops.platform.plugins.module_utils.demo.running import Demo
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction

_ROOT = Path(__file__).resolve().parents[2]


class ActionModule(PlatformAction):
    """Shows the way from data to a model that answers."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "data": {"type": "path"},
        "machine": {"type": "str", "default": "demo"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    EXPECTED = (DemoError,)

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Shows it, or takes it away."""
        if self.check:
            return {"changed": False, "skipped": True, "skip_reason": "a demonstration trains and deploys models, so it does nothing in check mode"}
        demo = Demo(
            self.connect(args), _ROOT / "examples" / "story", Path(args["data"]) if args["data"] else None, self.say,
            space=str(self.variable(variables, "platform_namespace", "openmlops")), models=str(self.variable(variables, "models_namespace", "models")),
            ory=str(self.variable(variables, "ory_namespace", "ory")), machine=args["machine"],
        )
        if args["state"] == "absent":
            return {"changed": demo.absent()}
        return {"changed": True, "demo": demo.run()}
