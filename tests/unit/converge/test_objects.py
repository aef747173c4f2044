# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import (
    COMPONENT_LABEL,
    KEEP_ANNOTATION,
    LABELS,
    comparable,
    digest,
    is_kept,
    labelled,
    ordered,
    problems,
    project,
    ref,
    waves,
)

KINDS = ["Namespace", "Secret", "Deployment", "Service", "ServiceAccount", "Widget", "CustomResourceDefinition", "Job"]

leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
keys = st.sampled_from(["a", "b", "name", "spec", "x"])
json = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)
mappings = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=4), max_leaves=12)
objects = st.builds(
    lambda kind, name, number: {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "number": number},
    st.sampled_from(KINDS), st.sampled_from("abc"), st.integers(),
)


def with_additions(value, extra):
    """Returns the value as somebody else would complete it: new keys in every mapping, entries in every list of named ones."""
    if isinstance(value, dict):
        return {**{key: with_additions(entry, extra) for key, entry in value.items()}, "added by others": extra}
    if isinstance(value, list):
        entries = [with_additions(entry, extra) for entry in value]
        named = value and all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in value)
        return [*entries, {"name": "added by others"}] if named else entries
    return value


# -- project --------------------------------------------------------------------------------------------------------


@given(mappings)
def test_projection_on_itself_is_the_same(value):
    assert project(value, value) == value


@given(mappings, mappings)
def test_projecting_again_changes_nothing(live, shape):
    once = project(live, shape)
    assert project(once, shape) == once


@given(json, json)
def test_what_others_add_is_ignored(value, extra):
    assert project(with_additions(value, extra), value) == project(value, value)


@given(json, json)
def test_live_object_stays_as_it_was(live, shape):
    before = copy.deepcopy((live, shape))
    project(live, shape)
    assert (live, shape) == before


@pytest.mark.parametrize(
    ("shape", "changed"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": {"b": 1}}, {"a": {"c": 1}}),
        ({"l": [1, 2]}, {"l": [1]}),
        ({"l": [1, 2]}, {"l": [1, 2, 3]}),
        ({"l": [1, 2]}, {"l": [2, 1]}),
        ({"l": []}, {"l": [1]}),
        ({"l": [{"name": "x", "v": 1}]}, {"l": [{"name": "x", "v": 2}]}),
        ({"l": [{"name": "x"}, {"name": "y"}]}, {"l": [{"name": "y"}]}),
        ({"l": [{"name": "x"}]}, {"l": []}),
        ({"l": [{"name": "x"}]}, {"l": "x"}),
    ],
)
def test_changes_are_noticed(shape, changed):
    assert digest(project(changed, shape)) != digest(project(shape, shape))


def test_order_of_named_entries_is_no_change():
    shape = [{"name": "x", "v": 1}, {"name": "y", "v": 2}]
    assert project([{"name": "y", "v": 2}, {"name": "z"}, {"name": "x", "v": 1}], shape) == project(shape, shape)


# -- comparable -----------------------------------------------------------------------------------------------------


def test_comparable_leaves_out_what_the_server_writes():
    wanted = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "n", "annotations": {"mine": "1"}}, "spec": {"a": 1}}
    live = copy.deepcopy(wanted)
    live["status"] = {"ready": True}
    live["metadata"].update(uid="u", resourceVersion="7", generation=3, creationTimestamp="t", managedFields=[{}], selfLink="/x")
    live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    before = copy.deepcopy(live)
    assert comparable(live) == wanted
    assert live == before


@pytest.mark.parametrize("notes", [None, {}, {"kubectl.kubernetes.io/last-applied-configuration": "{}"}])
def test_annotations_that_say_nothing_are_no_difference(notes):
    assert comparable({"metadata": {"name": "n", "annotations": notes}}) == {"metadata": {"name": "n"}}


def test_nothing_is_comparable_with_nothing():
    assert comparable(None) is None


@given(st.dictionaries(keys, json, max_size=4))
def test_comparable_twice_is_comparable_once(spec):
    obj = {"metadata": {"name": "n", "annotations": {"a": "b"}, "uid": "1"}, "spec": spec, "status": spec}
    assert comparable(comparable(obj)) == comparable(obj)
    assert comparable(obj)["spec"] == spec


# -- order ----------------------------------------------------------------------------------------------------------


@given(st.lists(objects, max_size=12))
def test_waves_hold_everything_in_the_order_of_ordered(found):
    groups = waves(found)
    assert [obj for group in groups for obj in group] == ordered(found)
    assert all(groups)
    seen = [{obj["kind"] for obj in group} for group in groups]
    assert all(not one & two for number, one in enumerate(seen) for two in seen[number + 1:])


@given(st.lists(objects, max_size=12))
def test_order_is_stable_within_a_kind(found):
    for kind in KINDS:
        assert [obj for obj in ordered(found) if obj["kind"] == kind] == [obj for obj in found if obj["kind"] == kind]


@pytest.mark.parametrize(
    ("first", "second"),
    [("Namespace", "Secret"), ("CustomResourceDefinition", "Widget"), ("ServiceAccount", "Deployment"), ("Secret", "Deployment"),
     ("ConfigMap", "Job"), ("ClusterRole", "ClusterRoleBinding"), ("Role", "RoleBinding"), ("Namespace", "ResourceQuota"),
     ("PersistentVolumeClaim", "StatefulSet"), ("AuthService", "Mapping"), ("SecurityPolicy", "HTTPRoute"), ("Module", "Listener"),
     ("AuthorizationPolicy", "Gateway"), ("EnvoyFilter", "VirtualService"), ("Service", "AuthService")],
)
def test_what_comes_first(first, second):
    groups = waves([{"kind": second}, {"kind": first}])
    assert groups == [[{"kind": first}], [{"kind": second}]]


# -- the rest -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}}, None),
        ("text", "must be a mapping, not str"),
        (None, "must be a mapping, not NoneType"),
        ({}, "missing or not a string: apiVersion, kind, metadata.name"),
        ({"apiVersion": 1, "kind": "X", "metadata": {"name": "n"}}, "X n: missing or not a string: apiVersion"),
        ({"apiVersion": "v1", "kind": "X", "metadata": {"name": 5}}, "metadata.name"),
        ({"apiVersion": "v1", "kind": "X", "metadata": None}, "metadata.name"),
        ({"apiVersion": "v1", "kind": "X", "metadata": "name: n"}, "metadata"),
        ({"apiVersion": "v1", "kind": "X", "metadata": [{"name": "n"}]}, "metadata"),
    ],
)
def test_problems(obj, expected):
    found = problems(obj)
    assert found is None if expected is None else expected in found


def test_ref():
    assert str(ref({"kind": "X", "metadata": {"name": "n", "namespace": "s"}})) == "X s/n"
    assert str(ref({"kind": "X", "metadata": {"name": "n"}})) == "X n"
    one, two = ({"apiVersion": version, "kind": "X", "metadata": {"name": "n"}} for version in ("g/v1", "g/v2"))
    assert ref(one) == ref(two)


@pytest.mark.parametrize("labels", [None, {}, {"app.kubernetes.io/managed-by": "Helm", "mine": "1"}])
def test_labels(labels):
    obj = {"kind": "X", "metadata": {"name": "n", "labels": labels}}
    before = copy.deepcopy(obj)
    assert labelled(obj, "mlflow")["metadata"]["labels"] == {**LABELS, COMPONENT_LABEL: "mlflow", **(labels or {})}
    assert labelled(obj)["metadata"]["labels"] == {**LABELS, **(labels or {})}
    assert obj == before


@pytest.mark.parametrize(
    ("kind", "note", "kept"),
    [("PersistentVolumeClaim", None, True), ("Secret", None, True), ("Namespace", None, True), ("ConfigMap", None, False),
     ("CustomResourceDefinition", None, True), ("PersistentVolume", None, True), ("ConfigMap", "true", True),
     ("Secret", "false", False), ("Deployment", "false", False), ("Cluster", "true", True)],
)
def test_what_outlives_its_component(kind, note, kept):
    notes = {"annotations": {KEEP_ANNOTATION: note}} if note else {}
    assert is_kept({"kind": kind, "metadata": {"name": "n", **notes}}) is kept


@given(st.dictionaries(keys, json, max_size=4))
def test_digest_does_not_depend_on_the_order_of_keys(value):
    assert digest(dict(reversed(list(value.items())))) == digest(value)
    assert digest([value]) != digest(value)
