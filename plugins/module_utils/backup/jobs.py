# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a Job to its end and returns what it said last; waits for those of runs that were killed."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import apply_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object
from ansible_collections.openmlops.platform.plugins.module_utils.converge.readiness import condition
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster


_SELECTOR = "openmlops.io/component=backup"


def run(cluster: Cluster, job: Object, waiter: Waiter, afresh: bool = False) -> list[str]:
    """Runs a Job and removes it; returns the last lines of all its containers, in their order.

    A Job of the same name that is there already was started by a run that was killed: it is waited for. One that failed is
    made anew.

    Args:
        afresh: remove a Job of the same name first: what it did is no longer so.

    Raises:
        WaitError: when the Job fails, with the last words of its pod. It stays, to be looked at.
    """
    if afresh and cluster.delete(job, propagation="Foreground"):
        deadline = time.monotonic() + 60.0
        while cluster.live(job) is not None and time.monotonic() < deadline:
            time.sleep(0.2)
    labelled = {**job, "metadata": {**job["metadata"], "labels": {**LABELS, **(job["metadata"].get("labels") or {})}}}
    apply_objects(cluster, [labelled])
    waiter.wait([labelled])
    lines = list(_last_lines(cluster, labelled))
    cluster.delete(labelled)
    return lines


def await_others(
    cluster: Cluster, namespace: str, say: t.Callable[[str], None], patience: float, but: str = "", prefix: str = "",
) -> None:
    """Waits until no other Job of a backup or a restore works: a run that was killed, or a schedule, may have left one.

    Args:
        but: name of the Job that does not count.
        prefix: only Jobs whose names begin so count.

    Raises:
        BackupError: when one still works after ``patience`` seconds.
    """
    deadline, told = time.monotonic() + patience, False
    while names := [name for name in _working(cluster, namespace) if name != but and name.startswith(prefix)]:
        if time.monotonic() > deadline:
            raise BackupError(f"Jobs in namespace {namespace} still work: {', '.join(names)}. Nothing was changed by this run. Wait for them, "
                              f"or delete them (kubectl delete job -n {namespace} {' '.join(names)}), then run again")
        if not told:
            say(f"waiting for Jobs in namespace {namespace} that were started before: {', '.join(names)}")
            told = True
        time.sleep(1.0)


def _working(cluster: Cluster, namespace: str) -> list[str]:
    found = cluster.list("batch/v1", "Job", namespace, label_selector=_SELECTOR)
    return [job["metadata"]["name"] for job in found if not (job.get("spec") or {}).get("suspend")
            and not any(condition(job, name).get("status") == "True" for name in ("Complete", "Failed"))]


def _last_lines(cluster: Cluster, job: Object) -> t.Iterator[str]:
    meta = job["metadata"]
    found = cluster.list("v1", "Pod", meta["namespace"], label_selector=f"batch.kubernetes.io/job-name={meta['name']}")
    done = [pod for pod in found if (pod.get("status") or {}).get("phase") == "Succeeded"]
    for pod in done[:1]:
        for container in (pod["spec"].get("initContainers") or []) + pod["spec"]["containers"]:
            text = cluster.logs(meta["namespace"], pod["metadata"]["name"], container["name"], 1).strip()
            if text:
                yield text.splitlines()[-1]
