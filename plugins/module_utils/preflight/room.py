# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is room for the plans: storage classes, processors, memory. Pure functions."""

from __future__ import annotations

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import (
    Finding, error, ok, shortened, warning,
)
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.workloads import (
    Amount, amount, groups, requests, storage_classes,
)

_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def storage(needs: Needs, classes: list[Object]) -> list[Finding]:
    """Returns a finding for each storage class that is wanted and is not there."""
    wanted = storage_classes(needs.objects)
    known = {entry["metadata"]["name"] for entry in classes}
    defaults = sorted(entry["metadata"]["name"] for entry in classes
                      if (entry["metadata"].get("annotations") or {}).get(_DEFAULT) == "true")
    there = f"the cluster has {shortened(known)}" if known else "the cluster has none"
    told: list[Finding] = []
    for name, owners in sorted(wanted.items()):
        if name and name not in known:
            told.append(error("storage", f"storage class {name} is not there ({shortened(owners, 3)}); {there}",
                              "set platform_storage_class (or the component's own <role>_storage_class) to one of them"))
        elif not name and not defaults:
            told.append(error("storage", f"the cluster has no default storage class, which {shortened(owners, 3)} would use; {there}",
                              "set platform_storage_class to one of them, or make one the default"))
    if "" in wanted and len(defaults) > 1:
        told.append(warning("storage", f"several storage classes are the default: {', '.join(defaults)}; the newest one is used",
                            "set platform_storage_class to the one that is meant"))
    names = shortened(name or f"{defaults[0]} (the default)" for name in wanted if name or defaults)
    return told or [ok("storage", f"volumes of {names}" if wanted else "no volumes are wanted")]


def capacity(needs: Needs, nodes: list[Object], pods: list[Object], grows: bool) -> list[Finding]:
    """Returns whether the pods that the plans lead to have room, as far as requests tell.

    Args:
        nodes, pods: of the whole cluster. Pods in the platform's own namespaces do not count: they are what is asked about.
        grows: whether the cluster has an autoscaler, which adds nodes.
    """
    usable = [node for node in nodes if _usable(node)]
    if not usable:
        return [error("capacity", f"none of the {len(nodes)} nodes takes pods: not ready, cordoned or tainted", "see kubectl get nodes")]
    others = [pod for pod in pods if pod["metadata"].get("namespace") not in needs.namespaces
              and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    free = {node["metadata"]["name"]: amount((node.get("status") or {}).get("allocatable")) for node in usable}
    for pod in others:
        name = (pod.get("spec") or {}).get("nodeName")
        if name in free:
            free[name] -= requests(pod["spec"])
    total, wanted = Amount(), Amount()
    for room in free.values():
        total += room
    told = []
    for group in groups(needs.objects):
        wanted += group.each.times(group.number or len(usable))
        if group.number and not any(group.each.fits(room) for room in free.values()):
            told.append(_short(grows, f"no node has room for a pod of {group.owner}, which asks for {group.each}",
                               "add larger nodes, or lower the component's resources (<role>_resources)"))
    if not wanted.fits(total):
        told.append(_short(grows, f"the pods ask for {wanted}; {len(usable)} nodes have {total} left",
                           "add nodes, lower replicas and resources of components (<role>_replicas, <role>_resources), or install fewer"))
    return told or [ok("capacity", f"the pods ask for {wanted}, and {len(usable)} nodes have {total} for them")]


def _short(grows: bool, cause: str, cure: str) -> Finding:
    if grows:
        return warning("capacity", f"{cause}; an autoscaler may add nodes",
                       f"nothing, if its limits allow it (runs wait platform_schedule_grace seconds for a node); else {cure}")
    return error("capacity", cause, cure)


def _usable(node: Object) -> bool:
    spec, conditions = node.get("spec") or {}, (node.get("status") or {}).get("conditions") or []
    ready = any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
    closed = any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in spec.get("taints") or [])
    return ready and not closed and not spec.get("unschedulable")
