# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and checks the data in awx/: whole, so that nothing is sent when something is wrong with it. Pure functions."""

from __future__ import annotations

import string
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.awx.schema import BY_LIST, CHOICES, KINDS, LINKS, NODE_KEYS, QUESTION_TYPES

Data = dict[str, list[dict[str, t.Any]]]


class AwxError(Exception):
    """The data is wrong, or the controller refuses it; the message says where, and the cure."""


def read(folder: Path, values: dict[str, str], credentials: list[str], schedules: bool) -> Data:
    """Returns the lists of objects, with surveys and with what is the same for all templates.

    Args:
        values: what stands in for ``$name``.
        credentials: names of credentials that each job gets.
        schedules: whether schedules are switched on.

    Raises:
        AwxError: naming everything that is wrong.
    """
    raw: Data = {}
    found: dict[str, t.Any] = {}
    for path in sorted(folder.glob("*.yml")):
        document = yaml_text.load(path.read_text(encoding="utf-8")) or {}
        found.update(document.pop("awx_surveys", {}))
        for key, entries in document.items():
            raw.setdefault(key, []).extend(entries)
    data: Data = {key: [_filled(entry, values) for entry in entries] for key, entries in raw.items()}
    for entry in data.get("controller_templates", []):
        common = {"job_type": "run", "inventory": values["inventory"], "project": "OpenMLOps platform",
                  "execution_environment": "OpenMLOps platform", "ask_limit_on_launch": True, "credentials": credentials}
        entry.update({**common, **entry})
        _add_survey(entry, found.get(entry["name"]))
    for entry in data.get("controller_workflows", []):
        entry.setdefault("ask_limit_on_launch", True)
        _add_survey(entry, found.get(entry.get("survey_of", "")))
    for entry in data.get("controller_schedules", []):
        entry.setdefault("enabled", schedules)
    wrong = problems(data)
    if wrong:
        raise AwxError("\n".join(wrong))
    return data


def _add_survey(entry: dict[str, t.Any], survey: dict[str, t.Any] | None) -> None:
    entry["survey_enabled"] = survey is not None
    if survey is not None:
        entry["survey_spec"] = survey


def _filled(value: t.Any, values: dict[str, str]) -> t.Any:
    if isinstance(value, dict):
        return {key: _filled(entry, values) for key, entry in value.items()}
    if isinstance(value, list):
        return [_filled(entry, values) for entry in value]
    try:
        return string.Template(value).substitute(values) if isinstance(value, str) and "$" in value else value
    except (KeyError, ValueError) as error:
        raise AwxError(f"awx/: '{value}' names what there is no value for ({error}); there is: {', '.join(sorted(values))}") from None


def problems(data: Data) -> list[str]:
    """Returns what is wrong with the data, a sentence for each."""
    found = [f"awx/: there is no list {name}; there are {', '.join(BY_LIST)}" for name in data if name not in BY_LIST]
    names = {name: {str(entry.get("name")) for entry in entries} for name, entries in data.items()}
    for kind in KINDS:
        seen: set[tuple[str, str]] = set()
        for entry in data.get(kind.list_name, []):
            label = f"{kind.list_name}: {entry.get('name', 'an entry')}"
            if not entry.get("name"):
                found.append(f"{label} has no name")
            key = (str(entry.get("name")), str(entry.get(kind.scope, "")))
            found += [f"{label} is there twice"] if key in seen else []
            seen.add(key)
            for field, value in entry.items():
                found += _field(kind.list_name, label, field, value, names)
            if kind.list_name == "controller_workflows":
                found += _nodes(label, entry.get("simplified_workflow_nodes") or [], names.get("controller_templates", set()))
    return found


def _field(list_name: str, label: str, field: str, value: t.Any, names: dict[str, set[str]]) -> list[str]:
    kind = BY_LIST[list_name]
    if field in kind.references:
        known = names.get(kind.references[field], set())
        return [] if value in known else [f"{label}: {field} is {value}, which is none of {kind.references[field]}"]
    if field == "survey_spec":
        return [f"{label}: {text}" for question in value["spec"] for text in _question(question)]
    if field in kind.extra:
        return []
    if field not in kind.fields:
        return [f"{label}: there is no field {field}"]
    if not isinstance(value, kind.fields[field]):
        return [f"{label}: {field} must be a {kind.fields[field].__name__}"]
    choices = CHOICES.get((list_name, field))
    return [f"{label}: {field} is {value}, not one of {', '.join(choices)}"] if choices and value not in choices else []


def _question(question: dict[str, t.Any]) -> list[str]:
    """Returns what AWX would refuse in a question (awx.api.views, _validate_spec_data)."""
    missing = [key for key in ("type", "question_name", "variable") if not isinstance(question.get(key), str) or not question[key]]
    if missing or not isinstance(question.get("required"), bool):
        return [f"a question lacks {', '.join(missing) or 'required'}"]
    name, kind = question["variable"], question["type"]
    if kind not in QUESTION_TYPES:
        return [f"question {name}: there is no type {kind}"]
    default = question.get("default", "")
    if default != "" and not isinstance(default, QUESTION_TYPES[kind]):
        return [f"question {name}: default must be a {QUESTION_TYPES[kind].__name__}"]
    if kind in ("multiplechoice", "multiselect"):
        if not question.get("choices"):
            return [f"question {name}: there are no choices"]
        if default != "" and default not in question["choices"]:
            return [f"question {name}: default {default} is not among the choices"]
    return []


def _nodes(label: str, nodes: list[dict[str, t.Any]], templates: set[str]) -> list[str]:
    known = {str(node.get("identifier")) for node in nodes}
    found = [] if nodes else [f"{label} has no nodes"]
    for node in nodes:
        name = f"{label}, node {node.get('identifier')}"
        found += [f"{name}: there is no key {key}" for key in sorted(set(node) - NODE_KEYS)]
        if ("unified_job_template" in node) == ("approval_node" in node):
            found.append(f"{name}: needs unified_job_template or approval_node")
        if "unified_job_template" in node and node["unified_job_template"] not in templates:
            found.append(f"{name}: there is no job template {node['unified_job_template']}")
        found += [f"{name}: {link} names {other}, which is no node"
                  for link in LINKS for other in node.get(link) or [] if other not in known]
    return found
