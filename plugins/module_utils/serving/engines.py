# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that run a revision: an InferenceService (KServe 0.20) or a SeldonDeployment (Seldon Core 1.17). Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import MODEL_LABEL, Revision, labels, object_name
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import Settings

KINDS = {
    "kserve": ("serving.kserve.io/v1beta1", "InferenceService"),
    "seldon": ("machinelearning.seldon.io/v1", "SeldonDeployment"),
}
_SELDON_SERVERS = {
    "sklearn": "SKLEARN_SERVER", "xgboost": "XGBOOST_SERVER", "mlflow": "MLFLOW_SERVER", "tensorflow": "TENSORFLOW_SERVER",
}
_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}


def selector(model: str) -> str:
    """Returns the selector of all objects of a model."""
    return f"{MODEL_LABEL}={model}"


def engine_object(model: str, namespace: str, revision: Revision, settings: Settings) -> Object:
    """Returns the object that runs a revision.

    Raises:
        ModelError: when nothing on this platform runs the framework.
    """
    if settings.frameworks and revision.framework not in settings.frameworks:
        raise ModelError(
            f"framework: nothing on this platform runs '{revision.framework}' models; it runs {', '.join(sorted(settings.frameworks))}"
        )
    api_version, kind = KINDS[revision.engine]
    meta = {"name": object_name(model, revision), "namespace": namespace, "labels": labels(model, revision)}
    render = _inference_service if revision.engine == "kserve" else _seldon_deployment
    return {"apiVersion": api_version, "kind": kind, **render(model, meta, revision, settings)}


def _inference_service(model: str, meta: Object, revision: Revision, settings: Settings) -> Object:
    runtime = (settings.frameworks.get(revision.framework) or {}).get("runtime")
    # KServe would give the model the revision's name; whoever asks knows the model's.
    env = [{"name": "MLSERVER_MODEL_NAME", "value": model}, *_env(revision)]
    return {
        # A Deployment and a Service, no Knative; as many pods as are asked for, and nobody else changes their number.
        "metadata": {**meta, "annotations": {"serving.kserve.io/deploymentMode": "Standard", "serving.kserve.io/autoscalerClass": "none"}},
        "spec": {"predictor": {
            "minReplicas": revision.replicas, "maxReplicas": revision.replicas,
            **_pod(settings),
            "model": {
                "modelFormat": {"name": revision.framework},
                **({"runtime": runtime} if runtime else {}),
                "protocolVersion": "v2",
                "storageUri": revision.uri,
                "env": env,
                "securityContext": _CONTAINER,
                **({"resources": dict(revision.resources)} if revision.resources else {}),
            },
        }},
    }


def _seldon_deployment(model: str, meta: Object, revision: Revision, settings: Settings) -> Object:
    graph: Object = {
        "name": model, "type": "MODEL", "implementation": _SELDON_SERVERS[revision.framework], "modelUri": revision.uri,
        **({"envSecretRefName": settings.storage_secret} if settings.storage_secret else {}),
        **({"serviceAccountName": settings.service_account} if settings.service_account else {}),
    }
    # The operator completes the container of the graph's name; MLServer's ports and model name are its own affair.
    env = [*([{"name": "MLSERVER_PARALLEL_WORKERS", "value": "0"}] if revision.protocol == "v2" else []), *_env(revision)]
    container: Object = {
        "name": model, "securityContext": _CONTAINER,
        **({"env": env} if env else {}),
        **({"resources": dict(revision.resources)} if revision.resources else {}),
    }
    predictor = {
        "name": "default", "replicas": revision.replicas, "graph": graph, "labels": labels(model, revision),
        "componentSpecs": [{"spec": {**_pod(settings), "containers": [container]}}],
    }
    return {"metadata": meta, "spec": {"name": model, "protocol": revision.protocol, "predictors": [predictor]}}


def _pod(settings: Settings) -> Object:
    """Returns what pods of both engines have: no rights at the API server, and none on the node."""
    return {
        **({"serviceAccountName": settings.service_account} if settings.service_account else {}),
        "automountServiceAccountToken": False,
        "securityContext": _POD,
        **({"imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets]} if settings.image_pull_secrets else {}),
    }


def _env(revision: Revision) -> list[dict[str, t.Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": value["secret"], "key": value["key"]}}} if isinstance(value, dict)
        else {"name": name, "value": value}
        for name, value in sorted(revision.env.items())
    ]
