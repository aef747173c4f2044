# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the platform says about models: the ConfigMap ``model-deployment``, written by the role ``models``."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from urllib.parse import urlsplit

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError

CONFIG_MAP = "model-deployment"
ENGINES = ("kserve", "seldon")
GATEWAYS = ("envoy_gateway", "ambassador", "istio", "none")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The platform's side of a deployment.

    Attributes:
        engine: what runs models unless a call says otherwise: kserve or seldon.
        gateway: envoy_gateway, ambassador, istio or none. gateway_namespace, gateway_name: the Gateway. listener: the part of it that
            carries services; by default the one of the address's scheme.
        hostname: the platform's name. public_url: its address, such as ``https://ml.example.org``; empty without a gateway.
        prefix: the path below which models are, with slashes at both ends.
        namespace: where models run. route_namespace: where their routes are, empty for the model's own namespace.
        service_account, storage_secret, image_pull_secrets: what pods of models are given.
        mlflow: namespace, name and port of MLflow's Service. tracking_uri: its address in the cluster.
        artifact_root: what ``mlflow-artifacts:/`` means in the object store.
        frameworks: by name, each with the engine's ``runtime``.
        drain_seconds: how long a model runs on after its last request was sent to it.
        request_seconds: how long a prediction may take at the gateway.
        ambassador_id: of the platform's Emissary.
    """

    engine: str
    gateway: str = "none"
    gateway_namespace: str = ""
    gateway_name: str = "platform"
    listener: str = ""
    hostname: str = ""
    public_url: str = ""
    prefix: str = "/models/"
    namespace: str = "models"
    route_namespace: str = ""
    service_account: str = ""
    storage_secret: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    mlflow: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    tracking_uri: str = ""
    artifact_root: str = ""
    frameworks: t.Mapping[str, t.Mapping[str, t.Any]] = dataclasses.field(default_factory=dict)
    drain_seconds: float = 10.0
    request_seconds: int = 60
    ambassador_id: str = "openmlops"

    @property
    def tls(self) -> bool:
        """Whether the platform is reached by TLS."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def public_port(self) -> int:
        """The port of the platform's address."""
        return urlsplit(self.public_url).port or (443 if self.tls else 80)

    @property
    def tracking_path(self) -> str:
        """The path of MLflow's own root, without a final slash."""
        return urlsplit(self.tracking_uri).path.rstrip("/")


def parse(document: t.Mapping[str, t.Any]) -> Settings:
    """Returns the settings of a document; keys that are not known are those of a later version.

    Raises:
        ModelError: when engine or gateway is none that is known.
    """
    if document.get("engine") not in ENGINES:
        raise ModelError(f"{CONFIG_MAP}: engine is '{document.get('engine')}'; it is one of {', '.join(ENGINES)}")
    if document.get("gateway", "none") not in GATEWAYS:
        raise ModelError(f"{CONFIG_MAP}: gateway is '{document['gateway']}'; it is one of {', '.join(GATEWAYS)}")
    known = {field.name for field in dataclasses.fields(Settings)}
    found = {key: value for key, value in document.items() if key in known and value is not None}
    found["mlflow"] = document.get("mlflow_service") or {}
    secrets = document.get("image_pull_secrets") or []
    found["image_pull_secrets"] = tuple(entry["name"] if isinstance(entry, dict) else str(entry) for entry in secrets)
    found["prefix"] = f"/{str(document.get('prefix') or '/models/').strip('/')}/"
    found["public_url"] = str(document.get("public_url") or "").rstrip("/")
    found["artifact_root"] = str(document.get("artifact_root") or "").rstrip("/")
    return Settings(**found)


def read(cluster: Cluster, namespace: str) -> Settings:
    """Returns what the platform in this cluster says.

    Args:
        namespace: where models run (models_namespace).

    Raises:
        ModelError: when no model can be deployed in this cluster.
    """
    found = cluster.get("v1", "ConfigMap", CONFIG_MAP, namespace)
    if found is None:
        raise ModelError(
            f"There is no ConfigMap {namespace}/{CONFIG_MAP}: nothing serves models here. Install kserve or seldon "
            "(platform_components), or name the right namespace (models_namespace, in pods OPENMLOPS_MODELS_NAMESPACE)."
        )
    try:
        document = json.loads((found.get("data") or {}).get("settings.json") or "")
    except ValueError as error:
        raise ModelError(f"ConfigMap {namespace}/{CONFIG_MAP}: settings.json is no JSON ({error}); run the platform's playbook again") from None
    return parse(document)
