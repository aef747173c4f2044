# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MLflow's REST API, as far as a model's place in the object store needs it."""

from __future__ import annotations

import json
import typing as t
from urllib.parse import quote, urlencode

from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError

# Sends one request to MLflow's server: method, path with query, body as JSON or None; returns status and body.
Ask = t.Callable[[str, str, t.Any], tuple[int, bytes]]


class Mlflow:
    """A tracking server.

    Args:
        ask: sends one request.
        root: path of the server's root, without a final slash.
    """

    def __init__(self, ask: Ask, root: str = "") -> None:
        self._ask, self._root = ask, root

    def run(self, identity: str) -> dict[str, t.Any]:
        """Returns the ``info`` of a run."""
        return self._call("GET", "runs/get", {"run_id": identity}, f"run {identity}")["run"]["info"]

    def logged_model(self, identity: str) -> dict[str, t.Any]:
        """Returns the ``info`` of a logged model, whose id begins with ``m-``."""
        return self._call("GET", f"logged-models/{quote(identity, safe='')}", {}, f"logged model {identity}")["model"]["info"]

    def logged_models_of(self, run: dict[str, t.Any], name: str) -> list[dict[str, t.Any]]:
        """Returns the ``info`` of the models that a run logged under a name, the newest first."""
        experiment, page = run["experiment_id"], ""
        found: list[dict[str, t.Any]] = []
        while True:
            answer = self._call("POST", "logged-models/search", {
                "experiment_ids": [experiment], "filter": f"source_run_id = '{run['run_id']}'", "max_results": 50,
                **({"page_token": page} if page else {}),
            }, f"logged models of run {run['run_id']}")
            found += [model["info"] for model in answer.get("models") or []]
            page = answer.get("next_page_token") or ""
            if not page:
                break
        named = [info for info in found if info.get("name") == name]
        return sorted(named, key=lambda info: -int(info.get("creation_timestamp_ms") or 0))

    def version_of_alias(self, name: str, alias: str) -> str:
        """Returns the version of a registered model that an alias means now."""
        answer = self._call("GET", "registered-models/alias", {"name": name, "alias": alias}, f"alias {alias} of the registered model {name}")
        return str(answer["model_version"]["version"])

    def latest_version(self, name: str) -> str:
        """Returns the newest version of a registered model."""
        quoted = name.replace("'", "''")
        answer = self._call("GET", "model-versions/search", {
            "filter": f"name='{quoted}'", "order_by": "version_number DESC", "max_results": 1}, f"registered model {name}")
        versions = answer.get("model_versions") or []
        if not versions:
            raise ModelError(f"model_uri: MLflow has no registered model {name}, or no version of it")
        return str(versions[0]["version"])

    def place_of_version(self, name: str, version: str) -> str:
        """Returns where the artifacts of a version are."""
        about = f"version {version} of the registered model {name}"
        return str(self._call("GET", "model-versions/get-download-uri", {"name": name, "version": version}, about)["artifact_uri"])

    def artifact(self, path: str) -> bytes | None:
        """Returns an artifact by its path below ``mlflow-artifacts:/``, or None when there is none."""
        status, body = self._ask("GET", f"{self._root}/api/2.0/mlflow-artifacts/artifacts/{quote(path)}", None)
        if status in (200, 404):
            return body if status == 200 else None
        # A store's missing object is an error of the server's in some versions.
        if status == 500 and any(word in body for word in (b"NoSuchKey", b"Not Found", b"No such")):
            return None
        raise ModelError(f"MLflow does not hand out the artifact {path}: it answers {status}")

    def _call(self, method: str, path: str, values: dict[str, t.Any], about: str) -> dict[str, t.Any]:
        query = f"?{urlencode(values)}" if method == "GET" and values else ""
        status, body = self._ask(method, f"{self._root}/api/2.0/mlflow/{path}{query}", values if method == "POST" else None)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        known = answer if isinstance(answer, dict) else {}
        if status == 404 and known.get("error_code"):
            raise ModelError(f"model_uri: MLflow has no {about}")
        if status != 200 or not isinstance(answer, dict):
            reason = known.get("message")
            raise ModelError(f"MLflow does not tell about {about}: it answers {status} {str(reason or '')[:300]}".rstrip())
        return answer
