# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe asks for every service, method and visitor, and knows what the catalogue means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.access.services import METHODS, normalise
from ansible_collections.openmlops.platform.plugins.module_utils.probe import lines as probe

HOST = "ml.example.org"


def entries(**allow):
    """Returns normalised entries, one for each keyword; a double underscore stands for a slash in the prefix."""
    return normalise([
        {"name": name.replace("_", "-"), "prefix": "/" + name.replace("__", "/") + "/", "service": "one", "namespace": "one", "port": 80,
         **(value if isinstance(value, dict) else {"allow": value})}
        for name, value in allow.items()
    ], HOST)


def decisions(found, service, method="GET"):
    return {line.who: line.intended for line in found if (line.service, line.method) == (service, method)}


@pytest.mark.parametrize(("allow", "nobody", "user", "a", "b"), [
    ("public", "allowed", "allowed", "allowed", None),
    ("nobody", "forbidden", "forbidden", "forbidden", None),
    ("authenticated", "login needed", "allowed", "allowed", None),
    (["a"], "login needed", "forbidden", "allowed", "forbidden"),
    (["a", "b"], "login needed", "forbidden", "allowed", "allowed"),
])
def test_who_is_let_in(allow, nobody, user, a, b):
    found = decisions(probe.lines(entries(one=allow, all=["a"], other=["b"] if b else "public")), "one")
    wanted = {"nobody": nobody, "user": user, "machine": user, "member of a": a, **({"member of b": b} if b else {})}
    assert found == wanted


def test_a_method_that_is_not_listed_has_no_rule():
    found = probe.lines(entries(one={"allow": "public", "methods": ["GET", "HEAD"]}))
    assert set(decisions(found, "one", "GET").values()) == {"allowed"}
    assert set(decisions(found, "one", "DELETE").values()) == {"no rule"}


def test_without_groups_there_are_no_members():
    assert set(decisions(probe.lines(entries(one="authenticated")), "one")) == {"nobody", "user", "machine"}


def test_what_nobody_may_enter_needs_no_route():
    assert {line.routed for line in probe.lines(entries(one="nobody"))} == {False}


def test_a_path_belongs_to_its_service_alone():
    found = normalise([
        {"name": name, "prefix": prefix, "service": "one", "namespace": "one", "port": 80, "allow": "public"}
        for name, prefix in (("root", "/"), ("taken", "/openmlops-probe/"), ("below", "/openmlops-probe/openmlops-probe"))
    ], HOST)
    assert {line.service: line.path for line in probe.lines(found)} == {
        "root": "/openmlops-probe-1", "taken": "/openmlops-probe/openmlops-probe-1", "below": "/openmlops-probe/openmlops-probe/openmlops-probe"}


GROUPS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=3, unique=True)
ALLOW = st.one_of(st.sampled_from(["public", "nobody", "authenticated"]), GROUPS)
PREFIXES = st.lists(st.sampled_from(["x", "y", "openmlops-probe", "openmlops-probe-1"]), max_size=3).map(lambda parts: "/" + "/".join(parts))
CATALOGUES = st.lists(st.tuples(PREFIXES, ALLOW, st.lists(st.sampled_from(METHODS), min_size=1)), unique_by=lambda one: one[0], max_size=6).map(
    lambda found: normalise([
        {"name": f"s{number}", "prefix": prefix, "service": "s", "namespace": "s", "port": 80, "allow": allow, "methods": methods}
        for number, (prefix, allow, methods) in enumerate(found)
    ], HOST))


@given(CATALOGUES)
def test_every_service_method_and_visitor_once(found):
    listed = [(line.service, line.method, line.who) for line in probe.lines(found)]
    assert len(listed) == len(set(listed))
    for entry in found:
        who = {"nobody", "user", "machine"} | ({probe.member(group) for group in entry["allow"]} if isinstance(entry["allow"], list) else set())
        for method in METHODS:
            assert who <= {visitor for service, its, visitor in listed if (service, its) == (entry["name"], method)}


@given(CATALOGUES)
def test_nobody_is_let_in_but_where_it_is_public_and_members_are_strangers_elsewhere(found):
    by_name = {entry["name"]: entry for entry in found}
    for line in probe.lines(found):
        entry = by_name[line.service]
        if line.who == "nobody":
            assert (line.intended == "allowed") == (entry["allow"] == "public" and line.method in entry["methods"])
        if isinstance(entry["allow"], list) and line.method in entry["methods"] and line.who != "nobody":
            assert (line.intended == "allowed") == (line.who in {probe.member(group) for group in entry["allow"]})


@given(CATALOGUES)
def test_each_path_is_its_own_services(found):
    for line in probe.lines(found):
        owners = [entry for entry in found if line.path == entry["prefix"] or line.path.startswith(entry["prefix"] + "/")]
        assert max(owners, key=lambda entry: len(entry["prefix"]))["name"] == line.service
