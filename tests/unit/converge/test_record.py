# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Member, Record

words = st.sampled_from(["a", "b", "c-d"])
members = st.lists(st.builds(Member, st.sampled_from(["v1", "apps/v1"]), st.sampled_from(["X", "Y"]), words, words), unique=True, max_size=5)
records = st.builds(Record, words, words, st.dictionaries(words, words | st.booleans(), max_size=3), members.map(tuple),
                    st.lists(st.tuples(words, words), unique=True, max_size=3).map(tuple))


def same(one, two):
    return (one.component, one.namespace, one.about, set(one.members), set(one.releases)) == (
        two.component, two.namespace, two.about, set(two.members), set(two.releases))


@given(records)
def test_round_trip(found):
    assert same(record._parsed(record.as_object(found, "openmlops")), found)


@given(records, records)
def test_united(old, new):
    both = record.united(old, new)
    assert (both.component, both.about) == (new.component, new.about)
    assert set(both.members) == {*old.members, *new.members} and len(set(both.members)) == len(both.members)
    assert set(both.releases) == {*old.releases, *new.releases}
    assert record.united(None, new) == new and same(record.united(new, new), new)


@given(records)
def test_text_does_not_depend_on_the_order(found):
    turned = Record(found.component, found.namespace, found.about, found.members[::-1], found.releases[::-1])
    assert record.as_object(turned, "s") == record.as_object(found, "s")


def test_in_the_cluster(cluster):
    first = Record("object_store", "ml", {"version": "1"}, (Member("v1", "ConfigMap", "ml", "c"),), (("ml", "r"),))
    cluster.apply(record.as_object(first, "openmlops"))
    cluster.apply(record.as_object(Record("mlflow", "ml", {}), "openmlops"))
    assert record.read_all(cluster, "openmlops") == {"object_store": first, "mlflow": Record("mlflow", "ml", {})}
    assert record.read_all(cluster, "none") == {}


def test_member_keeps_its_identity_in_a_new_version_of_its_api():
    old, new, other = (Member(version, "X", "a", "n") for version in ("g/v1beta1", "g/v1", "h/v1"))
    assert old.identity == new.identity != other.identity


@pytest.mark.parametrize("space", ["", "ml"])
def test_member_as_object(space):
    member = Member("apps/v1", "Deployment", space, "web")
    assert Member.of(member.as_object()) == member
    assert ("namespace" in member.as_object()["metadata"]) is bool(space)
