# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list: complete, in the layout that the platform's own settings read, and the same each time."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.images import image
from ansible_collections.openmlops.platform.plugins.module_utils.charts import source as chart_source
from ansible_collections.openmlops.platform.plugins.module_utils.mirror import listing
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.listing import Chart, Image

MIRROR = "mirror.example.org:5000/ml"


@pytest.mark.parametrize("component", [name for name, entry in lock.components().items() if entry.get("images")])
@pytest.mark.parametrize("source", ["upstream", "built"])
def test_every_image_of_the_lock_file_has_the_name_that_pods_will_ask_for(component, source):
    images = lock.component(component)["images"]
    found = listing.locked_images([component], {}, source, MIRROR)
    assert {entry.target for entry in found} == {
        image(f"{component}/{role}", source if entry.get("built") else "upstream", MIRROR)["reference"] for role, entry in images.items()}
    assert all(entry.source and entry.redirected for entry in found)


def test_what_our_own_charts_do_not_run_is_left_out():
    found = listing.locked_images(["polyaxon"], {}, "built", MIRROR, only_built=True)
    assert [(entry.name, entry.origin) for entry in found] == [("polyaxon/server", listing.BUILT)]


def test_only_images_of_the_chosen_mode():
    names = {entry.name for entry in listing.locked_images(["object_store"], {"object_store": "seaweedfs"}, "upstream", "")}
    assert names == {"object_store/seaweedfs", "object_store/setup"}


@pytest.mark.parametrize(("frameworks", "servers"), [(["sklearn", "xgboost"], {"server"}), (["tensorflow"], {"tensorflow"}),
                                                     (["mlflow", "tensorflow"], {"server", "tensorflow"}), ([], set())])
def test_a_component_may_have_several_modes(frameworks, servers):
    names = {entry.name for entry in listing.locked_images(["kserve"], {"kserve": frameworks}, "upstream", "")}
    assert names == {f"kserve/{role}" for role in {"controller", "storage_initializer"} | servers}


def test_one_entry_for_one_image():
    found = listing.locked_images(["object_store", "mlflow"], {"object_store": "versitygw"}, "upstream", MIRROR)
    shared = [entry for entry in found if "mlflow/server" in entry.name]
    assert [entry.name for entry in shared] == ["object_store/setup, mlflow/server"]


def test_what_nobody_publishes_comes_from_what_is_built():
    (found,) = listing.locked_images(["portal"], {}, "upstream", MIRROR)
    assert found.origin == listing.BUILT and found.built == "portal" and found.target == f"{MIRROR}/openmlops/portal:1.0.0"


def test_without_a_mirror_there_is_no_target():
    assert {entry.target for entry in listing.locked_images(["mlflow"], {}, "upstream", "")} == {""}


def test_images_that_others_name():
    known = {f"{MIRROR}/mlflow/mlflow:1"}
    named = {"release a/b": [f"{MIRROR}/mlflow/mlflow:1", "quay.io/x/side:2", f"{MIRROR}/own/image:3"], "web": ["quay.io/x/side:2"]}
    found = {entry.name: entry for entry in listing.more_images(named, known, MIRROR, MIRROR)}
    assert set(found) == {"release a/b, web", "release a/b"}
    side = found["release a/b, web"]
    assert (side.source, side.target, side.redirected) == ("quay.io/x/side:2", f"{MIRROR}/x/side:2", False)
    assert "platform_image_registry does not change this name" in side.note
    own = found["release a/b"]
    assert own.source == "" and own.target == f"{MIRROR}/own/image:3" and "put it there yourself" in own.note


def test_images_by_digest_keep_it():
    (found,) = listing.more_images({"web": ["quay.io/x/y@sha256:abc"]}, set(), "", MIRROR)
    assert found.target == f"{MIRROR}/x/y@sha256:abc"


def charts():
    return [f"{component}/{key}" for component, entry in lock.components().items() for key in entry.get("charts") or {}]


@pytest.mark.parametrize("name", charts())
def test_every_chart_is_where_platform_chart_source_looks(name, tmp_path):
    folder = listing.chart(name, str(tmp_path), str(tmp_path))
    (tmp_path / folder.target.rpartition("/")[2]).touch()
    assert chart_source.resolve(str(tmp_path), {"chart": lock.chart(name)}, "charts")["ref"] == folder.target
    registry = listing.chart(name, f"oci://{MIRROR}/", f"oci://{MIRROR}/")
    asked = chart_source.resolve(f"oci://{MIRROR}", {"chart": lock.chart(name)}, "charts")
    assert registry.target == f"{asked['ref']}:{asked['version']}"


def test_bundled_charts_need_no_mirror():
    assert listing.chart("mlflow/mlflow", "bundled", "").state == listing.PRESENT
    assert listing.chart("mlflow/mlflow", "upstream", "").target == ""


def test_the_document_is_sorted_and_complete():
    images = [Image("b", "z:1", target="m/z:1", digest="sha256:1", state=listing.MISSING), Image("a", "a:1", note="why")]
    first = listing.document(images, [Chart("c", "1", "https://example.org/charts", "/m/c-1.tgz", listing.PRESENT)], ["n2", "n1"])
    assert first == listing.document(images[::-1], [Chart("c", "1", "https://example.org/charts", "/m/c-1.tgz", listing.PRESENT)], ["n1", "n2"])
    text = listing.as_text(first)
    assert "image\tmissing\tz:1\tm/z:1\tsha256:1" in text and "image\tunknown\ta:1\t-\t-" in text
    assert "chart\tpresent\thttps://example.org/charts/c:1\t/m/c-1.tgz\t-" in text
    assert "# a:1: why" in text and text.index("# n1") < text.index("# n2")
    assert set(first["images"][0]) == {field.name for field in dataclasses.fields(Image)}
