# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for each cluster: a Lease in the platform's namespace, renewed while its holder works."""

from __future__ import annotations

import datetime
import os
import socket
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Conflict, KubeError

_NAME = "openmlops-run"
_SECONDS = 60
_RENEW_SECONDS = 15.0


class Busy(Exception):
    """Another run holds the cluster; the message names it."""


def own_identity() -> str:
    """Returns who this run is: host, user, process and the process's start, so that a reused number is not mistaken."""
    pid = os.getppid()  # the playbook: an action runs in a worker of its own
    user = os.environ.get("USER") or str(os.getuid())
    return f"{socket.gethostname()} {user} {pid} {_start_of(pid)} {_machine()}"


def _machine() -> str:
    """Returns what tells this running machine, and the space in which its process numbers hold, from any other."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return "unknown"


def _start_of(pid: int) -> str:
    """Returns the kernel's start time of a process (clock ticks since boot), or an empty text when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_dead(identity: str) -> bool:
    """Tells whether a holder is known to be dead: it ran on this very machine and its process is gone."""
    parts = identity.split()
    if len(parts) != 5 or parts[4] != _machine() or parts[4] == "unknown":
        return False
    return _start_of(int(parts[2])) != parts[3] if parts[2].isdigit() else False


class RunLock:
    """Holds the cluster for one run; a context manager.

    Args:
        space: namespace of the Lease; it must exist.
        patience: seconds to wait for another run before giving up.
    """

    def __init__(self, cluster: Cluster, space: str, say: t.Callable[[str], None], patience: float) -> None:
        self._cluster, self._space, self._say, self._patience = cluster, space, say, patience
        self._identity = own_identity()
        self._stop = threading.Event()
        self._lost = ""
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> RunLock:
        deadline, told = time.monotonic() + self._patience, False
        while not (holder := self._take()) == self._identity:
            if not told:
                self._say(f"another run holds this cluster ({_told(holder)}); waiting for it")
                told = True
            if time.monotonic() > deadline:
                raise Busy(
                    f"Another run holds this cluster: {_told(holder)}. Wait for it or end it, then run again. "
                    "(How long to wait is platform_lock_timeout.)"
                )
            time.sleep(1.0)
        self._renewer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._renewer.join()
        try:
            lease = self._read()
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                self._cluster.replace(lease)
        except KubeError:
            pass  # it runs out by itself

    def check(self) -> None:
        """Raises Busy when another run has taken the cluster, for instance while this machine slept."""
        if self._lost:
            raise Busy(f"This run lost the cluster to {_told(self._lost)}. Run again.")

    def _take(self) -> str:
        """Tries to become the holder and returns who the holder is now."""
        try:
            lease = self._read()
            if lease is None:
                self._cluster.create(self._lease({"name": _NAME, "namespace": self._space, "labels": dict(LABELS)}))
                return self._identity
            holder = lease["spec"].get("holderIdentity") or ""
            if holder and holder != self._identity and not (_expired(lease) or is_dead(holder)):
                return holder
            self._cluster.replace(self._lease(lease["metadata"]))
            return self._identity
        except Conflict:
            return "somebody who was a moment faster"

    def _renew(self) -> None:
        while not self._stop.wait(_RENEW_SECONDS):
            try:
                lease = self._read()
                if lease and lease["spec"].get("holderIdentity") == self._identity:
                    self._cluster.replace(self._lease(lease["metadata"]))
                elif lease:
                    self._lost = lease["spec"].get("holderIdentity") or "another run, which has ended"
            except KubeError:
                continue  # the next renewal may succeed; the run itself meets the same fault and reports it

    def _read(self) -> Object | None:
        return self._cluster.get("coordination.k8s.io/v1", "Lease", _NAME, self._space)

    def _lease(self, meta: Object) -> Object:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept = {key: meta[key] for key in ("name", "namespace", "labels", "resourceVersion") if key in meta}
        return {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": kept,
            "spec": {"holderIdentity": self._identity, "leaseDurationSeconds": _SECONDS, "renewTime": now},
        }


def _expired(lease: Object) -> bool:
    renewed = lease["spec"].get("renewTime")
    if not renewed:
        return True
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(renewed)
    return age.total_seconds() > lease["spec"].get("leaseDurationSeconds", _SECONDS)


def _told(identity: str) -> str:
    parts = identity.split()
    return f"host {parts[0]}, user {parts[1]}, process {parts[2]}" if len(parts) == 5 else identity
