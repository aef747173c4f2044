# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""platform.lock.yml names every version once, and nothing else in the checkout says otherwise."""

from __future__ import annotations

import re

import pytest

# component, image role or None for the component's own version, folder in cluster/, Go module
GO_MODULES = [
    ("local_cluster", None, "kubernetes", "k8s.io/kubernetes"),
    ("local_cluster", "dns", "coredns", "github.com/coredns/coredns"),
    ("local_cluster", "provisioner", "local-path-provisioner", "github.com/rancher/local-path-provisioner"),
    ("postgresql", None, "cloudnative-pg", "github.com/cloudnative-pg/cloudnative-pg"),
    ("object_store", None, "versitygw", "github.com/versity/versitygw"),
    ("envoy_gateway", None, "envoy-gateway", "github.com/envoyproxy/gateway"),
    ("kserve", None, "kserve", "github.com/kserve/kserve"),
]
# component, folder in images/, Python package
PACKAGES = [("mlflow", "mlflow", "mlflow"), ("prefect", "prefect", "prefect"), ("dask", "dask-operator", "dask-kubernetes"),
            ("kserve", "kserve-storage-initializer", "kserve-storage"),
            ("polyaxon", "polyaxon", "haupt"), ("polyaxon", "polyaxon", "polyaxon")]


@pytest.fixture(scope="module")
def components(root, load):
    return load(root / "platform.lock.yml")["components"]


def test_every_component_is_complete(components):
    problems = []
    for name, entry in components.items():
        problems += [f"{name} has no {key}" for key in ("version", "licence") if not entry.get(key)]
        if not entry.get("charts") and not entry.get("images"):
            problems.append(f"{name} has neither charts nor images")
        for chart, pinned in entry.get("charts", {}).items():
            problems += [f"{name}.charts.{chart} has no {key}" for key in ("name", "version", "repository") if not pinned.get(key)]
        for role, image in entry.get("images", {}).items():
            problems += [f"{name}.images.{role} has no {key}" for key in ("repository", "tag", "licence") if not image.get(key)]
    assert problems == []


def test_versions_are_text_and_fixed(components):
    def check(where, value):
        assert isinstance(value, str), f"{where}: {value!r} is a number to YAML; quote it"
        assert value not in ("latest", "main", "master", "stable"), f"{where} does not stay the same"

    for name, entry in components.items():
        check(name, entry["version"])
        for chart, pinned in entry.get("charts", {}).items():
            check(f"{name}.charts.{chart}", pinned["version"])
        for role, image in entry.get("images", {}).items():
            check(f"{name}.images.{role}", image["tag"])


def test_components_have_a_role_and_roles_a_component(components, root):
    roles = {path.name for path in (root / "roles").glob("*") if path.is_dir()}
    # These serve the others and bring no program of their own.
    assert set(components) == roles - {"platform", "local_build", "access", "backup"}


def test_folders_and_lock_name_each_other(components, root, load):
    def folders(name):
        return {path.name for path in (root / name).glob("*") if path.is_dir()}

    entries = components.values()
    images = {image["built"] for entry in entries for image in entry.get("images", {}).values() if image.get("built")}
    binaries = {binary for entry in entries for binary in entry.get("binaries", [])}
    charts = {chart["bundled"] for entry in entries for chart in entry.get("charts", {}).values() if chart.get("bundled")}
    # An image may stand on another one of ours, and may hold programs.
    waiting = list(images)
    while waiting:
        built = load(root / f"images/{waiting.pop()}/image.yml")
        binaries |= set(built.get("binaries", []))
        if built.get("from") and built["from"] not in images:
            images.add(built["from"])
            waiting.append(built["from"])
    assert images == folders("images")
    assert binaries == folders("cluster")
    assert charts == folders("charts")


@pytest.mark.parametrize(("component", "image", "folder", "module"), GO_MODULES, ids=str)
def test_go_modules_have_the_locked_version(components, root, load, component, image, folder, module):
    entry = components[component]
    locked = (entry["images"][image]["tag"] if image else entry["version"]).removeprefix("v")
    text = (root / f"cluster/{folder}/go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} v(\S+)", text, re.MULTILINE)
    assert found and found[1] == locked
    assert load(root / f"cluster/{folder}/build.yml").get("version", locked) == locked


@pytest.mark.parametrize(("component", "folder", "package"), PACKAGES)
def test_python_packages_have_the_locked_version(components, root, component, folder, package):
    text = (root / f"images/{folder}/requirements.txt").read_text(encoding="utf-8")
    assert re.search(rf"^{package}==(\S+)", text, re.MULTILINE)[1] == components[component]["version"]


def test_polyaxons_command_line_is_as_old_as_its_server(components, root):
    """The one that the tests use has the limits of the image, too: without them it takes no file."""
    text = (root / "requirements/polyaxon.txt").read_text(encoding="utf-8")
    assert re.search(r"^polyaxon==(\S+)", text, re.MULTILINE)[1] == components["polyaxon"]["version"]
    limits = [re.findall(r"^kubernetes<\d+$", (root / path).read_text(encoding="utf-8"), re.MULTILINE)
              for path in ("requirements/polyaxon.in", "images/polyaxon/requirements.in")]
    assert limits[0] == limits[1] != []


def test_what_is_built_in_another_version_says_so(components, load, root):
    """Status on a cluster with our own images must not name upstream's version."""
    own = {name: entry["built_version"] for name, entry in components.items() if "built_version" in entry}
    assert own == {name: load(root / f"images/{folder}/image.yml")["version"] for name, folder in (("ory", "kratos"), ("jupyterhub", "jupyterhub"))}
