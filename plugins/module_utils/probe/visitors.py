# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visitors for one probe: identities that are made for it and gone after it, with real sessions."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime
import secrets

from ansible_collections.openmlops.platform.plugins.module_utils.people.keto import Keto, membership
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import Identity, Kratos
from ansible_collections.openmlops.platform.plugins.module_utils.probe.lines import MACHINE, NOBODY, USER, member

try:
    import bcrypt
except ImportError as error:  # pragma: no cover
    IMPORT_ERROR: str | None = str(error)
else:
    IMPORT_ERROR = None

# In metadata_admin: who made the identity. Not the mark of people's: those never see these.
MARK = {"managed_by": "openmlops-probe"}
COOKIE = "ory_kratos_session"
# What a probe that was killed left behind goes after this; a probe at the same time is not disturbed.
_LEFT_BEHIND = datetime.timedelta(minutes=15)
_THREADS = 8
# A password of 256 random bits needs no slow hash, and Kratos' processor time is everybody's.
_BCRYPT_ROUNDS = 4


@dataclasses.dataclass(frozen=True)
class Visitor:
    """Somebody who asks: ``headers`` carry the session, and are never shown."""

    who: str
    headers: dict[str, str] = dataclasses.field(repr=False)


class Visitors:
    """Makes visitors, and takes them away again; to be used in a ``with`` statement.

    Their passwords and tokens are in this process only. Nothing of them is in a Secret, and no session outlives the probe: a
    member of each group would be a key to everything.

    Args:
        groups: names; each gets a member of its own.
    """

    def __init__(self, kratos: Kratos, keto: Keto, groups: list[str]) -> None:
        self._kratos, self._keto, self._groups = kratos, keto, groups
        self._made: list[Identity] = []
        self._rights: set[tuple[str, str, str, str]] = set()

    def __enter__(self) -> dict[str, Visitor]:
        """Returns the visitors by who they are; among them nobody, without a session."""
        run = secrets.token_hex(4)
        wanted = {USER: None, MACHINE: None, **{member(group): group for group in self._groups}}
        try:
            with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
                made = [pool.submit(self._visitor, who, group, f"probe-{run}-{number}")
                        for number, (who, group) in enumerate(wanted.items())]
            found = [one.result() for one in made]
            self._keto.change(self._rights, set())
        except BaseException:
            self._leave()
            raise
        return {visitor.who: visitor for visitor in [Visitor(NOBODY, {}), *found]}

    def __exit__(self, *_error: object) -> None:
        self._leave()

    def clear(self, now: datetime.datetime | None = None) -> int:
        """Takes away what probes that were killed left behind; returns how many identities that were."""
        end = (now or datetime.datetime.now(datetime.timezone.utc)) - _LEFT_BEHIND
        stale = [found for found in self._kratos.identities() if (found.get("metadata_admin") or {}) == MARK
                 and datetime.datetime.fromisoformat(found["created_at"]) < end]
        if stale:
            ids = {found["id"] for found in stale}
            self._keto.change(set(), {one for one in self._keto.tuples("Group") if one[3] in ids})
            for found in stale:
                self._kratos.delete(found)
        return len(stale)

    def _visitor(self, who: str, group: str | None, name: str) -> Visitor:
        password = secrets.token_urlsafe(32)
        digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_BCRYPT_ROUNDS)).decode()
        identity = self._kratos.create({
            "schema_id": "machine", "traits": {"name": name}, "state": "active", "metadata_admin": dict(MARK),
            "metadata_public": {"groups": [group] if group else []},
            "credentials": {"password": {"config": {"hashed_password": digest}}},
        })
        self._made.append(identity)
        if group:
            self._rights.add(membership(group, identity["id"]))
        if who == MACHINE:
            return Visitor(who, {"Authorization": f"Bearer {self._kratos.login(name, password)}"})
        return Visitor(who, {"Cookie": f"{COOKIE}={self._kratos.browser_login(name, password)[COOKIE]}"})

    def _leave(self) -> None:
        # Rights first: an identity that is left is found by the next probe, a right without one by nobody.
        self._keto.change(set(), self._rights)
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            for done in [pool.submit(self._kratos.delete, identity) for identity in self._made]:
                done.result()
        self._made, self._rights = [], set()
