# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight on the running platform: nothing stands in the way; an account with few rights is told what it lacks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder

ROOT = Path(__file__).resolve().parents[2]
SPACE = "preflight-test"


def levels(document: dict) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in document["findings"]:
        found.setdefault(entry["check"], set()).add(entry["level"])
    return found


def versions(cluster) -> dict[str, str]:
    """What would differ if anything was written."""
    kinds = "namespaces,configmaps,services,deployments,statefulsets,roles,rolebindings,clusterroles,clusterrolebindings,customresourcedefinitions"
    items = cluster.get(kinds, "-A", "-l", "app.kubernetes.io/part-of=openmlops-platform")["items"]
    return {f"{item['kind']}/{item['metadata'].get('namespace')}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for item in items if item["kind"] != "ConfigMap" or "leader" not in item["metadata"]["name"]}


def test_nothing_stands_in_the_way(cluster):
    before = versions(cluster)
    run = cluster.run("preflight", OUTPUT="json").ok()
    document = json.loads(run.text)
    assert document["errors"] == 0, document
    found = levels(document)
    for check in ("inventory", "cluster", "rights", "api", "storage", "capacity", "definitions", "releases", "namespaces", "clock", "tools",
                  "licences"):
        assert found[check] == {"ok"}, (check, document["findings"])
    assert not any("not rendered" in entry["cause"] for entry in document["findings"])
    assert versions(cluster) == before
    assert run.seconds < 200


def test_the_table(cluster):
    text = cluster.run("preflight").ok().text
    assert "CHECK" in text and "preflight: nothing stands in the way" in text.splitlines()[-1]


@pytest.fixture
def small_account(cluster, tmp_path):
    """An inventory whose account may read and write in one namespace only."""
    cluster.kubectl("create", "namespace", SPACE)
    cluster.kubectl("create", "serviceaccount", "small", "-n", SPACE)
    cluster.kubectl("create", "rolebinding", "small", "-n", SPACE, "--clusterrole=admin", f"--serviceaccount={SPACE}:small")
    token = cluster.kubectl("create", "token", "small", "-n", SPACE).strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": "small", "user": {"token": token}}]
    config["contexts"] = [{"name": "small", "context": {"cluster": config["clusters"][0]["name"], "user": "small"}}]
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    inventory = tmp_path / "inventory"
    (inventory / "group_vars/all").mkdir(parents=True)
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"clusters": {"hosts": {"small": {
        "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}}}}}}))
    cache = Path(os.environ.get("OPENMLOPS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmlops")
    (inventory / "group_vars/all/main.yml").write_text(yaml.safe_dump({
        "platform_kubeconfig": str(tmp_path / "kubeconfig"), "platform_context": "small", "platform_namespace": SPACE,
        "platform_components": ["object_store"], "platform_gateway": "none", "object_store_namespace": SPACE,
        "platform_chart_source": "bundled", "platform_image_source": "built",
        "platform_helm_binary": Builder(ROOT, cache).results(["binary/helm"])["binaries"]["helm"],
    }))
    yield inventory
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def test_a_small_account_is_told_what_it_lacks(cluster, small_account, tmp_path):
    rights = tmp_path / "rights.yml"
    run = cluster.run("preflight", "-e", f"platform_preflight_rights_file={rights}", INVENTORY=str(small_account), OUTPUT="json", CLUSTER="")
    document = json.loads(run.text)
    assert run.code == 2 and levels(document)["rights"] == {"error"}, run.text
    lacking = " ".join(entry["cause"] for entry in document["findings"] if entry["check"] == "rights" and entry["level"] == "error")
    assert "namespaces in the whole cluster" in lacking
    # What `admin` may do in its own namespace is not among it.
    assert f"deployments.apps in namespace {SPACE}" not in lacking and f"secrets in namespace {SPACE}" not in lacking
    assert levels(document)["capacity"] == {"note"}  # nodes may not be listed
    # What was written gives that, and what it had already: a second file must not take away what the first one gave.
    roles = list(yaml.safe_load_all(rights.read_text()))
    assert any("deployments" in rule["resources"] for obj in roles if obj["kind"] == "Role" for rule in obj["rules"])
    cluster.kubectl("apply", "-f", str(rights))
    try:
        again = json.loads(cluster.run("preflight", INVENTORY=str(small_account), OUTPUT="json", CLUSTER="").text)
        assert levels(again)["rights"] == {"ok"}, again
    finally:
        cluster.kubectl("delete", "-f", str(rights), "--ignore-not-found")
