# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the rules that Oathkeeper has are those that the service catalogue gives. Pure functions."""

from __future__ import annotations

import json
import typing as t

Rule = dict[str, t.Any]

_PARTS = ("match", "authenticators", "authorizer", "mutators", "errors")


def differences(wanted: list[Rule], found: list[Rule]) -> dict[str, str]:
    """Returns what differs, by id of the rule: "is missing", "is not of the catalogue", or the parts that differ.

    Oathkeeper fills in what a rule leaves out (null, empty text), and so does this.
    """
    told: dict[str, str] = {}
    here = {rule["id"]: rule for rule in found}
    for rule in wanted:
        other = here.pop(rule["id"], None)
        if other is None:
            told[rule["id"]] = "is missing"
            continue
        parts = [part for part in _PARTS if _plain(rule.get(part)) != _plain(other.get(part))]
        if parts:
            told[rule["id"]] = f"differs in {', '.join(parts)}"
    told |= {name: "is not of the catalogue" for name in here}
    if len(found) != len({rule["id"] for rule in found}):
        told["(ids)"] = "some are there twice"
    return dict(sorted(told.items()))


def _plain(value: t.Any) -> str:
    return json.dumps(_without_defaults(value), sort_keys=True)


def _without_defaults(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        cleaned = {key: _without_defaults(one) for key, one in value.items()}
        return {key: one for key, one in cleaned.items() if one not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_without_defaults(one) for one in value]
    return value
