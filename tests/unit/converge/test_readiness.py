# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge.readiness import FAILED, READY, WAITING, has_rule, state_of


def live(api_version, kind, spec=None, status=None, generation=2, **meta):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "generation": generation, **meta},
            "spec": spec or {}, "status": status or {}}


def conditions(*entries):
    return {"conditions": [{"type": name, "status": status, **rest} for name, status, rest in entries]}


def deployment(wanted=2, **status):
    return live("apps/v1", "Deployment", {"replicas": wanted}, {"observedGeneration": 2, **status})


def stateful(status, replicas=1, **spec):
    return live("apps/v1", "StatefulSet", {"replicas": replicas, **spec}, {"observedGeneration": 2, **status})


def daemon(**status):
    return live("apps/v1", "DaemonSet", {}, {"observedGeneration": 2, **status})


def cluster(status, roles=(), **annotations):
    spec = {"instances": 2, "managed": {"roles": [{"name": name} for name in roles] + [{"name": "old", "ensure": "absent"}]}}
    return live("postgresql.cnpg.io/v1", "Cluster", spec, status, annotations=annotations)


def route(*found):
    parents = [{"parentRef": {}, **conditions(*found)}] if found else []
    return live("gateway.networking.k8s.io/v1", "HTTPRoute", {}, {"parents": parents})


def policy(*found):
    ancestors = [{"ancestorRef": {}, **conditions(*found)}] if found else []
    return live("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", {}, {"ancestors": ancestors})


DONE = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
HEALTHY = {"phase": "Cluster in healthy state", "readyInstances": 2, "instances": 2}


@pytest.mark.parametrize(
    ("obj", "verdict", "reason"),
    [
        (None, WAITING, "does not exist"),
        (live("v1", "ConfigMap"), READY, ""),
        (live("v1", "ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z"), WAITING, "being deleted"),
        # Deployment
        (deployment(**DONE), READY, ""),
        (live("apps/v1", "Deployment", {"replicas": 2}, {"observedGeneration": 1, **DONE}), WAITING, "not seen"),
        (live("apps/v1", "Deployment", {"replicas": 2}), WAITING, "not seen"),
        (deployment(2), WAITING, "0 of 2 pods made"),
        (deployment(**{**DONE, "updatedReplicas": 1}), WAITING, "1 of 2 pods made"),
        (deployment(**{**DONE, "replicas": 3}), WAITING, "old pods"),
        (deployment(**{**DONE, "availableReplicas": 1}), WAITING, "1 of 2 pods ready"),
        (deployment(0), READY, ""),
        (live("apps/v1", "Deployment", {}, {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}),
         READY, ""),
        (deployment(**conditions(("ReplicaFailure", "True", {"message": "exceeded quota"}))), WAITING, "exceeded quota"),
        # Gateway API and Envoy Gateway
        (route(), WAITING, "no gateway"),
        (route(("Accepted", "True", {})), WAITING, "ResolvedRefs is not reported"),
        (route(("Accepted", "True", {}), ("ResolvedRefs", "False", {"message": "Service a/b not found"})), WAITING, "a/b not found"),
        (route(("Accepted", "True", {"observedGeneration": 1}), ("ResolvedRefs", "True", {})), WAITING, "not seen"),
        (route(("Accepted", "True", {"observedGeneration": 2}), ("ResolvedRefs", "True", {"observedGeneration": 2})), READY, ""),
        (policy(), WAITING, "no gateway"),
        (policy(("Accepted", "False", {"message": "no ReferenceGrant"})), WAITING, "no ReferenceGrant"),
        (policy(("Accepted", "True", {"observedGeneration": 2})), READY, ""),
        # StatefulSet
        (stateful({"readyReplicas": 1, "updateRevision": "a", "currentRevision": "a"}), READY, ""),
        (stateful({}, replicas=3), WAITING, "0 of 3 pods ready"),
        (stateful({"observedGeneration": 1, "readyReplicas": 1}), WAITING, "not seen"),
        (stateful({"readyReplicas": 1, "updateRevision": "b", "currentRevision": "a"}), WAITING, "0 of 1 pods updated"),
        (stateful({"readyReplicas": 1, "updatedReplicas": 1, "updateRevision": "b", "currentRevision": "a"}), READY, ""),
        (stateful({"readyReplicas": 1, "updateRevision": "b", "currentRevision": "a"}, updateStrategy={"type": "OnDelete"}), READY, ""),
        (stateful({"readyReplicas": 3, "updatedReplicas": 1, "updateRevision": "b", "currentRevision": "a"}, 3,
                  updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}), READY, ""),
        (stateful({}, replicas=0), READY, ""),
        # DaemonSet
        (daemon(desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=2), READY, ""),
        (daemon(desiredNumberScheduled=2, updatedNumberScheduled=1, numberAvailable=2), WAITING, "of 2"),
        (daemon(desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=1), WAITING, "1 of 2"),
        (daemon(), READY, ""),
        (live("apps/v1", "DaemonSet"), WAITING, "not seen"),
        # Job
        (live("batch/v1", "Job", status=conditions(("SuccessCriteriaMet", "True", {}), ("Complete", "True", {}))), READY, ""),
        (live("batch/v1", "Job", status=conditions(("Failed", "True", {"message": "has reached the backoff limit"}))), FAILED, "backoff"),
        (live("batch/v1", "Job", status={"active": 1}), WAITING, "running"),
        (live("batch/v1", "Job", status={"active": 1, "failed": 2}), WAITING, "2 attempts have failed"),
        (live("batch/v1", "Job"), WAITING, "not started"),
        # Pod
        (live("v1", "Pod", status={"phase": "Succeeded"}), READY, ""),
        (live("v1", "Pod", status={"phase": "Running", **conditions(("Ready", "True", {}))}), READY, ""),
        (live("v1", "Pod", status={"phase": "Running", **conditions(("Ready", "False", {}))}), WAITING, "not ready"),
        (live("v1", "Pod", status={"phase": "Failed", "reason": "Evicted"}), FAILED, "Evicted"),
        # volumes
        (live("v1", "PersistentVolumeClaim", status={"phase": "Pending"}), READY, ""),
        (live("v1", "PersistentVolumeClaim", status={"phase": "Bound"}), READY, ""),
        (live("v1", "PersistentVolumeClaim", status={"phase": "Lost"}), FAILED, "lost"),
        # CustomResourceDefinition
        (live("apiextensions.k8s.io/v1", "CustomResourceDefinition",
              status=conditions(("NamesAccepted", "True", {}), ("Established", "True", {}))), READY, ""),
        (live("apiextensions.k8s.io/v1", "CustomResourceDefinition",
              status=conditions(("NamesAccepted", "True", {}), ("Established", "False", {"reason": "Installing"}))), WAITING, "Installing"),
        (live("apiextensions.k8s.io/v1", "CustomResourceDefinition",
              status=conditions(("NamesAccepted", "False", {"message": "already in use"}))), FAILED, "already in use"),
        (live("apiextensions.k8s.io/v1", "CustomResourceDefinition"), WAITING, "Established is not reported"),
        # CloudNativePG
        (cluster(HEALTHY), READY, ""),
        (cluster({**HEALTHY, "readyInstances": 1}), WAITING, "Cluster in healthy state"),
        (cluster({"phase": "Setting up primary", "phaseReason": "Creating primary instance x-1"}), WAITING, "Creating primary"),
        (cluster({}), WAITING, "operator has not seen"),
        (cluster({**HEALTHY, "managedRolesStatus": {"cannotReconcile": {"app": ["no secret", "twice"]}}}), WAITING, "app: no secret, twice"),
        (cluster({**HEALTHY, "managedRolesStatus": {"byStatus": {"reconciled": ["app"]}}}, roles=["app", "late"]), WAITING, "not made yet: late"),
        (cluster(HEALTHY, roles=["app"]), WAITING, "not made yet: app"),
        (cluster({**HEALTHY, "managedRolesStatus": {"byStatus": {"reconciled": ["app"], "reserved": ["postgres"]}}}, roles=["app"]), READY, ""),
        (cluster(conditions(("cnpg.io/hibernation", "True", {"reason": "Hibernated"})), **{"cnpg.io/hibernation": "on"}), READY, ""),
        (cluster({**HEALTHY, **conditions(("cnpg.io/hibernation", "False", {"message": "waiting for pods to end"}))},
                 **{"cnpg.io/hibernation": "on"}), WAITING, "waiting for pods"),
        (live("postgresql.cnpg.io/v1", "Database", status={"applied": True, "observedGeneration": 2}), READY, ""),
        (live("postgresql.cnpg.io/v1", "Database", status={"applied": True, "observedGeneration": 1}), WAITING, "operator"),
        (live("postgresql.cnpg.io/v1", "Database", status={"applied": False, "message": 'role "x" does not exist'}), WAITING, "role"),
        (live("postgresql.cnpg.io/v1", "Database"), WAITING, "operator has not made it"),
        # Service
        (live("v1", "Service", {"type": "ClusterIP"}, {"loadBalancer": {}}), READY, ""),
        (live("v1", "Service", {"type": "LoadBalancer"}, {"loadBalancer": {}}), WAITING, "no address"),
        (live("v1", "Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}), READY, ""),
        (live("serving.knative.dev/v1", "Service", {"type": "LoadBalancer"}), READY, ""),
        # conditions, also those from before the last change
        (live("gateway.networking.k8s.io/v1", "Gateway", status=conditions(("Programmed", "True", {"observedGeneration": 2}))), READY, ""),
        (live("gateway.networking.k8s.io/v1", "Gateway", status=conditions(("Programmed", "True", {"observedGeneration": 1}))),
         WAITING, "not seen"),
        (live("gateway.networking.k8s.io/v1", "Gateway", status=conditions(("Programmed", "False", {"message": "no address"}))),
         WAITING, "no address"),
        (live("serving.kserve.io/v1beta1", "InferenceService", status={"observedGeneration": 1, **conditions(("Ready", "True", {}))}),
         WAITING, "not seen"),
        (live("cert-manager.io/v1", "Certificate", status=conditions(("Ready", "True", {}))), READY, ""),
        (live("apiregistration.k8s.io/v1", "APIService", status=conditions(("Available", "False", {"message": "missing endpoints"}))),
         WAITING, "missing endpoints"),
    ],
)
def test_state(obj, verdict, reason):
    found = state_of(obj)
    assert found.verdict == verdict, found
    assert reason in found.reason
    assert found.ready == (verdict == READY)
    assert verdict == READY or found.reason


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [("apps/v1", "Deployment", True), ("v1", "Service", True), ("v1", "ConfigMap", False), ("example.org/v1", "Cluster", False),
     ("postgresql.cnpg.io/v2", "Cluster", True), ("serving.knative.dev/v1", "Service", False)],
)
def test_which_kinds_have_a_rule(api_version, kind, expected):
    assert has_rule({"apiVersion": api_version, "kind": kind}) is expected
