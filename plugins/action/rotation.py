# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``rotation``: which keys can be made anew. Documented in plugins/modules/rotation.py."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.secrets import declare, rotatable
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.planning import ROTATED_AT
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.rotatable import Rotatable, RotationError
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction


class ActionModule(PlatformAction):
    """Lists what can be rotated, and says what words mean; changes nothing."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "plan": {"type": "list", "elements": "dict", "required": True},
        "rotate": {"type": "list", "elements": "str", "default": []},
        "show": {"type": "bool", "default": False},
    }
    EXPECTED = (RotationError,)

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Reads the plans, and from the cluster when each key was rotated last."""
        entries = json.loads(json.dumps(args["plan"]))
        entries = [json.loads(entry["packed"]) if "packed" in entry else entry for entry in entries]
        plan = [(entry["component"], {"namespace": entry.get("namespace"), **spec}) for entry in entries for spec in entry.get("secrets") or []]
        known = rotatable.listed(plan, lambda name: self.variable(variables, name, "") not in (None, ""))
        wanted = rotatable.expand(args["rotate"], known, rotatable.declared(plan))
        self._refuse(wanted, plan, variables)
        rotated = _rotated(self.connect(args), known)
        if args["show"]:
            for line in rotatable.table(known, rotated).splitlines():
                self.say(line)
        if wanted:
            self.say(f"made anew, with everything that follows from them: {', '.join(wanted)}")
            others = [entry for entry in known if entry.by_name and entry.ref not in wanted]
            if rotatable.ALL in args["rotate"] and others:
                self.say(f"left as they are, since they are rotated only by their names: {', '.join(entry.ref for entry in others)}")
        return {"changed": False, "rotate": wanted, "rotatable": [{**entry._asdict(), "rotated": rotated.get(entry.ref, "")} for entry in known]}

    def _refuse(self, wanted: list[str], plan: list[tuple[str, dict[str, t.Any]]], variables: dict[str, t.Any]) -> None:
        """Fails for what is declared and cannot be rotated, in the words of the reader of declarations."""
        declarations, _problems = declare.declarations([self._with_given(spec, variables) for _component, spec in plan])
        _refs, problems = declare.rotations(wanted, declarations, strict=True)
        if problems:
            raise RotationError("; ".join(problems))

    def _with_given(self, spec: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Marks what the inventory gives; its value is not needed to see that."""
        data = {}
        for key, entry in (spec.get("data") or {}).items():
            plain = {name: value for name, value in entry.items() if name != "variable"}
            if entry.get("variable") and self.variable(variables, entry["variable"], "") not in (None, ""):
                plain["value"] = "given"
            data[key] = plain
        return {**spec, "data": data}


def _rotated(cluster: Cluster, known: list[Rotatable]) -> dict[str, str]:
    """Returns by reference when it was rotated last."""
    found = {}
    for namespace, name in dict.fromkeys(tuple(entry.ref.split("/")[:2]) for entry in known):
        live = cluster.get("v1", "Secret", name, namespace) or {}
        try:
            notes = json.loads(((live.get("metadata") or {}).get("annotations") or {}).get(ROTATED_AT, "{}"))
        except ValueError:
            notes = {}
        found.update({f"{namespace}/{name}/{key}": str(when) for key, when in notes.items()})
    return found
