# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge.pods import PULL_GRACE, SCHEDULE_GRACE, trouble


def pod(phase="Running", containers=(), init=(), conditions=(), **status):
    return {"metadata": {"name": "p", "namespace": "ml"}, "status": {
        "phase": phase, "conditions": list(conditions), "initContainerStatuses": list(init), "containerStatuses": list(containers), **status}}


def container(state, name="main", last=None, restarts=0, ready=False):
    return {"name": name, "image": "example.org/x:1", "state": state, "lastState": last or {}, "restartCount": restarts, "ready": ready}


def waiting(reason, message="", **rest):
    return container({"waiting": {"reason": reason, "message": message}}, **rest)


def ended(code, reason="Error"):
    return {"terminated": {"exitCode": code, "reason": reason}}


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient memory"}


@pytest.mark.parametrize(
    "fine",
    [
        pod(containers=[container(RUNNING, ready=True)]),
        pod(containers=[container(RUNNING, ready=True, last=ended(1), restarts=9)]),
        pod(containers=[container(RUNNING, ready=True)], init=[container(ended(0, "Completed"), "init", ready=True)]),
        pod("Succeeded", [container(ended(0, "Completed"))]),
        # an init container that failed once and then succeeded
        pod(containers=[container(RUNNING, ready=True)], init=[container(ended(0), "init", last=ended(1), restarts=1, ready=True)]),
    ],
)
def test_no_trouble(fine):
    assert trouble(fine) is None


@pytest.mark.parametrize(
    ("found", "name", "reason", "patience", "crashed"),
    [
        (pod("Pending", conditions=[UNSCHEDULABLE]), "", "unschedulable: 0/1 nodes: Insufficient memory", SCHEDULE_GRACE, False),
        (pod("Pending"), "", "starting", None, False),
        (pod("Pending", [waiting("ContainerCreating")]), "", "not ready", None, False),
        (pod("Pending", [waiting("ImagePullBackOff", "Back-off pulling")]), "main", "ImagePullBackOff (example.org/x:1): Back-off",
         PULL_GRACE, False),
        (pod("Pending", [waiting("ErrImagePull", "not found")]), "main", "not found", PULL_GRACE, False),
        (pod("Pending", [waiting("ErrImageNeverPull")]), "main", "not on the node", 20.0, False),
        (pod("Pending", [waiting("InvalidImageName", "couldn't parse")]), "main", "is not valid", 20.0, False),
        (pod("Pending", [waiting("CreateContainerConfigError", 'secret "db" not found')]), "main", 'secret "db" not found', 20.0, False),
        (pod(containers=[waiting("CrashLoopBackOff", last=ended(3), restarts=2)]), "main", "crashed 2 times (exit code 3)", None, True),
        (pod(containers=[waiting("CrashLoopBackOff", last=ended(3), restarts=5)]), "main", "crashed 5 times", 0.0, True),
        (pod(containers=[container(ended(1))]), "main", "crashed 1 times (exit code 1)", None, True),
        (pod(containers=[container(RUNNING, last=ended(1), restarts=1)]), "main", "crashed 1 times", None, True),
        (pod(containers=[waiting("CrashLoopBackOff", last=ended(137, "OOMKilled"), restarts=6)]), "main", "want of memory", 0.0, True),
        (pod(containers=[container(RUNNING, last=ended(137, "OOMKilled"), restarts=1)]), "main", "want of memory", None, True),
        # a program that cannot be started writes no log: the runtime's message is all there is
        (pod(containers=[waiting("CrashLoopBackOff", last={"terminated": {
            "exitCode": 128, "reason": "StartError", "message": 'exec: "/none": no such file or directory'}}, restarts=1)]),
         "main", "no such file or directory", None, True),
        (pod("Pending", [waiting("PodInitializing")], [waiting("CrashLoopBackOff", name="init", last=ended(2), restarts=7)]),
         "init", "crashed 7 times (exit code 2)", 0.0, True),
        (pod("Pending", [waiting("PodInitializing")], [waiting("ImagePullBackOff", name="init")]), "init", "ImagePullBackOff", PULL_GRACE, False),
        (pod("Pending", [waiting("PodInitializing")], [container(RUNNING, "init")]), "", "not ready", None, False),
        (pod("Pending", [waiting("SomethingNew", "says why")]), "main", "SomethingNew: says why", None, False),
        (pod(containers=[container(RUNNING)]), "", "running, not ready yet", None, False),
        (pod("Failed", [container(ended(1))]), "main", "exit code 1", None, True),
        (pod("Failed", reason="Evicted", message="The node was low on resource: memory"), "", "low on resource: memory", None, True),
        (pod("Failed", reason="Evicted"), "", "Evicted", None, True),
        # the second container tells more than the first
        (pod(containers=[container(RUNNING, ready=True), waiting("ErrImagePull", "denied", name="side")]), "side", "denied", PULL_GRACE, False),
    ],
)
def test_trouble(found, name, reason, patience, crashed):
    told = trouble(found)
    assert (told.namespace, told.pod, told.container) == ("ml", "p", name)
    assert reason in told.reason
    assert (told.patience, told.crashed) == (patience, crashed)


def test_pod_without_status():
    assert trouble({"metadata": {"name": "p", "namespace": "ml"}}).reason == "starting"
