# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import graphlib

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.filter.components import FilterModule
from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.lock import CatalogueError
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.selection import artifacts, gaps, requests, select

CATALOGUE = {
    "postgresql": {}, "object_store": {"needs": None}, "ory": {"needs": ["postgresql"]},
    "mlflow": {"needs": ["postgresql", "object_store"], "databases": [{"name": "mlflow"}], "buckets": [{"name": "m"}, {"name": "n"}]},
    "access": {}, "feast": {"needs": ["mlflow"], "brings": ["access"], "databases": [{"name": "feast", "owner": "f"}]},
}


@st.composite
def catalogues(draw):
    """Catalogues in which each component needs only earlier ones, in any order of their keys."""
    names = list("abcdefg")[: draw(st.integers(1, 7))]
    found = {name: {"needs": draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []}
             for number, name in enumerate(names)}
    return {name: found[name] for name in draw(st.permutations(names))}


@given(catalogues(), st.data())
def test_each_comes_after_what_it_needs(catalogue, data):
    chosen = data.draw(st.lists(st.sampled_from(sorted(catalogue)), min_size=1))
    order = select(catalogue, chosen)
    assert len(set(order)) == len(order) and set(chosen) <= set(order)
    for number, name in enumerate(order):
        assert set(catalogue[name]["needs"]) <= set(order[:number])
    # nothing beside the chosen ones and what they need
    needed = set(chosen)
    for name in reversed(list(graphlib.TopologicalSorter({n: e["needs"] for n, e in catalogue.items()}).static_order())):
        needed |= set(catalogue[name]["needs"]) if name in needed else set()
    assert set(order) == needed
    # the same whatever the order in which they were chosen, once or twice
    assert select(catalogue, data.draw(st.permutations(chosen)) + chosen) == order


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [(["mlflow"], ["object_store", "postgresql", "mlflow"]), ("mlflow", ["object_store", "postgresql", "mlflow"]),
     (" ory , object_store,", ["object_store", "postgresql", "ory"]), (["feast"], ["access", "object_store", "postgresql", "mlflow", "feast"])],
)
def test_choice(chosen, expected):
    assert select(CATALOGUE, chosen) == expected


@pytest.mark.parametrize(
    ("chosen", "parts"),
    [(["mlfow", "mlflow", "x"], ["unknown: mlfow, x", "choose from access, feast, mlflow, object_store, ory, postgresql"]),
     ("nothing", ["unknown: nothing"]), ([], ["is empty"]), ("", ["is empty"]), (" , ", ["is empty"])],
)
def test_wrong_choice(chosen, parts):
    with pytest.raises(CatalogueError) as error:
        select(CATALOGUE, chosen)
    for part in ("platform_components", *parts):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("catalogue", "message"),
    [({"a": {"needs": ["b"]}, "b": {"needs": ["a"]}}, "circle: .*a"), ({"a": {"needs": ["a"]}}, "circle"),
     ({"a": {"needs": ["gone", "lost"]}}, "component 'a' needs gone, lost")],
)
def test_wrong_catalogue(catalogue, message):
    with pytest.raises(CatalogueError, match=message):
        select(catalogue, ["a"])


def test_requests():
    assert requests(CATALOGUE, ["postgresql", "mlflow", "feast"], "databases") == [
        {"name": "mlflow", "component": "mlflow"}, {"name": "feast", "owner": "f", "component": "feast"}]
    assert [entry["name"] for entry in requests(CATALOGUE, ["mlflow"], "buckets")] == ["m", "n"]
    assert requests(CATALOGUE, ["feast", "postgresql"], "buckets") == []
    assert "component" not in CATALOGUE["mlflow"]["databases"][0]


def test_a_bucket_of_several_is_one():
    both = {"feast": {"buckets": [{"name": "flows", "namespace": "feast"}]},
            "prefect": {"buckets": [{"name": "logs"}, {"name": "flows", "namespace": "flows"}]}}
    assert requests(both, ["feast", "prefect"], "buckets") == [
        {"name": "flows", "namespace": "feast", "component": "feast"}, {"name": "logs", "component": "prefect"}]
    assert [entry["namespace"] for entry in requests(both, ["prefect", "feast"], "buckets")[1:]] == ["flows"]


@pytest.mark.parametrize(
    ("absent", "expected"),
    [([], []), (["feast"], []), (["access"], []), (["mlflow", "feast"], []), (["postgresql", "object_store", "ory", "mlflow", "feast"], []),
     (["mlflow"], ["mlflow_state is absent, but feast cannot do without: set mlflow_state to present, or feast_state to absent too"]),
     (["postgresql", "mlflow", "feast"], ["postgresql_state is absent, but ory cannot do without: set postgresql_state to present, "
                                          "or ory_state to absent too"]),
     (["object_store", "postgresql"], ["object_store_state is absent, but mlflow cannot", "postgresql_state is absent, but "])],
)
def test_what_another_needs_cannot_be_absent(absent, expected):
    order = select(CATALOGUE, ["feast", "ory"])
    found = gaps(CATALOGUE, {name: "absent" if name in absent else "present" for name in order})
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected))


@pytest.fixture
def locked(monkeypatch):
    entries = {"db": {"binaries": ["one", "two"], "images": {"server": {"built": "x"}, "other": {"built": "y"}}},
               "web": {"binaries": ["two"], "images": {"server": {"built": "x"}}}, "plain": {}}
    monkeypatch.setattr(lock, "components", lambda: entries)


def test_artifacts_once_each(locked):
    assert artifacts(["db", "web", "plain"]) == ["binary/one", "binary/two", "image/x", "image/y"]
    assert artifacts(["web", "db"], with_images=False) == ["binary/two", "binary/one"]
    with pytest.raises(CatalogueError, match="no component 'none'"):
        artifacts(["none"])


def test_upstream_only_image_is_not_built(monkeypatch):
    monkeypatch.setattr(lock, "components", lambda: {"a": {"images": {"server": {"repository": "r.example.org/x", "tag": "1"}}}})
    assert artifacts(["a"]) == []


def test_what_another_mode_needs_is_not_built(monkeypatch):
    images = {"server": {"built": "server", "modes": ["own"]}, "other": {"built": "other", "modes": ["rare", "rarer"]},
              "setup": {"built": "setup"}}
    monkeypatch.setattr(lock, "components", lambda: {"a": {"images": images}, "b": {"images": {"x": {"built": "x"}}}})
    assert artifacts(["a", "b"], modes={"a": "own"}) == ["image/server", "image/setup", "image/x"]
    assert artifacts(["a"], modes={"a": "rarer"}) == ["image/other", "image/setup"]
    assert artifacts(["a"], modes={"a": "external"}) == ["image/setup"]
    # Nobody said which: all.
    assert artifacts(["a"], modes={"b": "own"}) == artifacts(["a"]) == ["image/server", "image/other", "image/setup"]


def test_modes_are_those_of_the_roles():
    """A mode in the lock file that no role has would never be built."""
    root = lock.COLLECTION_ROOT
    for name, entry in lock.components().items():
        used = {mode for image in (entry.get("images") or {}).values() for mode in image.get("modes") or []}
        if used:
            options = yaml_text.load((root / f"roles/{name}/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
            # kserve_frameworks: several at once.
            option = options.get(f"{name}_mode") or options[f"{name}_frameworks"]
            assert used <= set(option["choices"]), name


def test_images_of_several_modes():
    def built(frameworks):
        return set(artifacts(["kserve"], modes={"kserve": frameworks}))

    assert {"image/kserve-controller", "image/mlserver"} <= built(["sklearn", "mlflow"])
    assert "image/mlserver-tensorflow" not in built(["sklearn", "mlflow"])
    assert "image/mlserver-tensorflow" in built(["sklearn", "tensorflow"]) and "image/mlserver" not in built(["tensorflow"])
    assert artifacts(["kserve"]) == artifacts(["kserve"], modes={"kserve": ["sklearn", "tensorflow"]})


@pytest.mark.parametrize("name", ["component_select", "component_artifacts", "component_image", "component_lock"])
def test_filters_turn_errors_into_one_clear_failure(name):
    wrong = {"component_select": ({}, ["x"]), "component_artifacts": (["x"],), "component_image": ("x/y",), "component_lock": ("x",)}
    with pytest.raises(AnsibleFilterError, match="x"):
        FilterModule().filters()[name](*wrong[name])


def test_references():
    assert FilterModule().filters()["references"](["a", 1]) == [{"name": "a"}, {"name": "1"}]
