# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One model as it is deployed: what it is made of, and the names that follow from that. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, digest

MODEL_LABEL = "openmlops.io/model"
REVISION_LABEL = "openmlops.io/revision"
# A name and what the engines add to it must fit into a label: isvc.<name>-<revision>-predictor.
LONGEST_NAME = 38


@dataclasses.dataclass(frozen=True)
class Revision:
    """One model with its settings. Two with the same artifacts and settings are the same revision.

    Attributes:
        uri: where the artifacts are. given: what the user called it, such as ``models:/wine@champion``.
        framework: sklearn, xgboost, tensorflow or mlflow. protocol: v2 or seldon. engine: kserve or seldon.
        replicas: how many pods; another number is no other revision.
        resources: of the container, as Kubernetes has them.
        env: by name, a text or ``{"secret": name, "key": key}``.
    """

    uri: str
    given: str
    framework: str
    protocol: str
    engine: str
    replicas: int = 1
    resources: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    env: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def id(self) -> str:
        """The revision's name: a short digest of what it is made of."""
        parts = [self.uri, self.framework, self.protocol, self.engine, dict(self.resources), dict(self.env)]
        return digest(parts)[:8]

    def to_dict(self) -> dict[str, t.Any]:
        """Returns the revision as JSON has it."""
        return {"revision": self.id, **dataclasses.asdict(self)}

    @staticmethod
    def from_dict(document: t.Mapping[str, t.Any]) -> Revision:
        """Returns the revision of such a document."""
        names = {field.name for field in dataclasses.fields(Revision)}
        return Revision(**{key: value for key, value in document.items() if key in names})


def object_name(model: str, revision: Revision) -> str:
    """Returns the name of the engine's object."""
    return f"{model}-{revision.id}"


def service(model: str, revision: Revision) -> tuple[str, int]:
    """Returns name and port of the Service that the engine makes (KServe 0.20 in standard mode, Seldon Core 1.17)."""
    if revision.engine == "kserve":
        return f"{object_name(model, revision)}-predictor", 80
    return f"{object_name(model, revision)}-default", 8000


def pod_port(revision: Revision) -> int:
    """Returns the port of the pods that the Service leads to."""
    return 8080 if revision.engine == "kserve" else 8000


def pod_selector(model: str, revision: Revision) -> str:
    """Returns the selector of the pods, by a label that the engine sets."""
    key = "serving.kserve.io/inferenceservice" if revision.engine == "kserve" else "seldon-deployment-id"
    return f"{key}={object_name(model, revision)}"


def ready_path(model: str, revision: Revision) -> str:
    """Returns the path that answers 200 once the model is loaded."""
    return f"/v2/models/{model}/ready" if revision.protocol == "v2" else "/ready"


def predict_path(model: str, revision: Revision) -> str:
    """Returns the path, without a first slash, to which requests for predictions are sent."""
    return f"v2/models/{model}/infer" if revision.protocol == "v2" else "api/v1.0/predictions"


def cluster_url(model: str, namespace: str, revision: Revision) -> str:
    """Returns the address of a revision inside the cluster, with a final slash."""
    name, port = service(model, revision)
    return f"http://{name}.{namespace}.svc.cluster.local{'' if port == 80 else f':{port}'}/"


def labels(model: str, revision: Revision | None = None) -> dict[str, str]:
    """Returns the labels of an object that belongs to a model, and to one revision of it."""
    return {**LABELS, MODEL_LABEL: model, **({REVISION_LABEL: revision.id} if revision else {})}
