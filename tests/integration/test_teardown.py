# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second, small platform on the same cluster, as on a cluster of somebody's: its condition, and its removal with proof."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder

ROOT = Path(__file__).resolve().parents[2]
SPACES = ("second", "second-store")


@pytest.fixture(scope="module")
def second(cluster, tmp_path_factory):
    """Runs a verb with an inventory that knows nothing of a local cluster."""
    folder = tmp_path_factory.mktemp("second")
    cache = Path(os.environ.get("OPENMLOPS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmlops")
    (folder / "group_vars/all").mkdir(parents=True)
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"clusters": {"hosts": {"second": {
        "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}}}}}}))
    (folder / "group_vars/all/main.yml").write_text(yaml.safe_dump({
        "platform_kubeconfig": str(cluster.kubeconfig), "platform_context": cluster.context, "platform_namespace": SPACES[0],
        "platform_components": ["object_store"], "platform_gateway": "none", "object_store_namespace": SPACES[1],
        "object_store_buckets": [{"name": "things", "namespace": SPACES[1]}], "object_store_storage_size": "1Gi",
        "platform_chart_source": "bundled", "platform_image_source": "built",
        "platform_helm_binary": Builder(ROOT, cache).results(["binary/helm"])["binaries"]["helm"],
    }))
    yield lambda verb, *arguments, **environment: cluster.run(verb, *arguments, INVENTORY=str(folder), CLUSTER="", **environment)
    for space in SPACES:
        cluster.kubectl("delete", "namespace", space, "--ignore-not-found", "--wait=false")


def state(second, **environment) -> dict:
    return json.loads(second("status", OUTPUT="json", **environment).text)


def exists(cluster, *what: str) -> bool:
    return bool(cluster.kubectl("get", *what, "--ignore-not-found", "-o", "name").strip())


def test_condition_of_the_whole_platform(cluster):
    document = json.loads(cluster.run("status", OUTPUT="json", FAIL="warning").ok().text)
    assert document["state"] == "ok" and document["reasons"] == []
    listed = [entry for component in document["components"] for entry in component["certificates"]]
    certificates = {entry["secret"]: entry for entry in listed}
    assert len(listed) == len({(entry["namespace"], entry["secret"]) for entry in listed})
    assert 800 < certificates["platform-tls"]["days_left"] <= 825
    assert all(component["drift"] == [] for component in document["components"])


def test_drift_and_its_exit_code(cluster, second):
    second("up").ok()
    assert state(second, FAIL="warning")["state"] == "ok"
    cluster.kubectl("label", "namespace", SPACES[1], "hand=made")
    workload = cluster.kubectl("get", "deployments,statefulsets", "-n", SPACES[1], "-o", "name").split()[0]
    cluster.kubectl("scale", workload, "-n", SPACES[1], "--replicas=0")
    run = second("status", OUTPUT="json", FAIL="warning")
    document = json.loads(run.text)
    assert run.code == 2 and document["state"] in ("problem", "warning"), document
    drift = " ".join(document["components"][0]["drift"])
    assert f"Namespace {SPACES[1]} has fields that were set by hand" in drift and "release" in drift, drift
    cluster.kubectl("label", "namespace", SPACES[1], "hand-")
    assert second("up").ok().changed > 0
    assert not any("release" in text for text in state(second)["components"][0]["drift"])


@pytest.mark.slow
def test_removal_keeps_data_and_says_so(cluster, second):
    second("up").ok()
    run = second("down").ok()
    assert "kept, since data stays" in run.text and "nothing else of the platform is left" in run.text, run.text[-3000:]
    assert exists(cluster, "pvc", "-n", SPACES[1]) and not exists(cluster, "deployments,statefulsets,services", "-n", SPACES[1])


@pytest.mark.slow
def test_a_stranger_among_the_remains_is_named(cluster, second):
    """What an operator or a hand left, and no record knows, ends the run; and a run after its removal is content."""
    second("up").ok()
    cluster.kubectl("create", "clusterrolebinding", "left-by-somebody", "--clusterrole=view", f"--serviceaccount={SPACES[1]}:default")
    try:
        run = second("down", DATA="delete")
        assert run.code != 0 and "ClusterRoleBinding left-by-somebody (gives rights to an account in second-store)" in run.text, run.text[-3000:]
        assert "kubectl delete clusterrolebinding left-by-somebody" in run.text
    finally:
        cluster.kubectl("delete", "clusterrolebinding", "left-by-somebody")


def test_with_its_data_nothing_is_left(cluster, second, tmp_path):
    second("up").ok()
    before = {item["metadata"]["name"] for item in cluster.get("namespaces")["items"]}
    assert set(SPACES) <= before
    run = second("down", "-e", f"platform_teardown_file={tmp_path / 'left.json'}", DATA="delete").ok()
    assert "nothing of the platform is left" in run.text, run.text[-3000:]
    assert json.loads((tmp_path / "left.json").read_text())["leftovers"] == []
    assert {item["metadata"]["name"] for item in cluster.get("namespaces")["items"]} == before - set(SPACES)
    volumes = cluster.get("persistentvolumes")["items"]
    assert not [item for item in volumes if item["spec"].get("claimRef", {}).get("namespace") in SPACES]
    # The first platform is untouched.
    assert json.loads(cluster.run("status", OUTPUT="json", FAIL="problem").ok().text)["state"] != "problem"
    assert second("down", DATA="delete").ok()
