# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``leftovers``: what of the platform is still on a cluster. Documented in plugins/modules/leftovers.py."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail

from ansible_collections.openmlops.platform.plugins.module_utils.leftovers import looking, traces
from ansible_collections.openmlops.platform.plugins.module_utils.leftovers.traces import Snapshot
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction


class ActionModule(PlatformAction):
    """Reads what there is before a removal, and looks for it afterwards."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "state": {"type": "str", "choices": ["before", "after"], "required": True},
        "snapshot": {"type": "dict", "default": {}},
        "purge": {"type": "bool", "default": False},
        "timeout": {"type": "float", "default": 60.0},
        "dest": {"type": "path"},
        "show": {"type": "bool", "default": False},
        "fail": {"type": "bool", "default": True},
    }

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Returns the snapshot, or what is left of it."""
        space = str(self.variable(variables, "platform_namespace", "openmlops"))
        cluster = self.connect(args)
        if args["state"] == "before":
            return {"changed": False, "snapshot": dataclasses.asdict(looking.snapshot(cluster, space))}
        before = Snapshot(**args["snapshot"])
        left, closed = looking.left(cluster, before, space, args["purge"], 0.0 if self.check else args["timeout"])
        document = {"leftovers": [{**entry._asdict(), "command": entry.command} for entry in left], "not_looked_at": closed}
        if args["dest"]:
            Path(args["dest"]).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        if args["show"]:
            for line in traces.table(left).splitlines():
                self.say(line)
            if closed:
                self.say(f"not looked at, since the account may not list them: {', '.join(closed)}")
        stray = [entry for entry in left if not entry.kept]
        if args["fail"] and stray and not self.check:
            raise AnsibleActionFail(f"{len(stray)} objects of the platform are left behind: "
                                    + "; ".join(f"{entry.command} ({entry.why})" for entry in stray))
        return {"changed": False, **document}
