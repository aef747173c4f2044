# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.converge import plan as plans
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import COMPONENT_LABEL, LABELS
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import PlanError, with_fingerprints
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Member
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Release

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ml"}}
DEFINITION = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: widgets.example.org\n"


def parse(**raw):
    return plans.parse(
        {"component": "mlflow", "namespace": "ml", **raw},
        lambda entry: Release(entry["name"], entry.get("namespace", "ml"), "chart", "digest", {}), lambda name: DEFINITION,
    )


def test_objects_are_flattened_and_labelled():
    nested = [None, [CONFIG, [None]], {"kind": "List", "items": [{**CONFIG, "metadata": {"name": "d", "namespace": "ml"}}]}, []]
    before = copy.deepcopy(nested)
    found = parse(phases={"stores": {"objects": nested}}).phases["stores"].objects
    assert [obj["metadata"]["name"] for obj in found] == ["c", "d"]
    assert all(obj["metadata"]["labels"] == {**LABELS, COMPONENT_LABEL: "mlflow"} for obj in found)
    assert nested == before


def test_every_namespace_that_is_used_is_made_once_and_first():
    found = parse(
        namespace_labels={"istio-injection": "enabled"},
        secrets=[{"name": "x"}, {"name": "y", "namespace": "other"}, {"name": "z", "namespace": "other"}],
        phases={"operators": {"releases": [{"name": "r", "namespace": "third"}]}, "foundation": {"objects": [CONFIG]}},
    ).phases["foundation"].objects
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in found] == [
        ("Namespace", "ml"), ("Namespace", "other"), ("Namespace", "third"), ("ConfigMap", "c")]
    assert found[0]["metadata"]["labels"] == {**LABELS, "istio-injection": "enabled"}
    assert COMPONENT_LABEL not in found[0]["metadata"]["labels"]


def test_empty_plan():
    found = parse(about=None, secrets=None, phases=None)
    assert list(found.phases) == ["foundation"] and found.about == {} and found.secrets == ()


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ({"component": ""}, ["component and namespace"]),
        ({"namespace": None}, ["component and namespace"]),
        ({"phasse": {}}, ["mlflow", "phasse"]),
        ({"phases": {"store": {}}}, ["mlflow", "'store'", "stores", "verification"]),
        ({"phases": {"stores": {"object": []}}}, ["mlflow", "stores", "object"]),
        ({"phases": {"stores": None}}, ["mlflow", "stores", "mapping"]),
        ({"phases": {"stores": [CONFIG]}}, ["mlflow", "stores", "mapping"]),
        ({"phases": {"stores": {"objects": ["text"]}}}, ["mlflow", "stores", "not str"]),
        ({"phases": {"stores": {"objects": CONFIG}}}, ["mlflow", "stores"]),
        ({"phases": {"stores": {"objects": [{"kind": "X", "metadata": {"name": "n"}}]}}}, ["mlflow", "stores", "X n", "apiVersion"]),
        ({"phases": {"stores": {"objects": [{"kind": "X", "metadata": "n"}]}}}, ["mlflow", "stores", "metadata"]),
        ({"phases": {"routes": {"objects": [{}, {"kind": "Y"}]}}}, ["mlflow", "routes", "metadata.name", "Y"]),
        ({"secrets": [{"namespace": "ml"}]}, ["mlflow", "secrets", "name"]),
        ({"secrets": ["db"]}, ["mlflow", "secrets"]),
    ],
)
def test_errors_name_component_phase_and_key(raw, parts):
    with pytest.raises(PlanError) as error:
        parse(**raw)
    for part in parts:
        assert part in str(error.value)


def test_phases_are_in_the_order_of_the_design():
    assert plans.PHASES == (
        "foundation", "definitions", "operators", "stores", "provisioning", "preparation", "applications", "routes", "verification")


def test_record_holds_everything_once():
    found = parse(
        about={"version": "1"}, secrets=[{"name": "db"}, {"name": "far", "namespace": "other"}],
        phases={"definitions": {"definitions": ["m", "m"]}, "stores": {"objects": [CONFIG], "releases": [{"name": "r"}]},
                "applications": {"objects": [CONFIG], "releases": [{"name": "r"}]}},
    ).record()
    assert sorted(found.members, key=str) == sorted([
        Member("v1", "Namespace", "", "ml"), Member("v1", "Namespace", "", "other"), Member("v1", "ConfigMap", "ml", "c"),
        Member("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.org"),
        Member("v1", "Secret", "ml", "db"), Member("v1", "Secret", "other", "far"),
    ], key=str)
    assert found.releases == (("ml", "r"),) and found.about == {"version": "1"}


def test_namespaces_of_others_are_left_out():
    found = parse(secrets=[{"name": "x", "namespace": "other"}]).without_namespaces({"ml"})
    assert [obj["metadata"]["name"] for obj in found.phases["foundation"].objects] == ["other"]
    assert Member("v1", "Namespace", "", "ml") not in found.record().members


# -- fingerprints ---------------------------------------------------------------------------------------------------

MARKS = {"ml/db": "1234", "ml/other-1.x": "5678"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<fingerprint ml/db>", "1234"),
        ("a <fingerprint ml/db> b <fingerprint ml/other-1.x>", "a 1234 b 5678"),
        ({"a": ["<fingerprint ml/db>", 1, None, {"b": "<fingerprint ml/other-1.x>"}]}, {"a": ["1234", 1, None, {"b": "5678"}]}),
        ("fingerprint ml/db", "fingerprint ml/db"),
        ("<fingerprint>", "<fingerprint>"),
        ("<fingerprint db>", "<fingerprint db>"),
        (True, True),
    ],
)
def test_fingerprints(value, expected):
    before = copy.deepcopy(value)
    assert with_fingerprints(value, MARKS) == expected
    assert value == before


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8))
def test_values_without_fingerprints_stay(value):
    assert with_fingerprints(value, MARKS) == value
