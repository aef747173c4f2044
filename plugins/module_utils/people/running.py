# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings Kratos' identities and Keto's tuples to what the inventory says."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import Member
from ansible_collections.openmlops.platform.plugins.module_utils.people.keto import Keto, Tuple, entry, membership
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import MARK, Identity, Kratos, ServiceError

# Enough to hide the API server's proxy, few enough for one with two cores; bcrypt costs Kratos 0.2 s a password.
_THREADS = 8


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one: ``action`` is created, updated, disabled, deleted, issued, rotated, prolonged or unchanged."""

    key: str
    action: str
    about: str = ""


def wanted_identity(member: Member) -> Identity:
    """Returns a member in Kratos' form, without credentials."""
    return {
        "schema_id": member.schema,
        "traits": member.traits,
        "state": "active" if member.state == "present" else "inactive",
        "metadata_public": {"groups": list(member.groups)},
        "metadata_admin": dict(MARK),
    }


def wanted_tuples(members: list[Member], services: list[dict[str, t.Any]], ids: dict[str, str]) -> set[Tuple]:
    """Returns the tuples of the members who may log in, and of the services that name groups."""
    found = {membership(group, ids[m.key]) for m in members if m.state == "present" and m.key in ids for group in m.groups}
    return found | {entry(s["name"], group) for s in services if isinstance(s["allow"], list) for group in s["allow"]}


def name_of(found: Identity) -> str:
    """Returns what somebody logs in with. Kratos keeps an address as it was typed, and compares it in lower case."""
    traits = found.get("traits") or {}
    return str(traits.get("email") or traits.get("name") or found["id"]).lower()


class People:
    """Everybody on one platform.

    Args:
        check: change nothing, only find out.
    """

    def __init__(self, kratos: Kratos, keto: Keto, check: bool = False) -> None:
        self._kratos, self._keto, self._check = kratos, keto, check
        self.live = self._look()

    def missing(self, members: list[Member]) -> list[Member]:
        """Returns those that converge() will create."""
        return [m for m in members if m.state != "absent" and (m.key not in self.live or _is_unproved(m, self.live[m.key]))]

    def converge(
        self, members: list[Member], services: list[dict[str, t.Any]], password: t.Callable[[Member], str],
        unlisted: str = "keep",
    ) -> list[Outcome]:
        """Makes identities and tuples as wanted; returns what became of each.

        Args:
            members: of declare.members().
            services: entries of the service catalogue.
            password: returns the first password of a person who is created.
            unlisted: what happens to those that an earlier run made and nobody lists any more: keep or disable.

        Raises:
            ServiceError: when one of them refuses, or somebody who was locked out still has a session or a right.
        """
        before = self.live
        sessions = self._kratos.all_sessions() if any(member.state == "disabled" for member in members) else {}

        def one(member: Member) -> Outcome:
            found = before.get(member.key)
            return self._one(member, found, bool(found and sessions.get(found["id"])), password)

        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            outcomes = list(pool.map(one, members))
        listed = {member.key for member in members}
        outcomes += [self._unlisted(found, unlisted) for key, found in sorted(before.items())
                     if key not in listed and (found.get("metadata_admin") or {}) == MARK]
        if not self._check and any(outcome.action != "unchanged" for outcome in outcomes):
            self.live = self._look()
        locked = {key for key in [outcome.key for outcome in outcomes if outcome.action in ("disabled", "deleted")] if key in before}
        outcomes += self._tuples(members, services, {before[key]["id"] for key in locked})
        if not self._check:
            self._prove([before[key] for key in sorted(locked)])
        return outcomes

    def _look(self) -> dict[str, Identity]:
        return {name_of(found): found for found in self._kratos.identities()}

    def _one(self, member: Member, found: Identity | None, is_in: bool, password: t.Callable[[Member], str]) -> Outcome:
        if member.state == "absent":
            if found is None:
                return Outcome(member.key, "unchanged")
            self._delete(found)
            return Outcome(member.key, "deleted")
        wanted = wanted_identity(member)
        if found is not None and _is_unproved(member, found):
            self._delete(found)
            self._create(member, password)
            return Outcome(member.key, "created", "in place of somebody who registered with this address and never proved it")
        if found is None:
            self._create(member, password)
            return Outcome(member.key, "created", _groups(member))
        changed = [key for key, value in wanted.items() if found.get(key) != value]
        ends = member.state == "disabled" and is_in
        if changed and not self._check:
            self._kratos.update(found, wanted)
        # Also of who comes back: what was open before must not be worth anything again.
        if (ends or "state" in changed) and not self._check:
            self._kratos.end_sessions(found)
        if not changed and not ends:
            return Outcome(member.key, "unchanged")
        return Outcome(member.key, "disabled" if member.state == "disabled" else "updated", _groups(member))

    def _create(self, member: Member, password: t.Callable[[Member], str]) -> None:
        if self._check:
            return
        # A machine has no password: one is made when it is given a token, and forgotten at once.
        known = {} if member.schema == "machine" else {"credentials": {"password": {"config": {"password": password(member)}}}}
        self._kratos.create({**wanted_identity(member), **known})

    def _delete(self, found: Identity) -> None:
        if self._check:
            return
        self._lock(found)
        self._kratos.delete(found)

    def _lock(self, found: Identity) -> None:
        """Locks somebody out: first no new session, then no old one."""
        body = {key: found.get(key) for key in ("schema_id", "traits", "metadata_public", "metadata_admin")}
        self._kratos.update(found, {**body, "state": "inactive"})
        self._kratos.end_sessions(found)

    def _unlisted(self, found: Identity, unlisted: str) -> Outcome:
        if unlisted == "keep" or found.get("state") == "inactive":
            return Outcome(name_of(found), "unchanged", "not in the inventory")
        if not self._check:
            self._lock(found)
        return Outcome(name_of(found), "disabled", "not in the inventory")

    def _tuples(self, members: list[Member], services: list[dict[str, t.Any]], locked: set[str]) -> list[Outcome]:
        ids = {key: found["id"] for key, found in self.live.items()}
        wanted = wanted_tuples(members, services, ids)
        held = self._keto.tuples("Group") | self._keto.tuples("Service")
        # Memberships of people whom nobody lists stay as they are, while these can log in.
        free = {found["id"] for key, found in self.live.items()
                if key not in {member.key for member in members} and found.get("state") == "active"} - locked
        stale = {one for one in held - wanted if one[0] == "Service" or (one[3] not in free and not one[3].startswith("group:"))}
        added = wanted - held
        if not self._check:
            self._keto.change(added, stale)
        if not added and not stale:
            return []
        return [Outcome("groups and services", "updated", f"{len(added)} rights added, {len(stale)} taken away")]

    def _prove(self, locked: list[Identity]) -> None:
        """Looks whether those who were locked out in this run are."""
        if not locked:
            return
        held = {one[3] for one in self._keto.tuples("Group")}
        for found in locked:
            if self._kratos.sessions(found):
                raise ServiceError(f"{name_of(found)} still has a session in Kratos after it was ended; run again")
            if found["id"] in held:
                raise ServiceError(f"{name_of(found)} still is in a group in Keto after the right was taken away; run again")


def _is_unproved(member: Member, found: Identity) -> bool:
    """Tells whether somebody registered with a listed person's address without having shown that it is theirs.

    Whoever did so must not be given that person's groups.
    """
    if member.state == "absent" or (found.get("metadata_admin") or {}) == MARK:
        return False
    return not any(address.get("verified") for address in found.get("verifiable_addresses") or [])


def _groups(member: Member) -> str:
    return ", ".join(member.groups)
