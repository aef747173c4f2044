# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people may see of an object: diffs in which no Secret value ever appears. Pure functions."""

from __future__ import annotations

import base64
import copy
import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, comparable, ref
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.redact import WITHHELD, safe_message

HIDDEN = "<hidden>"
CHANGED = "<hidden, changed>"

# Names under which charts take secrets in their values; references to Secrets (existingSecret, secretName) are no secrets.
_SECRET_NAME = re.compile(
    r"(passw|token|credential|private.?key|secrets?$|secret.?(access.?)?(key|string|value)|api.?key)", re.IGNORECASE
)
_HARMLESS_NAME = re.compile(r"(secretname|existing.?secret|secret.?ref|key.?ref|automount|pull.?secrets?$)", re.IGNORECASE)


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
        if result.get(field) and not isinstance(result[field], dict):
            result[field] = HIDDEN
        elif result.get(field):
            before = (other or {}).get(field)
            before = before if isinstance(before, dict) else {}
            result[field] = {
                key: HIDDEN if other is None or before.get(key) == value else CHANGED
                for key, value in result[field].items()
            }
    return result


def without_values(message: str, obj: Object) -> str:
    """Returns the server's message about an object, without it when it may hold a value of the Secret that the object is."""
    if obj.get("kind") != "Secret":
        return message
    plain, encoded = (obj.get(field) or {} for field in ("stringData", "data"))
    if not (isinstance(plain, dict) and isinstance(encoded, dict)):
        return WITHHELD
    if not all(isinstance(value, str) for value in [*plain.values(), *encoded.values()]):
        return f"every value must be a text {WITHHELD}"
    values = [value.encode() for value in [*plain.values(), *encoded.values()]]
    return safe_message(message, [*values, *map(_decoded, encoded.values())], [*ref(obj), *plain, *encoded])


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return b""


def masked_values(value: t.Any, secret: bool = False) -> t.Any:
    """Returns chart values in which everything below a name that tells of a secret is hidden.

    Args:
        secret: whether a name above told so already.
    """
    if isinstance(value, dict):
        # An environment variable: its name is a value, and so tells of the value beside it.
        named = _is_secret(str(value.get("name", ""))) if "value" in value else False
        return {
            key: masked_values(entry, not _HARMLESS_NAME.search(str(key)) and (
                secret or _is_secret(str(key)) or (named and key == "value")))
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [masked_values(entry, secret) for entry in value]
    # A private key is one under any name.
    secret = secret or isinstance(value, str) and "PRIVATE KEY-----" in value
    return HIDDEN if secret and value not in (None, "", True, False) else value


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


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
    return yaml_text.dump(value)
