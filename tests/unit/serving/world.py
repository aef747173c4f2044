# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world for deployed models: MLflow's answers, an engine that starts pods, and a gateway that takes up routes."""

from __future__ import annotations

import copy
import json
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import parse
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest

ROOT = "s3://mlflow-1/artifacts"
DOCUMENT = {
    "engine": "kserve", "gateway": "envoy_gateway", "gateway_namespace": "gw", "gateway_name": "platform", "hostname": "ml.example.org",
    "public_url": "https://ml.example.org", "prefix": "/models/", "namespace": "models", "service_account": "model-server",
    "storage_secret": "model-storage", "mlflow_service": {"namespace": "mlflow", "name": "mlflow", "port": 5000},
    "tracking_uri": "http://mlflow.mlflow.svc.cluster.local:5000/mlflow", "artifact_root": ROOT, "image_pull_secrets": ["registry"],
    "frameworks": {name: {"runtime": f"platform-{name}"} for name in ("sklearn", "xgboost", "mlflow")},
}
SKLEARN = b"flavors:\n  python_function: {loader_module: mlflow.sklearn}\n  sklearn: {pickled_model: model.pkl}\n"


def settings(**changes):
    """Returns the platform's settings."""
    return parse({**DOCUMENT, **changes})


class FakeMlflow:
    """Answers as MLflow 3.17 does; ``asked`` holds method and path of the requests."""

    def __init__(self, root="/mlflow"):
        self.root, self.asked = root, []
        self.runs = {"r1": {"run_id": "r1", "experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7/r1/artifacts"}}
        self.models = {"m-1": {"model_id": "m-1", "name": "model", "source_run_id": "r1", "creation_timestamp_ms": 1,
                               "artifact_uri": "mlflow-artifacts:/7/models/m-1/artifacts"}}
        self.versions = {("wine", "1"): "mlflow-artifacts:/7/models/m-1/artifacts"}
        self.aliases = {("wine", "champion"): "1"}
        self.files = {"7/models/m-1/artifacts/MLmodel": SKLEARN}
        self.fault = None  # status and body in place of any answer

    def __call__(self, method, path, body):
        parts = urlsplit(path)
        self.asked.append((method, parts.path))
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if self.fault:
            return self.fault
        if parts.path.startswith(f"{self.root}/api/2.0/mlflow-artifacts/artifacts/"):
            found = self.files.get(unquote(parts.path.split("/artifacts/", 1)[1]))
            return (404, b"{}") if found is None else (200, found)
        assert parts.path.startswith(f"{self.root}/api/2.0/mlflow/"), parts.path
        found = self._answer(method, parts.path.split("/mlflow/")[-1], query, body)
        missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing"}
        return (404, json.dumps(missing).encode()) if found is None else (200, json.dumps(found).encode())

    def _answer(self, method, path, query, body):
        if path == "runs/get":
            run = self.runs.get(query["run_id"])
            return run and {"run": {"info": run}}
        if path == "logged-models/search":
            assert method == "POST"
            run = body["filter"].split("'")[1]
            found = [entry for entry in self.models.values() if entry["source_run_id"] == run]
            return {"models": [{"info": entry} for entry in found]}
        if path.startswith("logged-models/"):
            info = self.models.get(unquote(path.split("/")[1]))
            return info and {"model": {"info": info}}
        if path == "registered-models/alias":
            version = self.aliases.get((query["name"], query["alias"]))
            return version and {"model_version": {"version": version}}
        if path == "model-versions/get-download-uri":
            place = self.versions.get((query["name"], query["version"]))
            return place and {"artifact_uri": place}
        if path == "model-versions/search":
            name = query["filter"].split("'", 1)[1][:-1].replace("''", "'")
            found = sorted((int(version) for known, version in self.versions if known == name), reverse=True)
            return {"model_versions": [{"version": str(version)} for version in found[:1]]}
        raise AssertionError(path)

    def log(self, number, flavors=SKLEARN, version=None):
        """Makes another logged model, and a version of the registered model wine."""
        place = f"7/models/m-{number}/artifacts"
        self.models[f"m-{number}"] = {"model_id": f"m-{number}", "name": "model", "source_run_id": f"r{number}",
                                      "creation_timestamp_ms": number, "artifact_uri": f"mlflow-artifacts:/{place}"}
        self.versions["wine", version or str(number)] = f"mlflow-artifacts:/{place}"
        self.files[f"{place}/MLmodel"] = flavors
        return f"{ROOT}/{place}"


class FakeReach:
    """Reaches what the world has."""

    def __init__(self, world):
        self.mlflow = FakeMlflow()
        self.world = world
        self.asked = []

    def ready(self, model, namespace, revision):
        self.asked.append((model, namespace, revision.id))
        return revision.id not in self.world.deaf


class World(FakeCluster):
    """The API server with KServe, Seldon Core and a gateway at work.

    ``stuck`` has the state of new pods by revision ("*": of all), None for no pod at all; ``deaf`` are revisions whose model is never
    loaded; ``happened`` is what did, in order: who started and ended, what was sent where.
    """

    def __init__(self):
        super().__init__("models", "gw", "mlflow")
        self.served = {"InferenceService", "SeldonDeployment", "HTTPRoute", "Mapping", "VirtualService"}
        self.deaf, self.stuck, self.happened = set(), {}, []
        self.answers_route = True
        self.after = self._after
        self.put(manifest("ConfigMap", "model-deployment", "models", data={"settings.json": json.dumps(DOCUMENT)}))
        self.requests.clear()

    def serves(self, api_version, kind):
        return kind in self.served or (kind not in ("InferenceService", "SeldonDeployment", "HTTPRoute", "Mapping", "VirtualService")
                                       and super().serves(api_version, kind))

    def _after(self, obj):
        name = obj["metadata"]["name"]
        if obj["kind"] in ("InferenceService", "SeldonDeployment"):
            self._start(obj)
        if obj["kind"] == "HTTPRoute":
            rule = obj["spec"]["rules"][0]
            if (self.find("HTTPRoute", name, "models") or {}).get("spec") != obj["spec"]:
                self.happened.append(("route", {entry["name"].split("-")[1]: entry["weight"] for entry in rule["backendRefs"]}))
            accepted = [{"type": kind, "status": "True" if self.answers_route else "False", "message": "no such listener",
                         "observedGeneration": obj["metadata"]["generation"]} for kind in ("Accepted", "ResolvedRefs")]
            obj["status"] = {"parents": [{"conditions": accepted}]}
        if obj["kind"] == "ConfigMap" and name.startswith("model-") and "state.json" in obj.get("data", {}):
            self.happened.append(("state", json.loads(obj["data"]["state.json"])["weights"]))

    def _start(self, obj):
        kserve = obj["kind"] == "InferenceService"
        replicas = obj["spec"]["predictor"]["minReplicas"] if kserve else obj["spec"]["predictors"][0]["replicas"]
        label = "serving.kserve.io/inferenceservice" if kserve else "seldon-deployment-id"
        name, revision = obj["metadata"]["name"], obj["metadata"]["labels"]["openmlops.io/revision"]
        if self.find(obj["kind"], name, "models") is None:
            self.happened.append(("start", revision))
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                 "containerStatuses": [{"name": "kserve-container", "ready": True, "restartCount": 0, "state": {"running": {}}}]}
        for number in range(replicas):
            status = self.stuck.get(revision, self.stuck.get("*", ready))
            if status is not None and self.find("Pod", f"{name}-predictor-{number}", "models") is None:
                self.put(manifest("Pod", f"{name}-predictor-{number}", "models", metadata={"labels": {label: name}},
                                  spec={"containers": [{"name": "kserve-container"}]}, status=copy.deepcopy(status)))

    def delete(self, ref, propagation="Background", dry_run=False, uid=None):
        found = super().delete(ref, propagation, dry_run, uid)
        if not dry_run and ref["kind"] in ("InferenceService", "SeldonDeployment"):
            self.happened.append(("end", ref["metadata"]["name"].rsplit("-", 1)[1]))
            for key in [key for key in self.objects if key[0] == "Pod" and key[2].startswith(ref["metadata"]["name"])]:
                del self.objects[key]
        return found

    # -- what tests ask ---------------------------------------------------------------------------------------------

    def state(self, name="wine"):
        """Returns a model's state as it is kept."""
        found = self.find("ConfigMap", f"model-{name}", "models")
        return json.loads(found["data"]["state.json"]) if found else None

    def route(self, name="wine"):
        """Returns the rule of a model's route."""
        found = self.find("HTTPRoute", f"model-{name}", "models")
        return found["spec"]["rules"][0] if found else None

    def running(self):
        """Returns the revisions that have an engine's object."""
        return {key[2].rsplit("-", 1)[1] for key in self.objects if key[0] in ("InferenceService", "SeldonDeployment")}


__all__ = ["DOCUMENT", "FakeMlflow", "FakeReach", "ModelError", "ROOT", "SKLEARN", "World", "settings"]
