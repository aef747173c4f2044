# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage classes, processors and memory."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.preflight import room, workloads
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

DEFAULT = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}


def container(cpu="100m", memory="128Mi", **fields):
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}, **fields}


def deployment(name, replicas, *containers, **spec):
    return manifest("Deployment", name, "ml", spec={"replicas": replicas, "template": {"spec": {"containers": list(containers), **spec}}})


def node(name="n", cpu="2", memory="4Gi", ready="True", **spec):
    return manifest("Node", name, spec=spec, status={"allocatable": {"cpu": cpu, "memory": memory},
                                                     "conditions": [{"type": "Ready", "status": ready}]})


def pod(space, cpu="1", on="n", phase="Running"):
    return manifest("Pod", "p", space, spec={"nodeName": on, "containers": [container(cpu)]}, status={"phase": phase})


@pytest.mark.parametrize(
    ("spec", "cpu", "mebibytes"),
    [
        ({"containers": [container(), container("1", "1Gi")]}, "1.1", 1152),
        ({"containers": [container()], "initContainers": [container("2", "64Mi")]}, "2", 128),
        ({"containers": [container()], "initContainers": [container("2", "64Mi", restartPolicy="Always")]}, "2.1", 192),
        ({"containers": [{"resources": {"limits": {"cpu": "3", "memory": "1G"}}}]}, "3", 954),
        ({"containers": [{}]}, "0", 0),
    ],
)
def test_what_a_pod_asks_for(spec, cpu, mebibytes):
    found = workloads.requests(spec)
    assert (str(found.cpu.normalize()), round(found.memory / 2**20)) == (cpu, mebibytes)


def test_groups_of_pods():
    cluster = manifest("Cluster", "pg", "ml", spec={"instances": 3, "resources": {"requests": {"cpu": "500m"}}})
    found = workloads.groups([deployment("d", None, container()), deployment("none", 0, container()), cluster, manifest("Job", "j", "ml"),
                              manifest("DaemonSet", "s", "ml", spec={"template": {"spec": {"containers": [container()]}}})])
    assert [(group.owner.name, group.number) for group in found] == [("d", 1), ("none", 0), ("pg", 3), ("s", 0)]


@pytest.mark.parametrize(
    ("classes", "wanted", "levels", "said"),
    [
        ([("fast", {})], "fast", ["ok"], "volumes of fast"),
        ([("fast", DEFAULT)], "", ["ok"], "fast (the default)"),
        ([("fast", {})], "slow", ["error"], "storage class slow is not there (PersistentVolumeClaim ml/c); the cluster has fast"),
        ([], "", ["error"], "no default storage class"),
        ([("a", DEFAULT), ("b", DEFAULT)], "", ["warning"], "several storage classes are the default: a, b"),
    ],
)
def test_storage(wants, classes, wanted, levels, said):
    claim = manifest("PersistentVolumeClaim", "c", "ml", spec={"storageClassName": wanted} if wanted else {})
    told = room.storage(wants(claim), [manifest("StorageClass", name, metadata=meta) for name, meta in classes])
    assert [entry.level for entry in told] == levels and said in told[0].cause


def test_who_wants_volumes():
    found = workloads.storage_classes([
        manifest("StatefulSet", "s", "ml", spec={"volumeClaimTemplates": [{"spec": {"storageClassName": "a"}}]}),
        manifest("Cluster", "pg", "ml", spec={"storage": {"storageClass": "b", "size": "1Gi"}, "walStorage": {"size": "1Gi"}}),
        manifest("PersistentVolumeClaim", "bound", "ml", spec={"volumeName": "v"}), manifest("ConfigMap", "c", "ml"),
    ])
    assert {name: len(owners) for name, owners in found.items()} == {"a": 1, "b": 1, "": 1}


@pytest.mark.parametrize(
    ("nodes", "pods", "grows", "levels", "said"),
    [
        ([node()], [], False, ["ok"], "the pods ask for 1.5 CPU and 384 MiB, and 1 nodes have 2 CPU and 4096 MiB"),
        # The platform's own pods, finished ones and those on other nodes take no room.
        ([node()], [pod("ml"), pod("x", phase="Succeeded"), pod("x", on="gone")], False, ["ok"], "2 CPU"),
        ([node()], [pod("x")], False, ["error"], "1 nodes have 1 CPU"),
        ([node()], [pod("x")], True, ["warning"], "an autoscaler may add nodes"),
        ([node("a", "400m"), node("b", "400m"), node("c", "1")], [], False, ["ok"], "3 nodes"),
        ([node("a", "400m"), node("b", "400m")], [], False, ["error", "error"], "no node has room for a pod of Deployment ml/d"),
        ([node(ready="False"), node(unschedulable=True), node(taints=[{"effect": "NoSchedule"}])], [], False, ["error"], "none of the 3 nodes"),
    ],
)
def test_capacity(wants, nodes, pods, grows, levels, said):
    needs = wants(deployment("d", 3, container("500m")))
    told = room.capacity(needs, nodes, pods, grows)
    assert [entry.level for entry in told] == levels and said in told[0].cause
