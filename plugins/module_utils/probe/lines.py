# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service catalogue intends: one line for each service, method and visitor. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access.services import METHODS

# The decisions that there are.
ALLOWED, LOGIN, FORBIDDEN, UNKNOWN = "allowed", "login needed", "forbidden", "no rule"

# The visitors that there always are; the others are members of one group each.
NOBODY, USER, MACHINE = "nobody", "user", "machine"

_SEGMENT = "openmlops-probe"

Entry = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Line:
    """One request that is judged.

    Attributes:
        service: name of the catalogue's entry.
        host: name that the request goes to, without a port.
        path: below the service's prefix, and below no other's.
        who: nobody, user, machine, or "member of <group>".
        intended: the decision that the catalogue means.
        routed: whether a gateway has a way there; what nobody may enter needs none.
    """

    service: str
    host: str
    path: str
    method: str
    who: str
    intended: str
    routed: bool = True


def member(group: str) -> str:
    """Returns the visitor who belongs to this group and to no other."""
    return f"member of {group}"


def groups(entries: list[Entry]) -> list[str]:
    """Returns the groups that any service names, sorted."""
    return sorted({group for entry in entries if isinstance(entry["allow"], list) for group in entry["allow"]})


def lines(entries: list[Entry]) -> list[Line]:
    """Returns every line, by service, method and visitor.

    Each service is visited by nobody, a user in no group, a machine in no group, a member of each group that it names, and
    a member of one that it does not name, when there is one.

    Args:
        entries: of services.normalise().
    """
    known = groups(entries)
    found = []
    for number, entry in enumerate(sorted(entries, key=lambda one: one["name"])):
        path = _path(entry, entries)
        for method in METHODS:
            found += [Line(entry["name"], entry["host"], path, method, who, intended(entry, method, who), entry["allow"] != "nobody")
                      for who in _visitors(entry, known, number)]
    return found


def intended(entry: Entry, method: str, who: str) -> str:
    """Returns the decision on a request of a visitor to a service."""
    if method not in entry["methods"]:
        return UNKNOWN
    allow = entry["allow"]
    if allow in ("public", "nobody"):
        return ALLOWED if allow == "public" else FORBIDDEN
    if who == NOBODY:
        return LOGIN
    return ALLOWED if allow == "authenticated" or who in map(member, allow) else FORBIDDEN


def _visitors(entry: Entry, known: list[str], number: int) -> list[str]:
    named = entry["allow"] if isinstance(entry["allow"], list) else []
    others = [group for group in known if group not in named]
    # Another one for each service, so that together they meet all.
    stranger = [others[number % len(others)]] if others else []
    return [NOBODY, USER, MACHINE, *(member(group) for group in [*named, *stranger])]


def _path(entry: Entry, entries: list[Entry]) -> str:
    """Returns a path of the service that belongs to no service below it."""
    taken = {one["prefix"] for one in entries if one["host"] == entry["host"]}
    number, path = 0, f"{entry['prefix']}/{_SEGMENT}"
    while path in taken:
        number += 1
        path = f"{entry['prefix']}/{_SEGMENT}-{number}"
    return path
