# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surveys from the argument_specs of the roles. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.awx.data import AwxError

_MARKUP = re.compile(r"\b[A-Z]+\(([^)]*)\)")


def surveys(templates: list[dict[str, t.Any]], options: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Returns by job template the survey that its ``survey`` asks for.

    Args:
        options: by variable, its entry in the argument_specs.
    """
    return {
        entry["name"]: {"name": "", "description": "", "spec": [
            question(wanted, options) if isinstance(wanted, str) else completed(wanted) for wanted in entry["survey"]]}
        for entry in templates if entry.get("survey")
    }


def question(name: str, options: dict[str, dict[str, t.Any]]) -> dict[str, t.Any]:
    """Returns the question about a variable, as its argument_specs describe it.

    Raises:
        AwxError: when there is no such variable, or none that a line of text can answer.
    """
    if name not in options:
        raise AwxError(f"awx/job_templates.yml: no role has a variable {name}")
    option = options[name]
    kind = option["type"]
    found: dict[str, t.Any] = {}
    if option.get("choices"):
        found = {"type": "multiplechoice", "choices": [str(choice) for choice in option["choices"]]}
    elif kind == "bool":
        found = {"type": "multiplechoice", "choices": ["true", "false"]}
    elif kind in ("str", "path") or (kind == "list" and option.get("elements") == "str"):
        found = {"type": "password" if option.get("no_log") else "text"}
    elif kind in ("int", "float"):
        found = {"type": {"int": "integer"}.get(kind, kind)}
    else:
        raise AwxError(f"awx/job_templates.yml: {name} is a {kind}, which no question of a survey can ask for")
    description = option["description"]
    text = _MARKUP.sub(r"\1", " ".join(description) if isinstance(description, list) else str(description))
    first, _stop, rest = text.partition(". ")
    more = [rest, "Several with commas between." if kind == "list" else "", "Without an answer, what the inventory says."]
    return completed({"question_name": first.rstrip("."), "question_description": " ".join(filter(None, more)), "variable": name, **found,
                      "required": bool(option.get("required"))})


def completed(given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Returns a question with all keys that AWX expects.

    A default, even an empty one, would reach the job whenever nobody answers, and win over the inventory (awx.main.models.mixins,
    _update_unified_job_kwargs). So there is none, unless the question brings it.
    """
    limits = {"min": 1, "max": 1024} if given["type"] in ("text", "textarea", "password") else {}
    return {"question_name": "", "question_description": "", "variable": "", "type": "", "required": False, **limits, **given}
