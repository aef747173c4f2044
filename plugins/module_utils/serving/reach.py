# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How MLflow and model servers are asked: past the API server from the controller, straight from a pod of the cluster."""

from __future__ import annotations

import contextlib
import http.client
import json
import typing as t
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.converge.readiness import state_of
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.plugins.module_utils.kube.forward import PodClient
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import Revision, cluster_url, pod_port, pod_selector, ready_path
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import Settings

_MLFLOW_SECONDS = 60.0
_READY_SECONDS = 5.0


class Reach(t.Protocol):
    """A way to what runs in the cluster."""

    def mlflow(self, method: str, path: str, body: t.Any) -> tuple[int, bytes]:
        """Sends one request to MLflow; returns status and body. Raises ModelError without an answer."""

    def ready(self, model: str, namespace: str, revision: Revision) -> bool:
        """Tells whether a revision says that its model is loaded."""


class Inside:
    """From a pod: by the names of Services."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # A proxy that the environment names leads out of the cluster.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def mlflow(self, method: str, path: str, body: t.Any) -> tuple[int, bytes]:
        """Sends one request to MLflow."""
        parts = urlsplit(self._settings.tracking_uri)
        try:
            return self._ask(method, f"{parts.scheme}://{parts.netloc}{path}", body, _MLFLOW_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            raise ModelError(f"MLflow does not answer at {self._settings.tracking_uri}: {error}") from None

    def ready(self, model: str, namespace: str, revision: Revision) -> bool:
        """Tells whether a revision answers by its Service."""
        address = cluster_url(model, namespace, revision).rstrip("/") + ready_path(model, revision)
        try:
            return self._ask("GET", address, None, _READY_SECONDS)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, method: str, address: str, body: t.Any, seconds: float) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **({"Content-Type": "application/json"} if data is not None else {})}
        asked = urllib.request.Request(address, data=data, headers=headers, method=method)
        try:
            with self._opener.open(asked, timeout=seconds) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


class Outside:
    """From the controller: by ports of pods that the API server forwards."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster, self._settings = cluster, settings
        self._mlflow: PodClient | None = None

    def mlflow(self, method: str, path: str, body: t.Any) -> tuple[int, bytes]:
        """Sends one request to MLflow."""
        # MLflow refuses names that are not its own.
        headers = {"Host": urlsplit(self._settings.tracking_uri).netloc, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._mlflow is None:
            self._mlflow = self._client()
        return self._mlflow.ask(method, path, headers, None if body is None else json.dumps(body).encode())

    def ready(self, model: str, namespace: str, revision: Revision) -> bool:
        """Tells whether a pod of a revision answers."""
        pods = ready_pods(self._cluster.list("v1", "Pod", namespace, label_selector=pod_selector(model, revision)))
        if not pods:
            return False
        client = PodClient(self._cluster, namespace, pods[0]["metadata"]["name"], pod_port(revision), _READY_SECONDS)
        with contextlib.closing(client):
            try:
                return client.ask("GET", ready_path(model, revision), {"Accept": "application/json"})[0] == 200
            except KubeError as error:
                if error.status in (401, 403):
                    raise  # waiting does not give the right to forward a port
                return False

    def close(self) -> None:
        """Ends the connection."""
        if self._mlflow is not None:
            self._mlflow.close()

    def _client(self) -> PodClient:
        place = self._settings.mlflow
        namespace, name, port = (place.get(key) for key in ("namespace", "name", "port"))
        found = self._cluster.get("v1", "Service", str(name), str(namespace)) if namespace and name else None
        if found is None:
            raise ModelError(f"There is no Service {namespace}/{name} of MLflow: is the component mlflow installed?")
        selector = ",".join(f"{key}={value}" for key, value in sorted((found["spec"].get("selector") or {}).items()))
        pods = ready_pods(self._cluster.list("v1", "Pod", str(namespace), label_selector=selector))
        if not pods:
            raise ModelError(f"No pod of MLflow is ready (kubectl get pods -n {namespace} -l {selector})")
        return PodClient(self._cluster, str(namespace), pods[0]["metadata"]["name"], _target_port(found, port, pods[0]), _MLFLOW_SECONDS)


def ready_pods(pods: list[Object]) -> list[Object]:
    """Returns the pods that take requests."""
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("phase") == "Running"
            and state_of({**pod, "apiVersion": "v1", "kind": "Pod"}).ready]


def _target_port(service: Object, port: t.Any, pod: Object) -> int:
    """Returns the pod's port to which a Service leads; it may be there by its name."""
    entry = next((entry for entry in service["spec"].get("ports") or [] if str(entry.get("port")) == str(port)), {})
    target = entry.get("targetPort") or port
    for container in pod["spec"]["containers"]:
        for known in container.get("ports") or []:
            if known.get("name") == target:
                return int(known["containerPort"])
    if not str(target).isdigit():
        raise ModelError(f"Port {port} of the Service {service['metadata']['name']} leads to '{target}', which its pods do not have")
    return int(target)
