# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what people call a model to the place of its artifacts. Pure, but for the questions to MLflow."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.mlflow import Mlflow

_FORMS = ("s3://bucket/path, gs://bucket/path, pvc://claim/path, runs:/<run>/<path>, models:/<name>/<version>, "
          "models:/<name>@<alias> or models:/m-<id>")
_STORES = ("s3", "gs", "pvc")
_PROXIED = "mlflow-artifacts"
_STAGES = ("none", "staging", "production", "archived")


def resolve(uri: str, mlflow: Mlflow, artifact_root: str) -> str:
    """Returns where a model's artifacts are: an address that a model server reads.

    Args:
        uri: as people write it.
        mlflow: asked for ``runs:`` and ``models:``.
        artifact_root: what ``mlflow-artifacts:/`` means in the object store.

    Raises:
        ModelError: when there is no such model, or its artifacts are where no server gets them.
    """
    scheme, _colon, rest = uri.partition(":")
    if scheme in _STORES:
        return _of_store(uri)
    if scheme == "runs":
        return _stored(_of_run(uri, rest.lstrip("/"), mlflow), uri, mlflow, artifact_root)
    if scheme == "models":
        return _stored(_of_registry(uri, rest.lstrip("/"), mlflow), uri, mlflow, artifact_root)
    if scheme == _PROXIED:
        return _stored(uri, uri, mlflow, artifact_root)
    raise ModelError(f"model_uri: '{uri}' is none of {_FORMS}")


def artifact_path(place: str, artifact_root: str) -> str | None:
    """Returns the path below ``mlflow-artifacts:/`` of a place in the object store, or None when it is not below MLflow's."""
    root = f"{artifact_root}/"
    return place.removeprefix(root) if artifact_root and place.startswith(root) else None


def _of_store(uri: str) -> str:
    scheme, rest = uri.split(":", 1)
    parts = [part for part in rest.split("/") if part]
    if not rest.startswith("//") or not parts or any(part in (".", "..") for part in parts):
        raise ModelError(f"model_uri: '{uri}' must be {scheme}://{'claim' if scheme == 'pvc' else 'bucket'}/path")
    return f"{scheme}://{'/'.join(parts)}"


def _of_run(uri: str, rest: str, mlflow: Mlflow) -> str:
    identity, _slash, path = rest.rstrip("/").partition("/")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", identity) or not path:
        raise ModelError(f"model_uri: '{uri}' must be runs:/<run>/<path>, with the path under which the run logged the model")
    run = mlflow.run(identity)
    # MLflow 3 keeps models apart from the run; what MLflow 2 logged lies among the run's artifacts.
    models = mlflow.logged_models_of(run, path)
    return str(models[0]["artifact_uri"]) if models else f"{str(run['artifact_uri']).rstrip('/')}/{path}"


def _of_registry(uri: str, rest: str, mlflow: Mlflow) -> str:
    rest = rest.rstrip("/")
    if re.fullmatch(r"m-[A-Za-z0-9]+", rest):
        return str(mlflow.logged_model(rest)["artifact_uri"])
    if "@" in rest:
        name, alias = rest.rsplit("@", 1)
        version = mlflow.version_of_alias(name, alias) if name and alias and "/" not in alias else ""
    else:
        name, _slash, version = rest.rpartition("/")
        if version.lower() in _STAGES:
            raise ModelError(f"model_uri: '{uri}': stages are gone in MLflow 3; name a version, or an alias: models:/{name}@champion")
        if name and version.lower() == "latest":
            version = mlflow.latest_version(name)
    if not name or not version.isdigit():
        raise ModelError(f"model_uri: '{uri}' must be models:/<name>/<version>, models:/<name>@<alias> or models:/m-<id>")
    return mlflow.place_of_version(name, version)


def _stored(place: str, uri: str, mlflow: Mlflow, artifact_root: str) -> str:
    """Returns the address in the object store of where MLflow says that artifacts are."""
    scheme = place.partition(":")[0]
    if scheme == "models":  # a version that was made of a logged model
        place = str(mlflow.logged_model(place.partition(":")[2].strip("/"))["artifact_uri"])
        scheme = place.partition(":")[0]
    if scheme == _PROXIED:
        if not artifact_root:
            raise ModelError(f"model_uri: '{uri}': the platform does not say where MLflow keeps artifacts (artifact_root)")
        path = re.sub(r"^mlflow-artifacts:(//[^/]*)?/*", "", place).strip("/")
        return _of_store(f"{artifact_root}/{path}")
    if scheme in _STORES:
        return _of_store(place)
    raise ModelError(f"model_uri: '{uri}': MLflow keeps it at {place}, where no model server gets it; it must be in s3:// or gs://")


def reader(place: str, artifact_root: str, mlflow: Mlflow) -> t.Callable[[str], bytes | None] | None:
    """Returns a function that reads a file of a model through MLflow, or None when MLflow does not have it."""
    path = artifact_path(place, artifact_root)
    return None if path is None else lambda name: mlflow.artifact(f"{path}/{name}")
