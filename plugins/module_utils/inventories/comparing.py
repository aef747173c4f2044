# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two inventories differ in what they say of the platform. No secret value gets out. Pure functions."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import masking

HIDDEN = "(hidden)"


class Setting(t.NamedTuple):
    """What one inventory says of a variable. ``given``: itself; otherwise ``value`` is the role's default."""

    value: t.Any
    given: bool


def differences(
    first: dict[str, Setting], second: dict[str, Setting], secret: t.Container[str]
) -> list[dict[str, str]]:
    """Returns each variable in which the two differ: ``name``, ``first``, ``second``, as texts.

    Args:
        secret: names of variables whose values are hidden; that they differ is told all the same.
    """
    found = []
    for name in sorted({*first, *second}):
        one, two = first.get(name), second.get(name)
        if one is not None and two is not None and one.value == two.value:
            continue
        found.append({"name": name, "first": _told(name, one, secret), "second": _told(name, two, secret)})
    return found


def _told(name: str, setting: Setting | None, secret: t.Container[str]) -> str:
    if setting is None:
        return "(not known)"
    if name in secret:
        text = HIDDEN if setting.value not in (None, "", [], {}) else '""'
    else:
        # The name of the variable tells of its parts too.
        shown = masking.masked_values({name: setting.value})[name]
        text = HIDDEN if shown == masking.HIDDEN else json.dumps(shown, ensure_ascii=False, sort_keys=True, default=str)
    return text if setting.given else f"{text} (default)"


def table(names: tuple[str, str], found: list[dict[str, str]], same: int, width: int = 60) -> str:
    """Returns the differences for people; a long value goes on in lines of its own."""
    lines = [f"{len(found)} variables differ between {names[0]} and {names[1]}, {same} are the same"]
    for entry in found:
        lines.append(entry["name"])
        for label, text in zip(names, (entry["first"], entry["second"]), strict=True):
            lines.append(f"  {label.ljust(max(map(len, names)))}  {text[:width * 4]}{'...' if len(text) > width * 4 else ''}")
    return "\n".join(lines)
