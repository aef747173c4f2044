# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people may see of an object: diffs in which no Secret value ever appears. Pure functions."""

from __future__ import annotations

import copy
import re
import typing as t

import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, comparable, ref

HIDDEN = "<hidden>"
CHANGED = "<hidden, changed>"

# Names under which charts take secrets in their values; references to Secrets (existingSecret, secretName) are no secrets.
_SECRET_NAME = re.compile(r"(passw|token|credential|private.?key|secret.?(key|string|value)$|^secret$|api.?key)", re.IGNORECASE)
_HARMLESS_NAME = re.compile(r"(secretname|existingsecret|secretref|keyref|automount|tokensecret)", re.IGNORECASE)


def masked(obj: Object | None, other: Object | None = None) -> Object | None:
    """Returns a copy of an object without the values of a Secret.

    Args:
        obj: the object to show.
        other: the same object at another time; values that differ from it are marked as changed.
    """
    if obj is None or obj.get("kind") != "Secret":
        return obj
    result = copy.deepcopy(obj)
    for field in ("data", "stringData"):
        if isinstance(result.get(field), dict):
            before = (other or {}).get(field) or {}
            result[field] = {
                key: HIDDEN if other is None or before.get(key) == value else CHANGED
                for key, value in result[field].items()
            }
    return result


def masked_values(value: t.Any, name: str = "") -> t.Any:
    """Returns chart values in which every entry whose name tells of a secret is hidden."""
    if isinstance(value, dict):
        return {key: masked_values(entry, str(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [masked_values(entry, name) for entry in value]
    if value not in (None, "", True, False) and _SECRET_NAME.search(name) and not _HARMLESS_NAME.search(name):
        return HIDDEN
    return value


def diff(before: Object | None, after: Object | None) -> dict[str, str]:
    """Returns one entry for Ansible's ``diff``: the two states as YAML, or empty text where there is none."""
    name = str(ref(after or before or {}))
    old, new = comparable(before), comparable(after)
    return {
        "before_header": name,
        "after_header": name,
        "before": as_yaml(masked(old)) if old else "",
        "after": as_yaml(masked(new, old)) if new else "",
    }


def as_yaml(value: t.Any) -> str:
    """Returns readable YAML."""
    return yaml.safe_dump(value, sort_keys=True, default_flow_style=False, width=120)
