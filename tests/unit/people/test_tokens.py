# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each machine has one token that lives on. Kratos is stood in for by its data."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import PeopleError, members, rotations
from ansible_collections.openmlops.platform.plugins.module_utils.people.tokens import Tokens, seconds

DAY = 86400.0
CI = {"id": "1", "traits": {"name": "ci"}}


class Kratos:
    """One identity; a token is worth a session of so many days."""

    def __init__(self):
        self.days, self.owner, self.password, self.calls = {}, {}, "", []

    def update(self, found, wanted):
        self.password = wanted["credentials"]["password"]["config"]["password"]
        self.calls.append("password")

    def end_sessions(self, found):
        self.days.clear()
        self.calls.append("end")

    def login(self, name, password):
        assert password == self.password and len(password) > 30
        token = f"token-{len(self.calls)}"
        self.days[token], self.owner[token] = 30.0, "1"
        self.calls.append("login")
        return token

    def whoami(self, token):
        if token not in self.days:
            return None
        now = datetime.datetime.now(datetime.timezone.utc)
        # Issued long ago and prolonged many times: only what is left counts.
        return {"id": token, "identity": {"id": self.owner[token]}, "issued_at": (now - datetime.timedelta(days=300)).isoformat(),
                "expires_at": (now + datetime.timedelta(days=self.days[token])).isoformat()}

    def extend(self, session):
        self.days[session] = 30.0
        self.calls.append("extend")


@pytest.fixture
def ci():
    kratos, kept = Kratos(), {}

    def run(rotate=(), check=False, live="", state="present"):
        tokens = Tokens(kratos, 30 * DAY, lambda machine: kept.get(machine.key, ""),
                        lambda machine, token: kept.update({machine.key: token}), check)
        wanted = members([], [{"name": "ci", "state": state}], [])
        return [one.action for one in tokens.converge(wanted, {} if live is None else {"ci": live or CI}, set(rotate))]

    run.kratos, run.kept = kratos, kept
    return run


def test_a_token_is_issued_kept_and_prolonged(ci):
    assert ci() == ["issued"]
    token = ci.kept["ci"]
    # Before a new token counts, every older one ends.
    assert ci.kratos.calls == ["password", "end", "login"]
    assert ci() == ["unchanged"]
    ci.kratos.days[token] = 14.9
    assert ci(check=True) == ["prolonged"] and "extend" not in ci.kratos.calls
    assert ci() == ["prolonged"] and ci() == ["unchanged"] and ci.kept["ci"] == token


def test_a_token_that_ended_or_is_anothers_is_issued_anew(ci):
    ci()
    first = ci.kept["ci"]
    ci.kratos.days.clear()
    assert ci() == ["issued"] and ci.kept["ci"] != first
    ci.kratos.owner[ci.kept["ci"]] = "somebody else"
    assert ci() == ["issued"]


def test_a_token_is_rotated_when_asked(ci):
    ci()
    first = ci.kept["ci"]
    assert ci(rotate=["ci"], check=True) == ["rotated"] and ci.kept["ci"] == first
    assert ci(rotate=["ci"]) == ["rotated"] and ci.kept["ci"] != first and first not in ci.kratos.days


def test_who_is_not_there_or_locked_out_gets_none(ci):
    assert ci(check=True, live=None) == ["issued"] and ci.kratos.calls == []
    assert ci(state="disabled") == [] and ci(state="absent") == []


@pytest.mark.parametrize(("duration", "wanted"), [("720h", 2592000), ("1h30m", 5400), ("90s", 90)])
def test_durations(duration, wanted):
    assert seconds(duration) == wanted


def test_only_machines_that_are_there_are_rotated():
    found = members([{"email": "a@example.org"}], [{"name": "ci"}, {"name": "old", "state": "disabled"}], [])
    assert rotations(["ci"], found) == {"ci"} and rotations([], found) == set()
    for wrong in (["old"], ["nobody"], ["a@example.org"], "ci", [1]):
        with pytest.raises(PeopleError, match="platform_tokens_rotate"):
            rotations(wrong, found)
