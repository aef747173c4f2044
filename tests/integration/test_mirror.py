# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries that ask for a login: pods pull from one, and `make mirror` fills one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import bcrypt
import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import process
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout
from ansible_collections.openmlops.platform.tests.unit.mirror import registry as small_registry

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("OPENMLOPS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmlops")
WORD = "of-the-registry-1"
PORT = 5005
SPACES = {kind: f"mirror-{kind}" for kind in ("platform", "store", "stranger")}


def until(condition, seconds=90.0, what="it"):
    """Waits until a function returns something that is true, and returns that."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not come about within {seconds} s"
        time.sleep(0.5)
    return found


@pytest.fixture
def inventory(cluster, tmp_path):
    """A second platform on the cluster: an object store, and a registry whose password is in a file of its own."""
    folder = tmp_path / "inventory"
    (folder / "group_vars/all").mkdir(parents=True)
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"clusters": {"hosts": {"second": {
        "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}}}}}}))
    (folder / "group_vars/all/main.yml").write_text(yaml.safe_dump({
        "platform_kubeconfig": str(cluster.kubeconfig), "platform_context": cluster.context, "platform_namespace": SPACES["platform"],
        "platform_components": ["object_store"], "platform_gateway": "none", "object_store_namespace": SPACES["store"],
        "object_store_buckets": [], "object_store_storage_size": "1Gi",
        "platform_chart_source": "bundled", "platform_image_source": "built", "platform_cache_dir": str(CACHE),
        "platform_helm_binary": Builder(ROOT, CACHE).results(["binary/helm"])["binaries"]["helm"],
        "platform_registries": [{"server": f"127.0.0.1:{PORT}", "username": "robot", "password_variable": "registry_word"}],
    }))
    (folder / "group_vars/all/vault.yml").write_text(yaml.safe_dump({"registry_word": WORD}))
    yield folder
    cluster.run("down", INVENTORY=str(folder), CLUSTER="", DATA="delete")
    cluster.kubectl("delete", "namespace", *SPACES.values(), "--ignore-not-found", "--wait=false")


@pytest.fixture
def node_registry(cluster):
    """A registry with a login on the node's own loopback, which containerd talks to by plain HTTP; pause is in it."""
    running = process.find(Layout(cluster.state_dir, cluster.name))
    archive = Builder(ROOT, CACHE).results(["image/pause"])["images"]["pause"]["archive"]
    server = subprocess.Popen(
        ["nsenter", f"--target={running.init}", "--net", "--", sys.executable, small_registry.__file__, "127.0.0.1", str(PORT),
         f"robot={WORD}", f"{archive}=ml/pause:1"], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline().startswith("serving")
    yield f"127.0.0.1:{PORT}/ml/pause:1"
    server.kill()
    server.wait()


def pod(name, namespace, image):
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": {
        "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": image, "imagePullPolicy": "Always"}]}})


def state(cluster, name, namespace):
    """What keeps a pod's container waiting; `running` when nothing does."""
    found = (cluster.get("pod", name, "-n", namespace).get("status") or {}).get("containerStatuses") or [{"state": {}}]
    return "running" if "running" in found[0]["state"] else (found[0]["state"].get("waiting") or {}).get("reason", "")


@pytest.mark.slow
def test_one_setting_lets_every_pod_pull(cluster, inventory, node_registry):
    run = cluster.run("up", "-vvv", "--diff", INVENTORY=str(inventory), CLUSTER="").ok()
    assert run.changed and WORD not in run.text
    store = SPACES["store"]
    found = cluster.get("secret", "platform-registries", "-n", store)
    assert found["type"] == "kubernetes.io/dockerconfigjson"
    named = [{"name": "platform-registries"}]
    assert cluster.get("serviceaccount", "default", "-n", store)["imagePullSecrets"] == named
    pods = cluster.get("pods", "-n", store)["items"]
    assert pods and all(entry["spec"]["imagePullSecrets"] == named for entry in pods)
    # A pod of somebody who knows nothing of it pulls; one in another namespace is refused.
    cluster.kubectl("create", "namespace", SPACES["stranger"])
    until(lambda: cluster.kubectl("get", "serviceaccount", "default", "-n", SPACES["stranger"], check=False), what="the default account")
    for space in (store, SPACES["stranger"]):
        cluster.kubectl("apply", "-f", "-", stdin=pod("pulls", space, node_registry))
    until(lambda: state(cluster, "pulls", store) == "running", what="the pull")
    until(lambda: state(cluster, "pulls", SPACES["stranger"]) in ("ErrImagePull", "ImagePullBackOff"), what="the refusal")
    again = cluster.run("up", INVENTORY=str(inventory), CLUSTER="").ok()
    assert again.changed == 0, again.text[-3000:]
    # A new password goes everywhere in one run, and no pod is made anew for it.
    names = {entry["metadata"]["uid"] for entry in cluster.get("pods", "-n", store)["items"]}
    turned = cluster.run("up", "-e", "registry_word=of-the-registry-2", INVENTORY=str(inventory), CLUSTER="").ok()
    assert turned.changed == 1
    assert cluster.get("secret", "platform-registries", "-n", store)["data"] != found["data"]
    assert {entry["metadata"]["uid"] for entry in cluster.get("pods", "-n", store)["items"]} == names


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """A folder with Debian's docker-registry and skopeo, unpacked and not installed."""
    folder = tmp_path_factory.mktemp("debian")
    done = subprocess.run(["apt-get", "download", "skopeo", "docker-registry"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"apt-get download skopeo docker-registry: {done.stderr.strip()[-300:]}")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder], check=True)
    return folder / "usr" / "bin"


@pytest.fixture
def registry(debian, tmp_path):
    """A real registry that asks for a login; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "htpasswd").write_text(f"robot:{bcrypt.hashpw(WORD.encode(), bcrypt.gensalt(5)).decode()}\n")
    (tmp_path / "config.yml").write_text(yaml.safe_dump({
        "version": 0.1, "storage": {"filesystem": {"rootdirectory": str(tmp_path / "data")}}, "http": {"addr": address},
        "auth": {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}}))
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([debian / "docker-registry", "serve", tmp_path / "config.yml"], stdout=log, stderr=log)
    host, _colon, port = address.partition(":")
    until(lambda: socket.socket().connect_ex((host, int(port))) == 0, 20, "the registry")
    yield address
    server.kill()
    server.wait()


@pytest.mark.slow
def test_make_mirror(cluster, inventory, registry, debian, tmp_path):
    target = tmp_path / "out" / "list"
    given = ["-e", f"'{json.dumps({'platform_image_registry': f'{registry}/ml', 'platform_mirror_validate_registry': False})}'",
             "-e", f"platform_mirror_file={target}",
             "-e", f"'{json.dumps({'platform_registries': [{'server': registry, 'username': 'robot', 'password_variable': 'registry_word'}]})}'"]
    options = {"INVENTORY": str(inventory), "CLUSTER": "", "PATH": f"{debian}:{os.environ['PATH']}"}
    planned = cluster.run("mirror", "--check", *given, **options).ok()
    assert planned.changed == 1 and f"would be copied: {registry}/ml/openmlops/versitygw" in planned.text and not target.parent.exists()
    first = cluster.run("mirror", "-vvv", *given, **options).ok()
    assert first.changed == 1 and WORD not in first.text
    document = json.loads(target.with_suffix(".json").read_text())
    assert document["notes"] == [] and {entry["state"] for kind in ("images", "charts") for entry in document[kind]} == {"present"}
    for entry in document["images"]:
        assert entry["digest"].startswith("sha256:") and entry["target"].startswith(f"{registry}/ml/"), entry
    again = cluster.run("mirror", *given, **options).ok()
    assert again.changed == 0 and "copying" not in again.text
    # Nothing but the list is left behind, and it names no password.
    assert sorted(path.name for path in target.parent.iterdir()) == ["list.json", "list.txt"]
    assert WORD not in target.with_suffix(".txt").read_text()
    refused = cluster.run("mirror", *given, "-e", "registry_word=wrong", **options)
    assert refused.code != 0 and "the mirror is not complete" in refused.text, refused.text[-3000:]
