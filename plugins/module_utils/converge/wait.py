# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for many objects at once, says what is still missing and why, and stops when waiting cannot help."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import pods, readiness
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, Ref, ref
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster

_THREADS = 8
_SAY_SECONDS = 10.0
_REASON_LENGTH = 300

Say = t.Callable[[str], None]


class WaitError(Exception):
    """Something will not become ready; the message says what and why."""


@dataclasses.dataclass
class Missing:
    """An object that is not ready: its live form (None when absent), and the reason for people."""

    wanted: Object
    live: Object | None
    reason: str
    failed: bool = False

    def __str__(self) -> str:
        return f"{ref(self.wanted)}: {self.reason}"


class Waiter:
    """Watches a set of objects until all are ready.

    Args:
        cluster: where they are.
        say: prints one line of progress.
        timeout: seconds after which waiting ends in any case.
        schedule_grace: seconds during which an unschedulable pod may still get a node.
    """

    def __init__(self, cluster: Cluster, say: Say, timeout: float, schedule_grace: float = pods.SCHEDULE_GRACE) -> None:
        self._cluster = cluster
        self._say = say
        self._timeout = timeout
        self._schedule_grace = schedule_grace
        self._since: dict[tuple[str, str, str], float] = {}
        # What pods of an object said last: one that is just being tried again says nothing.
        self._words: dict[Ref, str] = {}

    def wait(self, wanted: list[Object]) -> float:
        """Waits until everything is ready and returns the seconds it took.

        Raises:
            WaitError: when something cannot become ready, or the time is over.
        """
        started = time.monotonic()
        pending = [obj for obj in wanted if readiness.has_rule(obj)]
        total, said, said_at, pause = len(pending), "", started - _SAY_SECONDS + 3.0, 0.1
        while pending:
            missing = self.look(pending)
            if not missing:
                break
            pending = [entry.wanted for entry in missing]
            self._stop_if_hopeless(missing)
            self._unblock(missing)
            now = time.monotonic()
            if now - started > self._timeout:
                raise WaitError(f"not ready after {self._timeout:.0f} s (platform_wait_timeout): "
                                + "; ".join(map(self._with_earlier_words, missing)))
            line = _progress(missing, total, now - started)
            if now - said_at >= _SAY_SECONDS and line != said:
                self._say(line)
                said, said_at = line, now
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        return time.monotonic() - started

    def look(self, wanted: list[Object]) -> list[Missing]:
        """Returns what is not ready right now, each with its reason."""
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(self._look_at, wanted))
        return [entry for entry in found if entry is not None]

    def _look_at(self, obj: Object) -> Missing | None:
        live = self._cluster.live(obj)
        state = readiness.state_of(live)
        if state.ready:
            return None
        missing = Missing(obj, live, state.reason, state.verdict == readiness.FAILED)
        troubles = self._troubles(live)
        hopeless = [trouble for trouble in troubles if self._given_up(trouble)]
        missing.failed = missing.failed or bool(hopeless)
        for trouble in (hopeless or troubles)[:1]:
            told = f"pod {trouble.pod}: {self._told(trouble, missing.failed)}"
            missing.reason = f"{state.reason}; {told}"
            if trouble.crashed:
                self._words[ref(obj)] = told
        return missing

    def _with_earlier_words(self, missing: Missing) -> str:
        words = self._words.get(ref(missing.wanted), "")
        return f"{missing}; earlier, {words}" if words and words not in missing.reason else str(missing)

    def _troubles(self, live: Object | None) -> list[pods.Trouble]:
        if live is None:
            return []
        selector = _pod_selector(live)
        if not selector:
            return []
        space = live["metadata"].get("namespace")
        if readiness.unseen(live):
            return []  # the newest revision is not known yet, and the pods of the one before say nothing about it
        found = self._cluster.list("v1", "Pod", space, label_selector=selector + self._newest(live, selector))
        if not found:
            # The troubles of older pods are told, but say nothing about what the new ones will do.
            found = self._cluster.list("v1", "Pod", space, label_selector=selector)
            return sorted((dataclasses.replace(trouble, patience=None) for trouble in map(pods.trouble, found) if trouble),
                          key=lambda entry: (not entry.crashed, entry.pod))[:3]
        alive = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
        troubles = [trouble for trouble in map(pods.trouble, alive) if trouble]
        return sorted(troubles, key=lambda entry: (entry.patience is None, not entry.crashed, entry.pod))[:3]

    def _newest(self, live: Object, selector: str) -> str:
        """Returns what narrows a selector to the pods of the newest revision: older ones only wait to be replaced."""
        if live["kind"] == "Deployment":
            sets = self._cluster.list("apps/v1", "ReplicaSet", live["metadata"].get("namespace"), label_selector=selector)
            own = [entry for entry in sets
                   if any(owner.get("uid") == live["metadata"]["uid"] for owner in entry["metadata"].get("ownerReferences") or [])]
            newest = max(own, key=_revision, default=None)
            mark = (newest or {}).get("metadata", {}).get("labels", {}).get("pod-template-hash")
            return f",pod-template-hash={mark}" if mark else ""
        if live["kind"] == "StatefulSet" and (live.get("status") or {}).get("updateRevision"):
            return f",controller-revision-hash={live['status']['updateRevision']}"
        return ""

    def _given_up(self, trouble: pods.Trouble) -> bool:
        key = (trouble.namespace, trouble.pod, trouble.reason.split(":")[0])
        first = self._since.setdefault(key, time.monotonic())
        if trouble.patience is None:
            return False
        patience = self._schedule_grace if trouble.patience == pods.SCHEDULE_GRACE else trouble.patience
        return time.monotonic() - first >= patience

    def _told(self, trouble: pods.Trouble, failed: bool) -> str:
        if not (trouble.crashed or failed):
            return trouble.reason[:_REASON_LENGTH]
        line = self._last_log_line(trouble)
        return trouble.reason[:_REASON_LENGTH] + (f"; its last words: {line}" if line else "")

    def _last_log_line(self, trouble: pods.Trouble) -> str:
        for previous in (True, False):
            text = self._cluster.logs(trouble.namespace, trouble.pod, trouble.container or None, 20, previous)
            # The kubelet says so, as if it were the log, when the container before was cleaned up.
            lines = [line.strip() for line in text.splitlines()
                     if line.strip() and not line.startswith("unable to retrieve container logs for")]
            if lines:
                return lines[-1][:_REASON_LENGTH]
        return ""

    def _unblock(self, missing: list[Missing]) -> None:
        """Deletes broken pods of older revisions of StatefulSets.

        A StatefulSet's controller replaces no pod while one is not ready, so a broken one blocks its own repair for ever
        (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback).
        """
        for live in (entry.live for entry in missing if entry.live and entry.live["kind"] == "StatefulSet"):
            newest = (live.get("status") or {}).get("updateRevision")
            if readiness.unseen(live) or not newest or readiness.updated_by_hand(live):
                continue
            for pod in self._cluster.list("v1", "Pod", live["metadata"].get("namespace"), label_selector=_pod_selector(live)):
                meta, found = pod["metadata"], pods.trouble(pod)
                old = (meta.get("labels") or {}).get("controller-revision-hash") not in (None, newest)
                if old and found and (found.crashed or found.patience is not None) and not meta.get("deletionTimestamp"):
                    self._say(f"{ref(pod)} is broken and of an older revision, so it blocks the new one: it is deleted")
                    self._cluster.delete(pod, uid=meta["uid"])

    def _stop_if_hopeless(self, missing: list[Missing]) -> None:
        failed = [entry for entry in missing if entry.failed]
        if failed:
            raise WaitError("; ".join(map(str, failed)))


def _revision(replica_set: Object) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "0")
    return int(text) if text.isdigit() else 0


def _pod_selector(live: Object) -> str:
    if live["kind"] == "Cluster":
        return f"cnpg.io/cluster={live['metadata']['name']}"
    if live["kind"] == "Job":
        return f"batch.kubernetes.io/job-name={live['metadata']['name']}"
    labels = ((live.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) if isinstance(labels, dict) else ""


def _progress(missing: list[Missing], total: int, seconds: float) -> str:
    named = "; ".join(str(entry) for entry in missing[:3])
    more = f"; and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"{seconds:4.0f} s  {total - len(missing)} of {total} ready, waiting for {named}{more}"
