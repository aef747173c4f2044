# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of machines: each has one, which is a session of Kratos and lives on as long as it is prolonged."""

from __future__ import annotations

import dataclasses
import datetime
import re
import secrets
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import Member
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import Identity, Kratos, ServiceError
from ansible_collections.openmlops.platform.plugins.module_utils.people.running import Outcome, wanted_identity

_UNITS = {"h": 3600, "m": 60, "s": 1}


@dataclasses.dataclass
class Tokens:
    """Where tokens are kept: in Secrets, which the caller reads and writes.

    Attributes:
        lifespan: seconds that a session lasts.
        read: returns a machine's token, or "".
        write: keeps a new one.
        check: change nothing, only find out.
    """

    kratos: Kratos
    lifespan: float
    read: t.Callable[[Member], str]
    write: t.Callable[[Member, str], None]
    check: bool = False

    def converge(self, members: list[Member], live: dict[str, Identity], rotate: set[str]) -> list[Outcome]:
        """Sees to it that each machine has a token that lives on; returns what became of each.

        Args:
            members: of declare.members().
            live: Kratos' identities by what they log in with, as they are now.
            rotate: machines that get a new token; the old one ends.
        """
        machines = [member for member in members if member.schema == "machine" and member.state == "present"]
        return [self._one(machine, live.get(machine.key), machine.key in rotate) for machine in machines]

    def _one(self, machine: Member, found: Identity | None, rotate: bool) -> Outcome:
        session = self._session(machine, found)
        if session is None or rotate:
            if not self.check and found is not None:
                self._issue(machine, found)
            return Outcome(machine.key, "rotated" if session else "issued", "its token")
        if self._left(session) < self.lifespan / 2:
            if not self.check:
                self.kratos.extend(session["id"])
            return Outcome(machine.key, "prolonged", "its token")
        return Outcome(machine.key, "unchanged")

    def _session(self, machine: Member, found: Identity | None) -> dict[str, t.Any] | None:
        """Returns the session of a machine's token; none when the token is another's."""
        token = self.read(machine) if found else ""
        session = self.kratos.whoami(token) if token else None
        return session if session and session["identity"]["id"] == found["id"] else None

    def _issue(self, machine: Member, found: Identity) -> None:
        """Gives a machine a new token; every older one ends before.

        Kratos gives sessions only to those who log in. So the machine has a password for this moment; nobody keeps it.
        """
        password = secrets.token_urlsafe(32)
        self.kratos.update(found, {**wanted_identity(machine), "credentials": {"password": {"config": {"password": password}}}})
        self.kratos.end_sessions(found)
        token = self.kratos.login(machine.key, password)
        if self.kratos.whoami(token) is None:
            raise ServiceError(f"Kratos gave {machine.key} a token and does not know it; run again")
        self.write(machine, token)

    def _left(self, session: dict[str, t.Any]) -> float:
        end = datetime.datetime.fromisoformat(session["expires_at"])
        return (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def seconds(duration: str) -> float:
    """Returns the seconds of a Go duration of hours, minutes and seconds, such as 720h or 1h30m."""
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(h|m|s)", duration)))
