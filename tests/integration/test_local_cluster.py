# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The native cluster does what a Kubernetes cluster does, heals, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import (
    cgroup,
    images,
    process,
    supervisor,
)
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.node import Node
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import Settings

SPACE = "test-lab"
RESTRICTED = {
    "runAsNonRoot": True, "runAsUser": 65532, "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
}
SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000, bind='0.0.0.0')"
GET = "import sys,urllib.request as u; print(u.urlopen(sys.argv[1], timeout=float(sys.argv[2])).status)"


def until(question, seconds: float = 60, what: str = "it"):
    """Ask *question* until its answer is true, and return that; a failing question counts as no."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            last = question()
            if last:
                return last
        except (AssertionError, OSError, KeyError, subprocess.SubprocessError) as error:
            last = error
        time.sleep(0.2)
    pytest.fail(f"{what} did not happen within {seconds} s; last answer: {last}")


def pod(name: str, image: str, command: list[str], labels: dict | None = None, container: dict | None = None,
        **spec) -> dict:
    """A pod that ends within a second of being told to."""
    main = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": command,
            "securityContext": RESTRICTED, **(container or {})}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SPACE, "labels": {"app": name, **(labels or {})}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 1, "enableServiceLinks": False, **spec},
    }


class Lab:
    """A namespace with a web server and a pod to ask from."""

    def __init__(self, cluster, image: str) -> None:
        self.cluster = cluster
        self.image = image

    def kubectl(self, *args: str, **options) -> str:
        return self.cluster.kubectl("-n", SPACE, *args, **options)

    def apply(self, *objects: dict) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, *args: str) -> dict:
        return self.cluster.get("-n", SPACE, *args)

    def ready(self, name: str, seconds: int = 90) -> None:
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={seconds}s", timeout=seconds + 10)

    def reaches(self, name: str, url: str, seconds: float = 3) -> bool:
        done = self.kubectl("exec", name, "--", "python3", "-c", GET, url, str(seconds), check=False)
        return done.strip() == "200"


@pytest.fixture(scope="module")
def layout(cluster) -> Layout:
    """Where the files of the cluster lie."""
    return Layout(cluster.state_dir, cluster.name)


@pytest.fixture(scope="module")
def lab(cluster):
    """The namespace with its pods; removed in the end."""
    names = [name for item in cluster.get("nodes")["items"][0]["status"]["images"] for name in item["names"]]
    wanted = ("/python:", "/object-store-setup:", "/mlflow:")
    image = [name for part in wanted for name in names if part in name and name.startswith("localhost/")][0]
    found = Lab(cluster, image)
    cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found")
    cluster.kubectl("create", "namespace", SPACE)
    until(lambda: found.get("serviceaccount", "default"), what="the service account")
    web_ready = {"readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1}}
    found.apply(
        pod("web", image, ["python3", "-c", SERVER], container={**web_ready, "workingDir": "/tmp"}),
        pod("shell", image, ["sleep", "infinity"], container={"readinessProbe": {
            "exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1}}),
        pod("other", image, ["sleep", "infinity"]),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
         "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shell"},
         "spec": {"selector": {"app": "shell"}, "ports": [{"port": 80}]}},
    )
    found.ready("web")
    found.ready("other")
    yield found
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


# -- what a cluster does ----------------------------------------------------------------------------------------------


def test_second_call_changes_nothing_and_is_quick(cluster, layout):
    known = cluster.facts
    settings = Settings(cluster.name, pod_cidr=known["pod_cidr"], service_cidr=known["service_cidr"])
    node = Node(layout.base, settings, print)
    node._fresh = lambda: True  # which programs it was started from does not matter here
    begin = time.monotonic()
    assert node.present()["changed"] is False
    assert time.monotonic() - begin < 2


def test_names_are_found(lab):
    address = lab.get("service", "web")["spec"]["clusterIP"]
    code = "import socket,sys; print(socket.gethostbyname(sys.argv[1]))"
    for name in ("web", f"web.{SPACE}", f"web.{SPACE}.svc.cluster.local"):
        assert lab.kubectl("exec", "other", "--", "python3", "-c", code, name).strip() == address
    assert lab.kubectl("exec", "other", "--", "python3", "-c", code, "kubernetes.default").strip()


def test_a_name_outside_is_refused_at_once(lab):
    code = ("import socket,time; t=time.time()\ntry: socket.gethostbyname('example.com'); print('found')\n"
            "except socket.gaierror: print(time.time()-t < 2)")
    assert lab.kubectl("exec", "other", "--", "python3", "-c", code).strip() == "True"


def test_a_service_answers_pods_and_the_host(cluster, lab):
    service = lab.get("service", "web")["spec"]
    assert lab.reaches("other", "http://web")
    node = cluster.facts["node_address"]
    with urllib.request.urlopen(f"http://{node}:{service['ports'][0]['nodePort']}", timeout=5) as answer:
        assert answer.status == 200
    if cluster.facts["routes"]:
        with urllib.request.urlopen(f"http://{service['clusterIP']}", timeout=5) as answer:
            assert answer.status == 200


def test_a_pod_gets_traffic_when_it_is_ready(lab):
    def addresses() -> list:
        slices = lab.get("endpointslices", "-l", "kubernetes.io/service-name=shell")["items"]
        return [end for item in slices for end in item.get("endpoints") or [] if end["conditions"].get("ready")]

    until(lambda: lab.get("pod", "shell")["status"]["phase"] == "Running", what="the pod's start")
    assert addresses() == []
    lab.kubectl("exec", "shell", "--", "touch", "/tmp/ready")
    until(addresses, seconds=20, what="readiness")


def test_exec_passes_input_output_and_code(lab):
    assert lab.kubectl("exec", "-i", "other", "--", "cat", stdin="hello").strip() == "hello"
    assert lab.kubectl("exec", "other", "--", "sh", "-c", "exit 3", check=False) == ""


def test_logs(lab):
    assert lab.reaches("other", "http://web/")
    until(lambda: "GET / HTTP" in lab.kubectl("logs", "web"), seconds=10, what="the log line")


def test_port_forward(cluster, lab):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [cluster.state_dir / cluster.name / "bin" / "kubernetes", "kubectl", f"--kubeconfig={cluster.kubeconfig}"]
    forward = subprocess.Popen([*program, "-n", SPACE, "port-forward", "service/web", f"{port}:80"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: urllib.request.urlopen(url, timeout=2).status == 200, seconds=20, what="forwarding")
    finally:
        forward.terminate()
        forward.wait()


def test_memory_limit_kills(lab):
    lab.apply(pod("greedy", lab.image, ["python3", "-c", "x = bytearray(300 << 20)"], restartPolicy="Never",
                  container={"resources": {"limits": {"memory": "64Mi"}}}))

    def reason() -> str:
        states = lab.get("pod", "greedy")["status"].get("containerStatuses") or [{}]
        return states[0].get("state", {}).get("terminated", {}).get("reason", "")

    assert until(reason, what="the end of the greedy pod") == "OOMKilled"


@pytest.fixture(scope="module")
def volume(lab):
    """A volume with a file in it, written by a pod that is gone."""
    lab.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
         "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
        _with_volume(lab, "writer", "echo kept > /data/file; stat -c %g /data > /data/group; sleep infinity"),
    )
    lab.ready("writer")
    until(lambda: lab.kubectl("exec", "writer", "--", "cat", "/data/file").strip() == "kept", what="the file")
    lab.kubectl("delete", "pod", "writer", "--wait")
    return "data"


def _with_volume(lab: Lab, name: str, script: str) -> dict:
    return pod(name, lab.image, ["sh", "-c", script], container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
               volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}], securityContext={"fsGroup": 4242})


def test_a_volume_outlives_its_pod(lab, volume):
    lab.apply(_with_volume(lab, "reader", "sleep infinity"))
    lab.ready("reader")
    assert lab.kubectl("exec", "reader", "--", "cat", "/data/file").strip() == "kept"
    # As on a real cluster, the volume belongs to the pod's group.
    assert lab.kubectl("exec", "reader", "--", "cat", "/data/group").strip() == "4242"


def test_network_policies_are_enforced(lab):
    until(lambda: lab.reaches("other", "http://web") and lab.reaches("shell", "http://web"), what="the way without a policy")

    def policy(name: str, selected: str, **spec) -> dict:
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name},
                "spec": {"podSelector": {"matchLabels": {"app": selected}}, **spec}}

    allowed = [{"podSelector": {"matchLabels": {"app": "other"}}}]
    lab.apply(policy("in", "web", policyTypes=["Ingress"], ingress=[{"from": allowed}]))
    try:
        until(lambda: not lab.reaches("shell", "http://web", 1), what="the ban of a pod that is not named")
        until(lambda: lab.reaches("other", "http://web"), what="the way of the pod that is named")
        lab.apply(policy("out", "other", policyTypes=["Egress"], egress=[]))
        until(lambda: not lab.reaches("other", "http://web", 1), what="the ban of traffic that leaves")
    finally:
        lab.kubectl("delete", "networkpolicy", "--all")
    until(lambda: lab.reaches("other", "http://web", 1) and lab.reaches("shell", "http://web", 1), what="the end of the ban")


# -- what heals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kube-apiserver", "etcd", "kubelet", "containerd", "kube-proxy", "kube-router"])
def test_a_killed_component_comes_back(cluster, layout, lab, name):
    inside = until(lambda: supervisor.programs(layout.supervisor_socket)[name]["pid"], what="the supervisor")
    running = process.find(layout)
    _host_pid(running, inside)
    os.kill(_host_pid(running, inside), signal.SIGKILL)

    def back() -> bool:
        state = supervisor.programs(layout.supervisor_socket)[name]
        return state["statename"] == "RUNNING" and state["pid"] != inside

    until(back, seconds=120, what=f"the return of {name}")
    until(lambda: cluster.kubectl("get", "--raw", "/readyz").strip() == "ok", what="the API server")
    assert until(lambda: lab.kubectl("exec", "other", "--", "echo", "here").strip()) == "here"


def _host_pid(running: process.Running, inside: int) -> int:
    """The host's pid of a process inside the node."""
    for pid in _members(running):
        try:
            lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
        except FileNotFoundError:
            continue  # it has ended meanwhile
        chain = next(line.split()[1:] for line in lines if line.startswith("NSpid:"))
        if len(chain) == 2 and chain[1] == str(inside):
            return pid
    raise AssertionError(f"no process {inside} inside")


def _members(running: process.Running) -> set[int]:
    """Every process that is below process 1 inside."""
    parents = {int(entry.name): process.stat(int(entry.name))[0] for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    members = {running.init}
    while True:
        more = {pid for pid, parent in parents.items() if parent in members} - members
        if not more:
            return members
        members |= more


def test_power_cut(cluster, layout, lab, volume):
    """All processes die at once; a plain run brings everything back, with its data."""
    running = process.find(layout)
    for pid in [running.outer, *_members(running)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: process.find(layout) is None, what="the end")
    until(lambda: not cgroup.processes(f"openmlops-{cluster.name}", cgroup.hierarchies()), what="the end of all pods")
    cluster.run().ok()
    lab.ready("web")
    lab.ready("reader")
    assert lab.kubectl("exec", "reader", "--", "cat", "/data/file").strip() == "kept"
    until(lambda: lab.reaches("other", "http://web"), what="the Service")


def test_a_removed_volume_leaves_no_folder(layout, lab, volume):
    folders = [path for path in (layout.root / "volumes").iterdir() if f"_{SPACE}_" in path.name]
    assert folders
    lab.kubectl("delete", "pod", "reader", "--ignore-not-found", "--wait")
    lab.kubectl("delete", "pvc", volume, "--wait")
    until(lambda: not any(path.exists() for path in folders), what="the removal of the folder")


# -- a second cluster, and what it leaves -----------------------------------------------------------------------------


def host_state(name: str, link: str) -> dict[str, set[str]]:
    """What a cluster could leave on the host."""
    def lines(*command: str) -> set[str]:
        return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines())

    return {
        "mounts": {line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line or "/run/node" in line},
        "links": {line for line in lines("ip", "-brief", "link") if link in line},
        "routes": {line for line in lines("ip", "route") if link in line},
        "rules": {re.sub(r"\[\d+:\d+\]|packets \d+ bytes \d+", "", line) for line in lines("nft", "list", "ruleset")},
        "cgroups": {str(point / f"openmlops-{name}") for point in cgroup.hierarchies() if (point / f"openmlops-{name}").exists()},
        "processes": {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and _names(entry, name)},
        "sysctl": {Path("/proc/sys", item).read_text() for item in ("kernel/panic", "vm/overcommit_memory", "net/ipv4/ip_forward")},
        "files": {str(path) for path in (Path("/var/lib/kubelet"), Path("/var/lib/cni"), Path("/run/node"),
                                         Path("/var/log/pods"), Path("/etc/cni/net.d/10-pods.conflist")) if path.exists()},
    }


def _names(entry: Path, name: str) -> bool:
    """Whether a process belongs to the cluster *name*."""
    try:
        return f"/{name}/etc/init".encode() in (entry / "cmdline").read_bytes() or (
            f"/openmlops-{name}/" in (entry / "cgroup").read_text())
    except OSError:
        return False


def test_a_second_cluster_stands_beside_and_leaves_nothing(cluster, layout, lab):
    sandbox = re.search(r'sandbox_image = "(.+)"', (layout.etc / "containerd.toml").read_text()).group(1)
    binaries = {name: str(layout.bin / name) for name in ("kubernetes", "kube-router")}
    name = f"{cluster.name}-2"
    node = Node(layout.base, Settings(name, binaries, sandbox), print)
    node.absent()
    before = host_state(name, node.settings.link)
    try:
        begin = time.monotonic()
        facts = node.present()
        print(f"second cluster: {time.monotonic() - begin:.1f} s")
        assert facts["changed"] and facts["node_address"] != cluster.facts["node_address"]
        assert cluster.kubectl("get", "--raw", "/readyz").strip() == "ok"
        copied = _export(layout, sandbox)
        images.import_missing(node.layout, {sandbox: copied}, print)
        # The sandbox's own program is enough for a pod that runs until it is told to end.
        second = Lab(type(cluster)(name, cluster.state_dir), sandbox)
        second.cluster.kubectl("create", "namespace", SPACE)
        until(lambda: second.get("serviceaccount", "default"), what="the service account")
        second.apply(pod("lonely", sandbox, ["/pause"]))
        second.ready("lonely")
        assert host_state(name, node.settings.link) != before
        assert node.stopped() is True
        assert host_state(name, node.settings.link) == before
        assert node.stopped() is False
        # A start that is killed is finished by the next one, and two at once agree. The data is still there.
        context = multiprocessing.get_context("fork")
        killed = context.Process(target=node.present)
        killed.start()
        time.sleep(0.7)
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        both = [context.Process(target=node.present) for _run in range(2)]
        for run in both:
            run.start()
        for run in both:
            run.join(400)
        assert [run.exitcode for run in both] == [0, 0]
        assert node.present()["changed"] is False
        until(lambda: second.get("pod", "lonely")["status"]["containerStatuses"][0]["restartCount"] >= 1, what="the pod's return")
    finally:
        assert node.absent() is True
    assert host_state(name, node.settings.link) == before
    assert not node.layout.root.exists()
    assert cluster.kubectl("get", "--raw", "/readyz").strip() == "ok"


def _export(layout: Layout, reference: str) -> Path:
    """An archive of an image of the running cluster."""
    target = layout.root / "run" / "sandbox.tar"
    done = process.enter(process.find(layout), [*images.CTR, "images", "export", "/run/node/run/sandbox.tar", reference])
    assert done.returncode == 0, done.stderr
    return target
