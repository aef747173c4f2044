# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a Job to its end and returns what it said last."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import apply_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster


def run(cluster: Cluster, job: Object, waiter: Waiter) -> list[str]:
    """Runs a Job and removes it; returns the last lines of all its containers, in their order.

    A Job of the same name that is there already was started by a run that was killed: it is waited for. One that failed is
    made anew.

    Raises:
        WaitError: when the Job fails, with the last words of its pod. It stays, to be looked at.
    """
    labelled = {**job, "metadata": {**job["metadata"], "labels": {**LABELS, **(job["metadata"].get("labels") or {})}}}
    apply_objects(cluster, [labelled])
    waiter.wait([labelled])
    lines = list(_last_lines(cluster, labelled))
    cluster.delete(labelled)
    return lines


def _last_lines(cluster: Cluster, job: Object) -> t.Iterator[str]:
    meta = job["metadata"]
    found = cluster.list("v1", "Pod", meta["namespace"], label_selector=f"batch.kubernetes.io/job-name={meta['name']}")
    done = [pod for pod in found if (pod.get("status") or {}).get("phase") == "Succeeded"]
    for pod in done[:1]:
        for container in (pod["spec"].get("initContainers") or []) + pod["spec"]["containers"]:
            text = cluster.logs(meta["namespace"], pod["metadata"]["name"], container["name"], 1).strip()
            if text:
                yield text.splitlines()[-1]
