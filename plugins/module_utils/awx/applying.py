# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a controller to the data: creates what is missing, changes what differs, leaves everything else alone."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.awx.controller import Controller
from ansible_collections.openmlops.platform.plugins.module_utils.awx.data import AwxError, Data
from ansible_collections.openmlops.platform.plugins.module_utils.awx.schema import KINDS, LINKS, Kind

_QUESTION_KEYS = ("question_name", "question_description", "variable", "type", "required", "default", "min", "max")
# What is to be made in check mode has no number yet.
_UNMADE = -1


class Applier:
    """One run. ``changes`` are sentences; in check mode they say what would be done."""

    def __init__(self, controller: Controller, check: bool) -> None:
        self._controller, self._check = controller, check
        self.changes: list[str] = []
        self._ids: dict[tuple[str, str], int] = {}

    def apply(self, data: Data) -> None:
        """Brings everything to the data, in an order in which it can be made."""
        for kind in KINDS:
            for entry in data.get(kind.list_name, []):
                self._object(kind, entry)

    def _object(self, kind: Kind, entry: dict[str, t.Any]) -> None:
        wanted = {field: _sent(field, value) for field, value in entry.items() if field in kind.fields}
        for field, other in kind.references.items():
            if field in entry:
                wanted[field] = self._ids[other, entry[field]]
        label = f"{kind.endpoint.replace('_', ' ').removesuffix('s')} '{entry['name']}'"
        scope = {kind.scope: wanted[kind.scope]} if kind.scope else {}
        live = None if _UNMADE in scope.values() else self._controller.find(kind.endpoint, name=entry["name"], **scope)
        number = self._ensure(kind.endpoint, label, wanted, live)
        self._ids[kind.list_name, entry["name"]] = number
        if "survey_spec" in entry:
            self._survey(kind, label, number, entry["survey_spec"])
        if entry.get("credentials"):
            self._credentials(label, number, entry["credentials"])
        if "simplified_workflow_nodes" in entry:
            self._nodes(label, number, entry["simplified_workflow_nodes"])

    def _ensure(self, endpoint: str, label: str, wanted: dict[str, t.Any], live: dict[str, t.Any] | None) -> int:
        if live is None:
            self.changes.append(f"{label} created")
            return _UNMADE if self._check else int(self._controller.ask("POST", endpoint, wanted)["id"])
        different = {field: value for field, value in wanted.items() if not _same(field, live.get(field), value)}
        if different:
            self.changes.append(f"{label} changed: {', '.join(sorted(different))}")
            if not self._check:
                self._controller.ask("PATCH", f"{endpoint}/{live['id']}", different)
        return int(live["id"])

    def _survey(self, kind: Kind, label: str, number: int, survey: dict[str, t.Any]) -> None:
        path = f"{kind.endpoint}/{number}/survey_spec"
        live = {} if number == _UNMADE else self._controller.ask("GET", path) or {}
        if _questions(live) != _questions(survey):
            self.changes.append(f"survey of {label} changed")
            if not self._check:
                self._controller.ask("POST", path, survey)

    def _credentials(self, label: str, number: int, names: list[str]) -> None:
        path = f"job_templates/{number}/credentials"
        there = set() if number == _UNMADE else {entry["id"] for entry in self._controller.related(path)}
        for name in names:
            found = self._controller.find("credentials", name=name)
            if found is None:
                raise AwxError(f"there is no credential '{name}': make it in the controller, of the type OpenMLOps kubeconfig or "
                               "OpenMLOps Google key")
            if found["id"] not in there:
                self.changes.append(f"{label} gets credential '{name}'")
                if not self._check:
                    self._controller.ask("POST", path, {"id": found["id"]})

    def _nodes(self, label: str, number: int, nodes: list[dict[str, t.Any]]) -> None:
        listed = [] if number == _UNMADE else self._controller.related(f"workflow_job_templates/{number}/workflow_nodes")
        live = {str(entry["identifier"]): entry for entry in listed}
        ids: dict[str, int] = {}
        for node in nodes:
            name = node["identifier"]
            wanted: dict[str, t.Any] = {"identifier": name, "workflow_job_template": number}
            if "unified_job_template" in node:
                wanted["unified_job_template"] = self._ids["controller_templates", node["unified_job_template"]]
            ids[name] = self._ensure("workflow_job_template_nodes", f"{label}, node {name}", wanted, live.get(name))
            if "approval_node" in node:
                self._approval(label, ids[name], live.get(name), node["approval_node"])
        for name in sorted(set(live) - set(ids)):
            self.changes.append(f"{label}, node {name} removed")
            if not self._check:
                self._controller.ask("DELETE", f"workflow_job_template_nodes/{live[name]['id']}")
        for node in nodes:
            for link in LINKS:
                self._links(label, node, link, ids)

    def _approval(self, label: str, node: int, live: dict[str, t.Any] | None, wanted: dict[str, t.Any]) -> None:
        summary = ((live or {}).get("summary_fields") or {}).get("unified_job_template") or {}
        if summary.get("unified_job_type") == "workflow_approval":
            found = self._controller.ask("GET", f"workflow_approval_templates/{summary['id']}")
            self._ensure("workflow_approval_templates", f"approval of {label}", wanted, found)
            return
        self.changes.append(f"approval of {label} created")
        if not self._check:
            self._controller.ask("POST", f"workflow_job_template_nodes/{node}/create_approval_template", wanted)

    def _links(self, label: str, node: dict[str, t.Any], link: str, ids: dict[str, int]) -> None:
        own, wanted = ids[node["identifier"]], {ids[name]: name for name in node.get(link) or []}
        path = f"workflow_job_template_nodes/{own}/{link}"
        there = set() if own == _UNMADE else {entry["id"] for entry in self._controller.related(path)}
        for number, name in wanted.items():
            if number not in there or number == _UNMADE:
                self.changes.append(f"{label}: {node['identifier']} leads to {name} ({link})")
                if not self._check:
                    self._controller.ask("POST", path, {"id": number})
        for number in there - set(wanted):
            self.changes.append(f"{label}: {node['identifier']} no longer leads to node {number} ({link})")
            if not self._check:
                self._controller.ask("POST", path, {"id": number, "disassociate": True})


def _sent(field: str, value: t.Any) -> t.Any:
    """Returns a field as the API takes it: variables of a template are text."""
    return json.dumps(value, sort_keys=True) if field == "extra_vars" else value


def _same(field: str, live: t.Any, wanted: t.Any) -> bool:
    """Tells whether a field is as wanted."""
    if field == "extra_vars" and live:
        try:
            return json.loads(live) == json.loads(wanted)
        except ValueError:
            return False  # somebody wrote YAML
    return live == wanted


def _questions(survey: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Returns a survey's questions in comparable form: choices come back as a list or as lines."""
    found = []
    for entry in survey.get("spec") or []:
        choices = entry.get("choices") or []
        found.append({**{key: entry.get(key) for key in _QUESTION_KEYS},
                      "choices": choices.split("\n") if isinstance(choices, str) else list(choices)})
    return found
