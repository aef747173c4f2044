# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Visitors come and go; nothing of them stays. Kratos and Keto are stood in for by their data."""

from __future__ import annotations

import datetime
import itertools

import bcrypt
import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import ServiceError
from ansible_collections.openmlops.platform.plugins.module_utils.probe.visitors import MARK, Visitors
from ansible_collections.openmlops.platform.tests.unit.people.keto import Keto

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)


class Kratos:
    def __init__(self):
        self.people, self.refuses, self.numbers = {}, "", itertools.count()

    def identities(self):
        return list(self.people.values())

    def create(self, identity):
        number = f"id-{next(self.numbers)}"
        self.people[number] = {**identity, "id": number, "created_at": NOW.isoformat()}
        return self.people[number]

    def delete(self, found):
        del self.people[found["id"]]

    def login(self, name, password):
        found = next(one for one in self.people.values() if one["traits"]["name"] == name)
        assert bcrypt.checkpw(password.encode(), found["credentials"]["password"]["config"]["hashed_password"].encode())
        if self.refuses == name.rpartition("-")[2]:
            raise ServiceError("refused")
        return f"token-{found['id']}"

    def browser_login(self, name, password):
        return {"csrf": "x", "ory_kratos_session": self.login(name, password)}


@pytest.fixture
def platform():
    return Kratos(), Keto()


def test_each_has_a_session_of_their_own_and_all_are_gone_after_it(platform):
    kratos, keto = platform
    with Visitors(kratos, keto, ["a", "b"]) as known:
        assert list(known) == ["nobody", "user", "machine", "member of a", "member of b"]
        assert known["nobody"].headers == {} and list(known["machine"].headers) == ["Authorization"] and list(known["user"].headers) == ["Cookie"]
        assert len({str(visitor.headers) for visitor in known.values()}) == 5
        assert {(one[1], kratos.people[one[3]]["metadata_public"]["groups"][0]) for one in keto.held} == {("a", "a"), ("b", "b")}
        assert all(one["metadata_admin"] == MARK for one in kratos.people.values())
        assert "token" not in repr(known)
    assert kratos.people == {} and keto.held == set()


@pytest.mark.parametrize("number", ["0", "1", "2"])
def test_nothing_stays_when_one_cannot_be_made(platform, number):
    kratos, keto = platform
    kratos.refuses = number
    with pytest.raises(ServiceError), Visitors(kratos, keto, ["a"]):
        raise AssertionError("nobody comes here")
    assert kratos.people == {} and keto.held == set()


def test_nothing_stays_of_a_probe_that_failed(platform):
    kratos, keto = platform
    with pytest.raises(ZeroDivisionError), Visitors(kratos, keto, ["a"]):
        raise ZeroDivisionError
    assert kratos.people == {} and keto.held == set()


def test_what_a_killed_probe_left_goes_and_nothing_else(platform):
    kratos, keto = platform
    old = kratos.create({"traits": {"name": "probe-1"}, "metadata_admin": dict(MARK)})
    mine = kratos.create({"traits": {"name": "ada"}, "metadata_admin": {"managed_by": "openmlops"}})
    keto.held = {("Group", "a", "members", old["id"]), ("Group", "a", "members", mine["id"])}
    visitors = Visitors(kratos, keto, [])
    assert visitors.clear(NOW + datetime.timedelta(minutes=5)) == 0  # somebody else's probe, now
    assert visitors.clear(NOW + datetime.timedelta(hours=1)) == 1
    assert list(kratos.people) == [mine["id"]] and keto.held == {("Group", "a", "members", mine["id"])}
