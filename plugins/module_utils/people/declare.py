# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People, machines and groups as the inventory names them. Pure functions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_STATES = ("present", "disabled", "absent")
_USER_KEYS = ("email", "schema", "groups", "state", "password_variable")
_MACHINE_KEYS = ("name", "groups", "state")


class PeopleError(ValueError):
    """What the inventory says of people cannot be used; the message lists every problem, one a line."""


@dataclasses.dataclass(frozen=True)
class Member:
    """Somebody who can log in.

    Attributes:
        key: what they log in with: an e-mail address, or a machine's name.
        schema: Kratos' identity schema: person, admin or machine.
        groups: sorted names.
        state: present, disabled (cannot log in, everything of theirs is kept) or absent (forgotten).
        password_variable: variable of the inventory that holds the first password; "" for a generated one.
    """

    key: str
    schema: str
    groups: tuple[str, ...]
    state: str
    password_variable: str = ""

    @property
    def traits(self) -> dict[str, str]:
        """Returns Kratos' traits."""
        return {"name": self.key} if self.schema == "machine" else {"email": self.key}

    @property
    def secret(self) -> str:
        """Returns the name of the Secret with a person's first password or a machine's token."""
        kind = "machine" if self.schema == "machine" else "user"
        return f"{kind}-{re.sub('[^a-z0-9]+', '-', self.key).strip('-')}"


def members(users: t.Any, machines: t.Any, groups: t.Any) -> list[Member]:
    """Returns everybody, sorted by what they log in with.

    Args:
        users: ``platform_users``: email, schema, groups, state, password_variable.
        machines: ``platform_machines``: name, groups, state.
        groups: ``platform_groups``: name, description; empty: the groups are those that are named elsewhere.

    Raises:
        PeopleError: all problems at once, each naming the variable, the entry and the cure.
    """
    problems: list[str] = []
    known = _groups(groups, problems)
    found = [
        *_read(users, "platform_users", "email", _EMAIL, "must be an e-mail address in lower case", _USER_KEYS, known, problems),
        *_read(machines, "platform_machines", "name", _NAME, "must be lower-case letters, digits and '-', at most 63",
               _MACHINE_KEYS, known, problems),
    ]
    secrets: dict[str, str] = {}
    for member in found:
        other = secrets.setdefault(member.secret, member.key)
        if other != member.key:
            problems.append(f"'{member.key}' and '{other}' would share the Secret {member.secret}; rename one")
    if problems:
        raise PeopleError("\n".join(problems))
    return sorted(found, key=lambda member: member.key)


def rotations(names: t.Any, found: list[Member]) -> set[str]:
    """Returns the machines whose token shall be made anew.

    Args:
        names: ``platform_tokens_rotate``: names of machines.
        found: of members().

    Raises:
        PeopleError: when a name is not that of a machine that may log in.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PeopleError("platform_tokens_rotate: must be a list of machines' names, such as [nightly-training]")
    known = {member.key for member in found if member.schema == "machine" and member.state == "present"}
    lost = sorted(set(names) - known)
    if lost:
        raise PeopleError(
            f"platform_tokens_rotate: {', '.join(lost)}: platform_machines has no such machine with state present "
            f"(known: {', '.join(sorted(known)) or 'none'})"
        )
    return set(names)


def _groups(groups: t.Any, problems: list[str]) -> set[str]:
    if not isinstance(groups, list):
        problems.append("platform_groups: must be a list")
        return set()
    names = set()
    for number, entry in enumerate(groups, start=1):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _NAME.match(name):
            problems.append(f"platform_groups, entry {number}: name must be lower-case letters, digits and '-', at most 63")
        elif name in names:
            problems.append(f"platform_groups, '{name}': is there twice; take one out")
        else:
            names.add(name)
    return names


def _read(
    entries: t.Any, variable: str, key: str, form: re.Pattern[str], told: str, keys: tuple[str, ...], known: set[str],
    problems: list[str],
) -> list[Member]:
    if not isinstance(entries, list):
        problems.append(f"{variable}: must be a list")
        return []
    found: dict[str, Member] = {}
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            problems.append(f"{variable}, entry {number}: must be a mapping with {key}")
            continue
        value = entry.get(key)
        label = f"{variable}, '{value}'" if isinstance(value, str) else f"{variable}, entry {number}"
        before = len(problems)
        problems += [f"{label}: {name}: unknown key; take it out (known: {', '.join(keys)})" for name in sorted(set(entry) - set(keys))]
        if not isinstance(value, str) or not form.match(value):
            problems.append(f"{label}: {key}: {told}")
        elif value in found:
            problems.append(f"{label}: is there twice; take one out")
        groups = entry.get("groups") or []
        if not isinstance(groups, list) or not all(isinstance(group, str) and _NAME.match(group) for group in groups):
            problems.append(f"{label}: groups: must be a list of names of lower-case letters, digits and '-'")
        elif known and set(groups) - known:
            lost = ", ".join(sorted(set(groups) - known))
            problems.append(f"{label}: groups: platform_groups has no {lost}; add it there or take it out here")
        state, schema = entry.get("state", "present"), "machine" if key == "name" else entry.get("schema", "person")
        if state not in _STATES:
            problems.append(f"{label}: state: must be one of {', '.join(_STATES)}")
        if schema not in ("person", "admin", "machine") or (schema == "machine") != (key == "name"):
            problems.append(f"{label}: schema: must be person or admin")
        if len(problems) == before:
            found[value] = Member(value, schema, tuple(sorted(set(groups))), state, str(entry.get("password_variable") or ""))
    return list(found.values())
