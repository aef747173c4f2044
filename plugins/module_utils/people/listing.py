# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is there, as people read it and as programs do. Never a password or a token. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import Member
from ansible_collections.openmlops.platform.plugins.module_utils.people.keto import Tuple
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import Identity
from ansible_collections.openmlops.platform.plugins.module_utils.people.running import name_of

Row = dict[str, t.Any]
_COLUMNS = ("name", "schema", "groups", "state", "sessions", "token_expires")


def rows(
    live: dict[str, Identity], sessions: dict[str, list[dict[str, t.Any]]], tuples: set[Tuple], members: list[Member]
) -> list[Row]:
    """Returns everybody in Kratos, sorted by name.

    Args:
        live: identities by what they log in with.
        sessions: active sessions by identity's id.
        tuples: Keto's tuples of the namespace Group; what counts at the gateway, whatever the inventory says.
        members: of declare.members().
    """
    listed = {member.key for member in members}
    found = []
    for key, identity in sorted(live.items()):
        own = sessions.get(identity["id"], [])
        is_machine = identity.get("schema_id") == "machine"
        found.append({
            "name": name_of(identity),
            "schema": str(identity.get("schema_id")),
            "groups": sorted(one[1] for one in tuples if one[0] == "Group" and one[3] == identity["id"]),
            "state": "present" if identity.get("state") == "active" else "disabled",
            "listed": key in listed,
            "sessions": len(own),
            "token_expires": max((str(one["expires_at"])[:19] + "Z" for one in own), default="") if is_machine else "",
        })
    return found


def table(found: list[Row]) -> str:
    """Returns rows as a table."""
    lines = [tuple(name.replace("_", " ").upper() for name in _COLUMNS)]
    lines += [tuple(_cell(row, name) for name in _COLUMNS) for row in found]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def empty_groups(services: list[dict[str, t.Any]], tuples: set[Tuple]) -> dict[str, list[str]]:
    """Returns the groups that services let in and in which nobody is, with the services."""
    full = {one[1] for one in tuples if one[0] == "Group"}
    found: dict[str, list[str]] = {}
    for service in services:
        if isinstance(service["allow"], list):
            for group in service["allow"]:
                if group not in full:
                    found.setdefault(group, []).append(service["name"])
    return found


def _cell(row: Row, name: str) -> str:
    value = row[name]
    if name == "groups":
        return ", ".join(value) or "-"
    if name == "state" and not row["listed"]:
        return f"{value}, not in the inventory"
    return str(value) if value != "" else "-"
