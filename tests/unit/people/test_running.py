# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identities and rights are brought to what the inventory says. Kratos and Keto are stood in for by their data."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import members
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import ServiceError
from ansible_collections.openmlops.platform.plugins.module_utils.people.listing import empty_groups, rows, table
from ansible_collections.openmlops.platform.plugins.module_utils.people.running import People
from ansible_collections.openmlops.platform.tests.unit.people.keto import Keto

SERVICES = [{"name": "mlflow", "allow": ["ds"]}, {"name": "hub", "allow": "authenticated"}]
MLFLOW = ("Service", "mlflow", "access", "group:ds")


class Kratos:
    def __init__(self):
        self.people, self.open, self.calls = {}, {}, []
        self.sticky = False  # sessions that do not end
        self.made = 0

    def identities(self):
        return [dict(entry) for entry in self.people.values()]

    def all_sessions(self):
        return {key: found for key, found in self.open.items() if found}

    def create(self, identity):
        number = f"id-{self.made}"
        self.made += 1
        self.people[number] = {**{k: v for k, v in identity.items() if k != "credentials"}, "id": number,
                               "password": identity.get("credentials", {}).get("password", {}).get("config", {}).get("password")}
        self.calls.append(("create", number))

    def update(self, found, wanted):
        self.people[found["id"]].update({key: wanted[key] for key in ("schema_id", "traits", "state", "metadata_public", "metadata_admin")})
        self.calls.append(("update", found["id"]))

    def delete(self, found):
        del self.people[found["id"]]
        self.calls.append(("delete", found["id"]))

    def end_sessions(self, found):
        if not self.sticky:
            self.open.pop(found["id"], None)
        self.calls.append(("end", found["id"]))

    def sessions(self, found):
        return self.open.get(found["id"], [])


@pytest.fixture
def platform():
    kratos, keto = Kratos(), Keto()

    def run(users, check=False, services=None, unlisted="keep", machines=()):
        wanted = members(users, list(machines), [])
        outcomes = People(kratos, keto, check).converge(wanted, SERVICES if services is None else services, lambda member: f"first of {member.key}", unlisted)
        return {one.key: one.action for one in outcomes if one.action != "unchanged"}

    run.kratos, run.keto = kratos, keto
    return run


ADA, BOB = {"email": "ada@example.org", "groups": ["ds"]}, {"email": "bob@example.org"}


def test_people_and_rights_are_made_and_then_left_alone(platform):
    assert platform([ADA, BOB]) == {"ada@example.org": "created", "bob@example.org": "created", "groups and services": "updated"}
    ada = next(key for key, one in platform.kratos.people.items() if one["traits"] == {"email": "ada@example.org"})
    assert platform.keto.held == {("Group", "ds", "members", ada), MLFLOW}
    assert platform.kratos.people[ada]["password"] == "first of ada@example.org"
    platform.kratos.calls.clear()
    assert platform([ADA, BOB]) == {} and platform.kratos.calls == []


def test_a_machine_is_made_without_a_password(platform):
    assert platform([], machines=[{"name": "ci"}])["ci"] == "created"
    assert platform.kratos.people["id-0"]["password"] is None


def test_check_mode_changes_nothing(platform):
    assert platform([ADA], check=True)["ada@example.org"] == "created"
    assert platform.kratos.people == {} and platform.keto.held == set()
    platform([ADA])
    platform.kratos.calls.clear()
    before = set(platform.keto.held)
    assert platform([{**ADA, "state": "absent"}], check=True) == {"ada@example.org": "deleted", "groups and services": "updated"}
    assert platform.kratos.calls == [] and platform.keto.held == before


def test_who_is_disabled_loses_sessions_and_rights(platform):
    platform([ADA])
    platform.kratos.open["id-0"] = [{"id": "s"}]
    platform.kratos.calls.clear()
    assert platform([{**ADA, "state": "disabled"}])["ada@example.org"] == "disabled"
    # First no new session, then no old one.
    assert platform.kratos.calls == [("update", "id-0"), ("end", "id-0")]
    assert platform.kratos.people["id-0"]["state"] == "inactive" and platform.kratos.open == {}
    assert platform.keto.held == {MLFLOW}
    assert platform([{**ADA, "state": "disabled"}]) == {}
    # A session that somebody got meanwhile is ended too.
    platform.kratos.open["id-0"] = [{"id": "s"}]
    assert platform([{**ADA, "state": "disabled"}])["ada@example.org"] == "disabled" and platform.kratos.open == {}


def test_who_comes_back_has_no_session_of_before(platform):
    platform([{**ADA, "state": "disabled"}])
    platform.kratos.people["id-0"]["state"] = "inactive"
    platform.kratos.open["id-0"] = [{"id": "from before"}]
    assert platform([ADA])["ada@example.org"] == "updated"
    assert platform.kratos.open == {} and ("Group", "ds", "members", "id-0") in platform.keto.held


@pytest.mark.parametrize("state", ["disabled", "absent"])
def test_a_session_that_does_not_end_is_an_error(platform, state):
    platform([ADA])
    platform.kratos.open["id-0"], platform.kratos.sticky = [{"id": "s"}], True
    with pytest.raises(ServiceError, match=r"ada@example\.org still has a session"):
        platform([{**ADA, "state": state}])


def test_a_right_that_stays_is_an_error(platform):
    platform([ADA])
    platform.keto.change = lambda added, removed: None
    with pytest.raises(ServiceError, match=r"ada@example\.org still is in a group"):
        platform([{**ADA, "state": "disabled"}])


def test_who_is_absent_is_forgotten(platform):
    platform([ADA])
    platform.kratos.calls.clear()
    assert platform([{**ADA, "state": "absent"}])["ada@example.org"] == "deleted"
    assert platform.kratos.calls == [("update", "id-0"), ("end", "id-0"), ("delete", "id-0")]
    assert platform.kratos.people == {} and platform.keto.held == {MLFLOW}
    assert platform([{**ADA, "state": "absent"}]) == {}


def registered(email, verified):
    return {"id": "own", "schema_id": "person", "traits": {"email": email}, "state": "active", "metadata_public": None,
            "metadata_admin": None, "verifiable_addresses": [{"value": email, "verified": verified}]}


def test_who_registered_alone_is_left_alone_until_listed(platform):
    platform.kratos.people["own"] = registered("Eve@example.org", True)
    platform.keto.held.add(("Group", "x", "members", "own"))
    platform([ADA], unlisted="disable")
    assert platform.kratos.people["own"]["state"] == "active" and ("Group", "x", "members", "own") in platform.keto.held
    assert platform([{"email": "eve@example.org", "groups": ["ds"]}])["eve@example.org"] == "updated"
    assert ("Group", "ds", "members", "own") in platform.keto.held and ("Group", "x", "members", "own") not in platform.keto.held


def test_an_address_that_was_never_proved_gives_nobody_the_groups_of_its_owner(platform):
    platform.kratos.people["own"] = registered("eve@example.org", False)
    eve = {"email": "eve@example.org", "groups": ["ds"]}
    assert [m.key for m in People(platform.kratos, platform.keto).missing(members([eve], [], []))] == ["eve@example.org"]
    assert platform([eve])["eve@example.org"] == "created"
    assert "own" not in platform.kratos.people and platform.keto.held == {("Group", "ds", "members", "id-0"), MLFLOW}
    assert platform.kratos.people["id-0"]["password"] == "first of eve@example.org"
    assert platform([eve]) == {}


@pytest.mark.parametrize(("unlisted", "state"), [("keep", "active"), ("disable", "inactive")])
def test_whom_nobody_lists_any_more(platform, unlisted, state):
    platform([ADA])
    platform.kratos.open["id-0"] = [{"id": "s"}]
    platform([BOB], unlisted=unlisted)
    assert platform.kratos.people["id-0"]["state"] == state
    assert bool(platform.kratos.open) == (unlisted == "keep")
    assert (("Group", "ds", "members", "id-0") in platform.keto.held) == (unlisted == "keep")
    assert platform([BOB], unlisted=unlisted) == {}


def test_rights_of_services_and_people_that_are_gone_go(platform):
    platform([ADA])
    platform.keto.held.add(("Group", "ds", "members", "somebody who was deleted by hand"))
    assert platform([ADA], services=[])["groups and services"] == "updated"
    assert platform.keto.held == {("Group", "ds", "members", "id-0")}


def test_everybody_is_listed_without_a_value():
    live = {
        "ada@example.org": {"id": "1", "schema_id": "person", "state": "active", "traits": {"email": "ada@example.org"}},
        "ci": {"id": "2", "schema_id": "machine", "state": "active", "traits": {"name": "ci"}},
        "eve@example.org": {"id": "3", "schema_id": "person", "state": "inactive", "traits": {"email": "eve@example.org"}},
    }
    sessions = {"1": [{"expires_at": "2030-01-01T00:00:00Z"}] * 2, "2": [{"expires_at": "2030-02-03T04:05:06.789Z"}]}
    tuples = {("Group", "ds", "members", "1"), ("Group", "b", "members", "1"), ("Group", "ci", "members", "2")}
    found = rows(live, sessions, tuples, members([{"email": "ada@example.org"}], [{"name": "ci"}], []))
    assert [(r["name"], r["schema"], r["groups"], r["state"], r["listed"], r["sessions"], r["token_expires"]) for r in found] == [
        ("ada@example.org", "person", ["b", "ds"], "present", True, 2, ""),
        ("ci", "machine", ["ci"], "present", True, 1, "2030-02-03T04:05:06Z"),
        ("eve@example.org", "person", [], "disabled", False, 0, "")]
    lines = table(found).splitlines()
    assert lines[0].split() == ["NAME", "SCHEMA", "GROUPS", "STATE", "SESSIONS", "TOKEN", "EXPIRES"]
    assert "disabled, not in the inventory" in lines[3] and len(lines) == 4
    assert empty_groups([{"name": "a", "allow": ["ds", "typo"]}, {"name": "b", "allow": ["typo"]}, {"name": "c", "allow": "public"}],
                        tuples) == {"typo": ["a", "b"]}
