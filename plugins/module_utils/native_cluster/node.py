# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a native cluster: present, stopped, absent. Each ends in the same state wherever an earlier run stopped."""

from __future__ import annotations

import calendar
import contextlib
import datetime
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import (
    bootstrap,
    cgroup,
    config,
    hostnet,
    pki,
    preflight,
    process,
    supervisor,
)
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.api import Api
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.files import place, read_json, write, write_json
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.lock import hold
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import DOMAIN, PROGRAMS, Addresses, Settings


class NodeEnded(NodeError):
    """The node came to its end while it was waited for."""


START_SECONDS = 180
# How long pods may take to end when the cluster is stopped, in seconds.
GRACE_SECONDS = 8.0
LEASE_SECONDS = 40


class Node:
    """One native cluster.

    Args:
        base: folder of all clusters.
        settings: what the cluster is made of.
        say: called with lines of progress.
    """

    def __init__(self, base: Path, settings: Settings, say: Callable[[str], None]) -> None:
        self.layout = Layout(base, settings.name)
        self.settings = settings
        self.say = say

    # -- the three states ---------------------------------------------------------------------------------------------

    def present(self) -> dict[str, Any]:
        """Start the cluster, or bring back what is missing of it.

        Returns:
            ``changed`` and the facts of the cluster (see facts()).

        Raises:
            NodeError: it cannot be started; the message says what is in the way.
        """
        running = process.find(self.layout)
        if running:
            full = preflight.disk_problems(self.layout.base, preflight.TIGHT_BYTES)
            if full:
                raise NodeError(full[0])
        if running and self._fresh() and self._ready():
            return {"changed": False, **self.facts()}
        with self._locked():
            running = process.find(self.layout)
            changed = False
            if running and not self._fresh():
                self.say(f"cluster {self.settings.name}: its settings or programs changed, starting it again")
                self._stop(running)
                running, changed = None, True
            if running:
                try:
                    changed = self._attach(running) or changed
                    changed = self._wait(running) or changed
                except NodeEnded:
                    # It was on its way out, since a run that stopped it was killed.
                    running = None
            if not running:
                self._start()
                self._wait(process.find(self.layout))
                changed = True
            return {"changed": changed, **self.facts()}

    def stopped(self) -> bool:
        """End the cluster and keep its data; returns whether anything was there to end."""
        with self._locked():
            running = process.find(self.layout)
            if not running and process.namesake(self.layout):
                # Control groups of this name are those of the other one.
                return False
            points = cgroup.hierarchies()
            left = any((point / self.settings.cgroup).exists() for point in points)
            if not running and not left:
                return False
            self._stop(running)
            return True

    def absent(self) -> bool:
        """End the cluster and remove its data; returns whether anything was there."""
        changed = self.stopped()
        with self._locked():
            if self.layout.root.exists():
                shutil.rmtree(self.layout.root)
                changed = True
        with contextlib.suppress(OSError):  # other clusters are in it
            self.layout.base.rmdir()
        return changed

    def exists(self) -> bool:
        """Whether the cluster runs or has data."""
        return self.layout.root.exists() or process.find(self.layout) is not None

    def would_change(self) -> bool:
        """Whether present() would start or change anything; nothing is done."""
        running = process.find(self.layout)
        return not (running and self._fresh() and self._ready())

    def facts(self) -> dict[str, Any]:
        """What others need to know of the cluster: kubeconfig, context and addresses."""
        known = read_json(self.layout.facts)
        return {
            "kubeconfig": str(self.layout.kubeconfig), "context": self.settings.context,
            "gateway_address": known.get("node_address", ""), "node_address": known.get("node_address", ""),
            "host_address": known.get("host_address", ""), "node_name": self.settings.node_name,
            "service_cidr": self.settings.service_cidr, "pod_cidr": self.settings.pod_cidr,
            "dns_address": self.settings.service_address(10), "volumes": str(self.layout.root / "volumes"),
            "version": known.get("version", ""),
        }

    def addresses(self) -> Addresses:
        """The network between host and node: the one that is in use, or the one that a start would take now."""
        known = read_json(self.layout.facts).get("node_cidr", "")
        if known and process.find(self.layout):
            return Addresses(known)
        others = hostnet.siblings(self.layout.base, self.settings.name)
        # Before the packages are installed nobody can be asked which networks are taken.
        taken = None if shutil.which("ip", path=process.SEARCH_PATH) else []
        return hostnet.choose(self.settings.node_cidr, known, self.settings.link, others, taken)

    # -- starting -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Write the files and start the namespaces; nothing of the cluster runs when this is called."""
        found = preflight.problems(self.layout.base)
        missing = preflight.missing_packages()
        if missing:
            found.append(f"Debian packages are missing: apt-get install {' '.join(missing)}")
        other = process.namesake(self.layout)
        if other:
            found.append(f"A cluster named {self.settings.name} with another state folder runs on this machine ({other}). "
                         "Give this one another local_cluster_name, or stop that one first.")
        if found:
            raise NodeError(" ".join(found))
        earlier = read_json(self.layout.facts)
        self._refuse_moves(earlier)
        self._load_modules()
        # What a killed run or a power cut left of the host's part.
        points = cgroup.hierarchies()
        process.send(cgroup.processes(self.settings.cgroup, points), signal.SIGKILL)
        cgroup.remove(self.settings.cgroup, points)
        link = self.settings.link
        # The kernel takes its time to take a dead network namespace apart; its link must not be taken for a new one.
        hostnet.detach(link)
        addresses = self.addresses()
        self._write(addresses, earlier)
        self.say(f"cluster {self.settings.name}: starting at {addresses.node}")
        running = process.start(self.layout)
        self._attach(running, addresses)

    def _write(self, addresses: Addresses, earlier: dict[str, Any]) -> None:
        """Write everything that the node reads."""
        layout, settings = self.layout, self.settings
        for folder in layout.folders():
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Data of the cluster is for root only; a pod gets at its own volume by a mount.
        layout.root.chmod(0o700)
        (layout.root / "run" / "go").unlink(missing_ok=True)
        wanted = pki.leaves(settings.node_name, addresses.node, settings.service_address(1), DOMAIN)
        _made, renew_at = pki.ensure(layout.pki, wanted)
        for name, source in settings.binaries.items():
            if name in PROGRAMS:
                place(Path(source), layout.bin / name)
        for stale in (layout.etc / "programs").glob("*"):
            stale.unlink()
        for path, (content, mode) in config.files(layout, settings, addresses).items():
            write(path, content, mode)
        write_json(layout.facts, {
            **earlier, "name": settings.name, "node_cidr": addresses.cidr, "node_address": addresses.node,
            "host_address": addresses.host, "pod_cidr": settings.pod_cidr, "service_cidr": settings.service_cidr,
            "digest": settings.digest(), "renew_at": int(renew_at.timestamp()),
        })

    def _attach(self, running: process.Running, addresses: Addresses | None = None) -> bool:
        """Give the node its network and its control group, and let it go on; returns whether that was still to do."""
        if process.program(running.init) != process.SHELL:
            return False
        addresses = addresses or Addresses(read_json(self.layout.facts)["node_cidr"])
        cgroup.create(self.settings.cgroup, running.init, cgroup.hierarchies())
        hostnet.attach(self.settings.link, running.init, addresses)
        write(self.layout.root / "run" / "go", "")
        return True

    def _wait(self, running: process.Running | None) -> bool:
        """Wait until the node is ready to take pods, with a line of progress for what it waits for.

        Returns:
            Whether a program had to be started by hand, so to say.
        """
        begin, told, changed = time.monotonic(), "", False
        last_line = begin
        while True:
            if not running or not running.alive():
                raise NodeEnded(f"The node of cluster {self.settings.name} ended: "
                                f"{process.tail(self.layout.logs / 'init.log') or 'no message'}")
            states = supervisor.programs(self.layout.supervisor_socket)
            if not states and not hostnet.exists(self.settings.link):
                self._attach(running)
            for name, state in states.items():
                if state["statename"] in ("STOPPED", "FATAL"):
                    supervisor.start(self.layout.supervisor_socket, name)
                    changed = True
            since = self._started(running)
            missing = self._missing(states, since) or self._unseen_pods(since)
            if not missing:
                self._finish(time.monotonic() - begin, changed or bool(told))
                return changed
            now = time.monotonic()
            if missing != told or now - last_line > 15:
                self.say(f"cluster {self.settings.name}: waiting for {missing} ({now - begin:.0f} s)")
                told, last_line = missing, now
            if now - begin > START_SECONDS:
                raise NodeError(f"Cluster {self.settings.name} is not ready after {START_SECONDS} s, waiting for {missing}. "
                                f"{self._last_words(states)}Logs: {self.layout.logs}")
            time.sleep(0.1)

    def _finish(self, seconds: float, waited: bool) -> None:
        """What remains once the API answers: the rights of our own components, the host's route, the version."""
        known = read_json(self.layout.facts)
        api = Api(known["node_address"], self.layout.pki)
        bootstrap.ensure(api)
        addresses = Addresses(known["node_cidr"])
        known["routes"] = hostnet.route(self.settings.link, addresses, [self.settings.service_cidr])
        known["version"] = (api.get("/version") or {}).get("gitVersion", known.get("version", ""))
        write_json(self.layout.facts, known)
        if waited:
            self.say(f"cluster {self.settings.name}: ready after {seconds:.1f} s, Kubernetes {known['version']}")

    def _missing(self, states: dict[str, dict[str, Any]], since: float) -> str:
        """What the node still lacks, in words; "" when it is ready."""
        if not states:
            return "the supervisor"
        api = Api(read_json(self.layout.facts).get("node_address", ""), self.layout.pki)
        status, answer = api.request("GET", "/readyz")
        if status != 200:
            return f"the API server ({_short(answer)})"
        node = api.get(f"/api/v1/nodes/{self.settings.node_name}")
        if node is None:
            return "the kubelet to register its node"
        ready = _condition(node, "Ready")
        if self._heard(api, ready) < since:
            return "the kubelet"
        if ready.get("status") != "True":
            return f"the node to become ready ({_short(ready.get('message', ''))})"
        if api.get("/api/v1/namespaces/default/serviceaccounts/default") is None:
            return "the controller manager"
        down = sorted(name for name, state in states.items() if state["statename"] not in ("RUNNING", "STARTING"))
        return f"{', '.join(down)} to come back" if down else ""

    def _unseen_pods(self, since: float) -> str:
        """Pods whose state is still told as before the node ended, in words; "" when there are none.

        Whoever waits for a Deployment right after a restart would otherwise be told that it is ready.
        """
        api = Api(read_json(self.layout.facts).get("node_address", ""), self.layout.pki)
        listed = api.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{self.settings.node_name}") or {}
        old = [pod["metadata"]["name"] for pod in listed.get("items", []) if _told_ready_before(pod, since)]
        return f"the kubelet to look at {len(old)} pods again" if old else ""

    def _heard(self, api: Api, ready: dict[str, Any]) -> float:
        """When the kubelet last spoke: it renews a lease, which a new node gets late, and reports its state now and then."""
        lease = api.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{self.settings.node_name}")
        renewed = ((lease or {}).get("spec") or {}).get("renewTime", "")
        return max(_timestamp(renewed), _timestamp(ready.get("lastHeartbeatTime", "")))

    def _ready(self) -> bool:
        """Whether everything runs, asked once."""
        states = supervisor.programs(self.layout.supervisor_socket)
        return not self._missing(states, since=time.time() - LEASE_SECONDS)

    def _fresh(self) -> bool:
        """Whether the running node was started from the present settings, and its certificates last."""
        known = read_json(self.layout.facts)
        if self.settings.node_cidr and self.settings.node_cidr != known.get("node_cidr"):
            return False
        return known.get("digest") == self.settings.digest() and known.get("renew_at", 0) > time.time()

    @staticmethod
    def _started(running: process.Running) -> float:
        """Unix time at which the node was started."""
        ticks = process.stat(running.init)[2]
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        # Lease times are cut to microseconds and clocks of virtual machines move: a second of slack.
        return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK")) - 1

    def _last_words(self, states: dict[str, dict[str, Any]]) -> str:
        """The last log lines of the programs that do not stay up."""
        down = [name for name, state in states.items() if state["statename"] not in ("RUNNING", "STARTING")]
        return "".join(f"{name}: {process.tail(self.layout.logs / (name + '.log'))}. " for name in down)

    def _refuse_moves(self, earlier: dict[str, Any]) -> None:
        """Networks are written into every Service and pod of a cluster, so they cannot change under its data."""
        for option in ("pod_cidr", "service_cidr"):
            was, wanted = earlier.get(option), getattr(self.settings, option)
            if was and was != wanted and (self.layout.root / "etcd" / "member").exists():
                raise NodeError(f"Cluster {self.settings.name} was made with local_cluster_{option} {was}; it cannot become "
                                f"{wanted} while its data is kept. Set it back, or remove the cluster with its data first.")

    @staticmethod
    def _load_modules() -> None:
        """Load what the kernel does not load by itself. A kernel without modules has it built in."""
        if not Path("/proc/sys/net/bridge").exists() and shutil.which("modprobe", path=process.SEARCH_PATH):
            subprocess.run(  # pylint: disable=ansible-bad-function  # run on the controller
                ["modprobe", "br_netfilter"], check=False, capture_output=True, env={"PATH": process.SEARCH_PATH})

    # -- stopping -----------------------------------------------------------------------------------------------------

    def _stop(self, running: process.Running | None) -> None:
        """End the node: pods first, then its programs, then its namespaces and control groups."""
        points = cgroup.hierarchies()
        if running:
            self.say(f"cluster {self.settings.name}: stopping")
            # Whoever would start a container again ends first.
            supervisor.stop(self.layout.supervisor_socket, ["kubelet"])
            pods = cgroup.processes(self.settings.cgroup, points, "kubepods")
            containers = set(process.container_inits(pods))
            process.send(containers, signal.SIGTERM)
            process.wait_gone(containers, GRACE_SECONDS)
            # kill -TERM of process 1 lets the supervisor end etcd and the others in order.
            process.send([running.init], signal.SIGTERM)
            everything = cgroup.processes(self.settings.cgroup, points) | {running.init, running.outer}
            if process.wait_gone({running.init}, 15):
                process.send([running.init], signal.SIGKILL)
            left = process.wait_gone(everything, 5)
            process.send(left, signal.SIGKILL)
            process.wait_gone(left, 5)
        stray = cgroup.processes(self.settings.cgroup, points)
        process.send(stray, signal.SIGKILL)
        process.wait_gone(stray, 5)
        stuck = cgroup.remove(self.settings.cgroup, points)
        if stuck:
            raise NodeError(f"Control groups could not be removed: {', '.join(map(str, stuck))}")
        hostnet.detach(self.settings.link)
        shutil.rmtree(self.layout.root / "run", ignore_errors=True)

    def _locked(self):
        """The lock of this cluster."""
        return hold(self.layout.lock, f"cluster {self.settings.name}", self.say)


def _condition(node: dict[str, Any], kind: str) -> dict[str, Any]:
    """The condition *kind* of a Node or Pod; empty when it has none."""
    for condition in node.get("status", {}).get("conditions", []):
        if condition["type"] == kind:
            return condition
    return {}


def _told_ready_before(pod: dict[str, Any], since: float) -> bool:
    """Whether a pod counts as ready for containers that were started before *since*, all of which have ended."""
    status = pod.get("status") or {}
    if status.get("phase") != "Running" or _condition(pod, "Ready").get("status") != "True":
        return False
    starts = [((entry.get("state") or {}).get("running") or {}).get("startedAt", "")
              for entry in status.get("containerStatuses") or []]
    return any(text and _timestamp(text) < since for text in starts)


def _timestamp(text: str) -> float:
    """Unix time of a time as the API writes it, for instance 2026-11-23T08:00:00.123456Z; 0 when there is none."""
    if not text:
        return 0.0
    whole, _dot, fraction = text.rstrip("Z").partition(".")
    parsed = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed.timetuple()) + float(f"0.{fraction or 0}")


def _short(answer: Any) -> str:
    """The first words of an answer, for a line of progress."""
    if isinstance(answer, dict):
        answer = answer.get("message", "")
    text = " ".join(str(answer).split())
    if "[-]" in text:
        # The API server lists its checks; the first that failed says it all.
        text = text.split("[-]")[1].split("[+]")[0].strip().removesuffix("failed: reason withheld").strip()
    return text[:120] or "no answer"
