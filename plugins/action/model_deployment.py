# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``model_deployment``: a model answers, a share of it, or no more. Documented in plugins/modules/model_deployment.py."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.serving.client import deploy
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.request import FRAMEWORKS, PROTOCOLS, STATES
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import ENGINES
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction


class ActionModule(PlatformAction):
    """Brings one model to the state asked for."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str"},
        "engine": {"type": "str", "choices": list(ENGINES)},
        "model_uri": {"type": "str"},
        "framework": {"type": "str", "choices": list(FRAMEWORKS)},
        "protocol": {"type": "str", "choices": list(PROTOCOLS)},
        "replicas": {"type": "int", "default": 1},
        "resources": {"type": "dict", "default": {}},
        "env": {"type": "dict", "default": {}},
        "traffic": {"type": "int", "default": 100},
        "shadow": {"type": "bool", "default": False},
        "state": {"type": "str", "choices": list(STATES), "default": "present"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "float", "default": 600.0},
    }
    CONSTRAINTS: t.ClassVar[dict[str, t.Any]] = {"required_if": [("state", "present", ["model_uri"])]}
    EXPECTED = (ModelError,)

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does what the task asks for."""
        plain = json.loads(json.dumps({name: args[name] for name in self.ARGUMENTS}))  # without Ansible's tags
        home = str(self.variable(variables, "models_namespace", "") or "models")
        result = deploy(self.connect(args), plain, inside=False, say=self.say, check=self.check, home=home)
        if not self._task.diff:
            result.pop("diff", None)
        return result
