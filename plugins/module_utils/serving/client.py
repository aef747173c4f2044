# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``model_deployment`` for programs: the very code behind the action of that name, with the rights of the pod it runs in.

In notebooks and flows of the platform it is imported as ``from openmlops import model_deployment``.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster, connect
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.deploying import Deployer
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.reach import Inside, Outside
from ansible_collections.openmlops.platform.plugins.module_utils.serving.request import request
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import read

# Where Kubernetes puts a pod's rights (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def model_deployment(
    name: str,
    model_uri: str = "",
    *,
    namespace: str = "",
    engine: str = "",
    framework: str = "",
    protocol: str = "",
    replicas: int = 1,
    resources: dict[str, t.Any] | None = None,
    env: dict[str, t.Any] | None = None,
    traffic: int = 100,
    shadow: bool = False,
    state: str = "present",
    wait: bool = True,
    wait_timeout: float = 600,
    check: bool = False,
    say: t.Callable[[str], None] = print,
    **connection: t.Any,
) -> dict[str, t.Any]:
    """Brings a model to the state asked for and returns what answers now.

    Args:
        name: of the deployed model; part of its address.
        model_uri: ``models:/<name>/<version>``, ``models:/<name>@<alias>``, ``models:/m-<id>``, ``runs:/<run>/<path>``, ``s3://``,
            ``gs://`` or ``pvc://``.
        namespace: where the model runs; by default the platform's for models.
        engine: ``kserve`` or ``seldon``; by default the platform's.
        framework: ``sklearn``, ``xgboost``, ``tensorflow`` or ``mlflow``; by default what the model's file MLmodel says.
        protocol: ``v2``, or ``seldon`` for the engine seldon.
        replicas: number of pods.
        resources: requests and limits of the container.
        env: environment: texts, or ``{"secret": ..., "key": ...}``, by name.
        traffic: percent of the requests that this model answers, 1 to 100; the model before it answers the others.
        shadow: send this model copies of all requests, and its answers nowhere.
        state: ``present``, ``rolled_back`` (the last deployment is undone) or ``absent``.
        wait: wait until the model is loaded. Without it, a model that is not ready yet gets no requests until the same call is made again.
        wait_timeout: seconds.
        check: change nothing, and return what would be.
        say: is given each line of progress.
        connection: ``kubeconfig`` and ``context``, or ``host`` and ``api_key``; by default the rights of the pod.

    Returns:
        The same as the action: changed, url, predict_url, cluster_url, revision, uri, framework, protocol, weights, shadow, previous, ready.

    Raises:
        ModelError: with what is wrong and the cure. Requests go where they went before.
    """
    args = {
        "name": name, "model_uri": model_uri, "namespace": namespace, "engine": engine, "framework": framework, "protocol": protocol,
        "replicas": replicas, "resources": resources, "env": env, "traffic": traffic, "shadow": shadow, "state": state, "wait": wait,
        "wait_timeout": wait_timeout,
    }
    try:
        return deploy(connect(connection or in_cluster()), args, inside=not connection, say=say, check=check)
    except KubeError as error:
        raise ModelError(str(error)) from None


def deploy(
    cluster: Cluster, args: t.Mapping[str, t.Any], *, inside: bool, say: t.Callable[[str], None], check: bool, home: str = ""
) -> dict[str, t.Any]:
    """Does one call; the action and the function above both end here.

    Args:
        inside: whether this program runs in the cluster.
        home: namespace of the platform's models; by default what the environment says.
    """
    settings = read(cluster, home or os.environ.get("OPENMLOPS_MODELS_NAMESPACE") or "models")
    asked = request(args, settings)
    if inside:
        return Deployer(cluster, settings, Inside(settings), say, check).run(asked)
    with contextlib.closing(Outside(cluster, settings)) as reach:
        return Deployer(cluster, settings, reach, say, check).run(asked)


def in_cluster() -> dict[str, t.Any]:
    """Returns the connection of the pod that this program runs in.

    Raises:
        ModelError: when it runs in none, or in one without rights at the API server.
    """
    token, host = _ACCOUNT / "token", os.environ.get("KUBERNETES_SERVICE_HOST", "")
    if not host or not token.is_file():
        raise ModelError("This program runs in no pod with a service account: give kubeconfig and context, or run it in a notebook or flow "
                         "of the platform")
    port = os.environ.get("KUBERNETES_SERVICE_PORT_HTTPS") or "443"
    bracketed = f"[{host}]" if ":" in host else host
    return {"host": f"https://{bracketed}:{port}", "api_key": token.read_text(encoding="utf-8").strip(), "ca_cert": str(_ACCOUNT / "ca.crt")}
