# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides whether a workload is ready, still on its way, or cannot succeed. Pure functions on objects from the API."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object

READY, WAITING, FAILED = "ready", "waiting", "failed"


@dataclasses.dataclass(frozen=True)
class State:
    """The state of one object; ``reason`` says for people what is missing or wrong."""

    verdict: str
    reason: str = ""

    @property
    def ready(self) -> bool:
        return self.verdict == READY


def condition(obj: Object, kind: str) -> Object:
    """Returns the condition of a type, or an empty mapping."""
    for entry in (obj.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            return entry
    return {}


def state_of(obj: Object | None) -> State:
    """Returns the state of a live object; None means that it is not there yet.

    Kinds without a notion of readiness (ConfigMap, Role, ...) are ready as soon as they exist.
    """
    if obj is None:
        return State(WAITING, "does not exist yet")
    if (obj.get("metadata") or {}).get("deletionTimestamp"):
        return State(WAITING, "is being deleted")
    rule = _RULES.get(_family(obj))
    return rule(obj) if rule else State(READY)


def has_rule(obj: Object) -> bool:
    """Tells whether objects of this kind can be anything else than ready."""
    return _family(obj) in _RULES


def _family(obj: Object) -> str:
    group = obj.get("apiVersion", "").rpartition("/")[0]
    return f"{obj.get('kind')}.{group}" if group else str(obj.get("kind"))


def unseen(obj: Object) -> bool:
    """Tells whether a workload was changed and its controller has not seen that yet."""
    return _family(obj) in ("Deployment.apps", "StatefulSet.apps", "DaemonSet.apps") and not _observed(obj)


def updated_by_hand(obj: Object) -> bool:
    """Tells whether a StatefulSet's pods are replaced only when somebody deletes them."""
    return ((obj.get("spec") or {}).get("updateStrategy") or {}).get("type") == "OnDelete"


def _observed(obj: Object) -> bool:
    status = obj.get("status") or {}
    return status.get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)


def _deployment(obj: Object) -> State:
    status, wanted = obj.get("status") or {}, (obj.get("spec") or {}).get("replicas", 1)
    if not _observed(obj):
        return State(WAITING, "the controller has not seen it yet")
    refused = condition(obj, "ReplicaFailure")
    if refused.get("status") == "True":
        return State(WAITING, f"pods cannot be made: {refused.get('message', '')}")
    if status.get("updatedReplicas", 0) < wanted:
        return State(WAITING, f"{status.get('updatedReplicas', 0)} of {wanted} pods made")
    if status.get("replicas", 0) > status.get("updatedReplicas", 0):
        return State(WAITING, "old pods are still ending")
    if status.get("availableReplicas", 0) < wanted:
        return State(WAITING, f"{status.get('availableReplicas', 0)} of {wanted} pods ready")
    return State(READY)


def _stateful_set(obj: Object) -> State:
    status, wanted = obj.get("status") or {}, (obj.get("spec") or {}).get("replicas", 1)
    if not _observed(obj):
        return State(WAITING, "the controller has not seen it yet")
    ready = status.get("readyReplicas", 0)
    if ready < wanted:
        return State(WAITING, f"{ready} of {wanted} pods ready")
    if not updated_by_hand(obj) and status.get("updateRevision") and status.get("updateRevision") != status.get("currentRevision"):
        rolling = ((obj.get("spec") or {}).get("updateStrategy") or {}).get("rollingUpdate") or {}
        fresh = wanted - rolling.get("partition", 0)
        if status.get("updatedReplicas", 0) < fresh:
            return State(WAITING, f"{status.get('updatedReplicas', 0)} of {fresh} pods updated")
    return State(READY)


def _daemon_set(obj: Object) -> State:
    status = obj.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    if not _observed(obj):
        return State(WAITING, "the controller has not seen it yet")
    if status.get("updatedNumberScheduled", 0) < wanted or status.get("numberAvailable", 0) < wanted:
        return State(WAITING, f"{status.get('numberAvailable', 0)} of {wanted} pods ready")
    return State(READY)


def _job(obj: Object) -> State:
    if condition(obj, "Complete").get("status") == "True":
        return State(READY)
    failed = condition(obj, "Failed")
    if failed.get("status") == "True":
        return State(FAILED, f"the job failed: {failed.get('message', failed.get('reason', ''))}")
    status = obj.get("status") or {}
    if status.get("failed"):
        return State(WAITING, f"the job is running, {status['failed']} attempts have failed")
    return State(WAITING, "the job is running" if status.get("active") else "the job has not started")


def _pod(obj: Object) -> State:
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Succeeded" or condition(obj, "Ready").get("status") == "True":
        return State(READY)
    if phase == "Failed":
        return State(FAILED, f"the pod failed: {obj['status'].get('message') or obj['status'].get('reason') or ''}")
    return State(WAITING, "the pod is not ready")


def _claim(obj: Object) -> State:
    phase = (obj.get("status") or {}).get("phase")
    # A claim of a class that binds late stays Pending until a pod uses it: that alone is no reason to wait.
    return State(FAILED, "its volume is lost") if phase == "Lost" else State(READY)


def _by_condition(kind: str) -> t.Callable[[Object], State]:
    def rule(obj: Object) -> State:
        found = condition(obj, kind)
        seen = found.get("observedGeneration", (obj.get("status") or {}).get("observedGeneration"))
        if seen is not None and seen < obj["metadata"].get("generation", 0):
            return State(WAITING, "the controller has not seen it yet")
        if found.get("status") == "True":
            return State(READY)
        return State(WAITING, str(found.get("message") or found.get("reason") or f"{kind} is not reported yet"))

    return rule


def _by_conditions_of(key: str, kinds: tuple[str, ...]) -> t.Callable[[Object], State]:
    """Returns a rule for objects whose status has conditions for each of those that they attach to.

    These are routes (``status.parents``) and policies (``status.ancestors``) of the Gateway API.
    """

    def rule(obj: Object) -> State:
        entries = (obj.get("status") or {}).get(key) or []
        if not entries:
            return State(WAITING, "no gateway has taken it up yet")
        for entry in entries:
            for kind in kinds:
                state = _by_condition(kind)({"metadata": obj["metadata"], "status": entry})
                if not state.ready:
                    return state
        return State(READY)

    return rule


_policy = _by_conditions_of("ancestors", ("Accepted",))


def _definition(obj: Object) -> State:
    names = condition(obj, "NamesAccepted")
    if names.get("status") == "False":
        return State(FAILED, f"its names clash: {names.get('message', '')}")
    return _by_condition("Established")(obj)


def _postgresql_cluster(obj: Object) -> State:
    status = obj.get("status") or {}
    phase = str(status.get("phase") or "")
    if (obj["metadata"].get("annotations") or {}).get("cnpg.io/hibernation") == "on":
        return _by_condition("cnpg.io/hibernation")(obj)
    if status.get("readyInstances", 0) >= (obj.get("spec") or {}).get("instances", 1) and "healthy" in phase:
        pending = (status.get("managedRolesStatus") or {}).get("cannotReconcile") or {}
        if pending:
            return State(WAITING, "roles cannot be made: " + "; ".join(f"{k}: {', '.join(v)}" for k, v in pending.items()))
        unmade = _roles_to_make(obj)
        return State(WAITING, f"roles are not made yet: {', '.join(unmade)}") if unmade else State(READY)
    return State(WAITING, str(status.get("phaseReason") or phase or "the operator has not seen it yet"))


def _roles_to_make(obj: Object) -> list[str]:
    """Returns the roles that a PostgreSQL cluster's spec asks for and its status does not report as made."""
    wanted = ((obj.get("spec") or {}).get("managed") or {}).get("roles") or []
    made = ((obj.get("status") or {}).get("managedRolesStatus") or {}).get("byStatus", {}).get("reconciled") or []
    return [role["name"] for role in wanted if role.get("ensure", "present") == "present" and role["name"] not in made]


def _postgresql_database(obj: Object) -> State:
    status = obj.get("status") or {}
    if status.get("applied") and status.get("observedGeneration", 0) >= obj["metadata"].get("generation", 0):
        return State(READY)
    return State(WAITING, str(status.get("message") or "the operator has not made it yet"))


def _service(obj: Object) -> State:
    if (obj.get("spec") or {}).get("type") == "LoadBalancer":
        if not ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
            return State(WAITING, "the load balancer has no address yet")
    return State(READY)


_RULES: dict[str, t.Callable[[Object], State]] = {
    "Deployment.apps": _deployment,
    "StatefulSet.apps": _stateful_set,
    "DaemonSet.apps": _daemon_set,
    "Job.batch": _job,
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
    "CustomResourceDefinition.apiextensions.k8s.io": _definition,
    "APIService.apiregistration.k8s.io": _by_condition("Available"),
    "Cluster.postgresql.cnpg.io": _postgresql_cluster,
    "Database.postgresql.cnpg.io": _postgresql_database,
    "Certificate.cert-manager.io": _by_condition("Ready"),
    "Issuer.cert-manager.io": _by_condition("Ready"),
    "ClusterIssuer.cert-manager.io": _by_condition("Ready"),
    "Gateway.gateway.networking.k8s.io": _by_condition("Programmed"),
    "GatewayClass.gateway.networking.k8s.io": _by_condition("Accepted"),
    "HTTPRoute.gateway.networking.k8s.io": _by_conditions_of("parents", ("Accepted", "ResolvedRefs")),
    "BackendTrafficPolicy.gateway.envoyproxy.io": _policy,
    "ClientTrafficPolicy.gateway.envoyproxy.io": _policy,
    "SecurityPolicy.gateway.envoyproxy.io": _policy,
    "InferenceService.serving.kserve.io": _by_condition("Ready"),
}
