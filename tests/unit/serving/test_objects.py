# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that run revisions and lead to them: as the definitions of KServe, Seldon Core and the gateways have them."""

from __future__ import annotations

import functools

import jsonschema
import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.serving.engines import engine_object
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import (
    LONGEST_NAME,
    Revision,
    cluster_url,
    object_name,
    pod_selector,
    predict_path,
    ready_path,
    service,
)
from ansible_collections.openmlops.platform.plugins.module_utils.serving.routes import routes, url
from ansible_collections.openmlops.platform.plugins.module_utils.serving.state import State
from ansible_collections.openmlops.platform.tests.unit.access.gateways import UPSTREAM, closed
from ansible_collections.openmlops.platform.tests.unit.serving.world import settings

DEFINITIONS = {
    "InferenceService": ["kserve/crds/serving.kserve.io_inferenceservices.yaml"],
    "SeldonDeployment": ["seldon/v1.17.1/crds/machinelearning.seldon.io_seldondeployments.yaml"],
    "HTTPRoute": sorted(f"gateway/gateway-api/standard/{path.name}" for path in (UPSTREAM / "gateway/gateway-api/standard").glob("*.yaml")),
    "Mapping": ["ambassador/crds/getambassador.io_crds.yaml"],
    "VirtualService": ["istio/crds/crd-all.gen.yaml"],
}


def rev(letter="a", engine="kserve", **changes):
    base = {"uri": f"s3://b/{letter}", "given": "models:/wine/1", "framework": "sklearn", "protocol": "v2"}
    return Revision(engine=engine, **{**base, **changes})


A, B, C = map(rev, "abc")
FULL = {"replicas": 2, "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
        "env": {"LEVEL": "debug", "PASSWORD": {"secret": "s", "key": "k"}}}


@functools.cache
def schema_of(api_version, kind):
    """Returns the schema of a kind, closed to fields that it does not know; None when its definition is not at hand."""
    group, version = api_version.split("/")
    for name in DEFINITIONS[kind]:
        path = UPSTREAM / name
        text = path.read_text() if path.is_file() else ""
        if f"kind: {kind}\n" not in text:
            continue
        for document in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if document and document.get("kind") == "CustomResourceDefinition" and document["spec"]["names"]["kind"] == kind \
                    and document["spec"]["group"] == group:
                found = next(one["schema"]["openAPIV3Schema"] for one in document["spec"]["versions"] if one["name"] == version)
                # Istio's definitions leave out what all objects have.
                found["properties"] = {**{key: {} for key in ("apiVersion", "kind", "metadata")}, **found["properties"]}
                return jsonschema.Draft7Validator(closed(found))
    return None


def check(obj):
    """Fails unless the definition of the object's kind takes it, without a field that it does not know."""
    validator = schema_of(obj["apiVersion"], obj["kind"])
    if validator is None:
        pytest.skip(f"no definition of {obj['kind']} in {UPSTREAM}")
    problems = [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in validator.iter_errors(obj)]
    assert not problems, problems


@pytest.mark.parametrize("revision", [
    A, rev(**FULL), rev(framework="mlflow"), rev(engine="seldon"), rev(engine="seldon", **FULL),
    rev(engine="seldon", framework="tensorflow", protocol="seldon"), rev(engine="seldon", framework="mlflow", protocol="seldon")])
def test_engines_take_their_objects(revision):
    check(engine_object("wine", "models", revision, settings(frameworks={})))


def test_an_inference_service():
    found = engine_object("wine", "models", rev(**FULL), settings())
    assert found["metadata"]["name"] == object_name("wine", rev(**FULL))
    assert found["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    predictor = found["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"], predictor["serviceAccountName"]) == (2, 2, "model-server")
    assert predictor["automountServiceAccountToken"] is False and predictor["imagePullSecrets"] == [{"name": "registry"}]
    model = predictor["model"]
    assert (model["runtime"], model["storageUri"], model["protocolVersion"]) == ("platform-sklearn", "s3://b/a", "v2")
    assert model["env"] == [
        {"name": "MLSERVER_MODEL_NAME", "value": "wine"}, {"name": "LEVEL", "value": "debug"},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]


@pytest.mark.parametrize(("framework", "protocol", "server"), [
    ("sklearn", "v2", "SKLEARN_SERVER"), ("xgboost", "v2", "XGBOOST_SERVER"), ("mlflow", "seldon", "MLFLOW_SERVER"),
    ("tensorflow", "seldon", "TENSORFLOW_SERVER")])
def test_a_seldon_deployment(framework, protocol, server):
    found = engine_object("wine", "models", rev(engine="seldon", framework=framework, protocol=protocol, **FULL), settings(frameworks={}))
    (predictor,) = found["spec"]["predictors"]
    graph, container = predictor["graph"], predictor["componentSpecs"][0]["spec"]["containers"][0]
    assert (found["spec"]["protocol"], predictor["replicas"], graph["implementation"]) == (protocol, 2, server)
    # The operator completes the container of the graph's name, and calls MLServer's model so.
    assert graph["name"] == container["name"] == "wine" and graph["envSecretRefName"] == "model-storage"
    assert not {"MLSERVER_MODEL_NAME", "MLSERVER_HTTP_PORT"} & {entry["name"] for entry in container["env"]}
    assert ({"name": "MLSERVER_PARALLEL_WORKERS", "value": "0"} in container["env"]) == (protocol == "v2")


def test_what_nothing_runs():
    with pytest.raises(ModelError, match="runs 'tensorflow' models; it runs mlflow, sklearn, xgboost"):
        engine_object("wine", "models", rev(framework="tensorflow"), settings())


def test_the_longest_name_fits():
    name = "w" * LONGEST_NAME
    # KServe's label for the Service's pods.
    assert len("isvc." + service(name, A)[0]) <= 63 and len(service(name, rev(engine="seldon"))[0]) <= 63


def test_addresses():
    seldon = rev(engine="seldon", framework="mlflow", protocol="seldon")
    assert cluster_url("wine", "models", A) == f"http://wine-{A.id}-predictor.models.svc.cluster.local/"
    assert cluster_url("wine", "models", seldon) == f"http://wine-{seldon.id}-default.models.svc.cluster.local:8000/"
    assert (ready_path("wine", A), predict_path("wine", A)) == ("/v2/models/wine/ready", "v2/models/wine/infer")
    assert (ready_path("wine", seldon), predict_path("wine", seldon)) == ("/ready", "api/v1.0/predictions")
    assert pod_selector("wine", A) == f"serving.kserve.io/inferenceservice=wine-{A.id}"
    assert url("wine", "models", settings()) == "https://ml.example.org/models/models/wine/"
    assert url("wine", "models", settings(gateway="none")) == ""


STATES = [State(A), State(A, B, 10), State(A, shadow=C), State(A, B, 10, C)]


@pytest.mark.parametrize("gateway", ["envoy_gateway", "ambassador", "istio"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("change", [{}, {"hostname": "192.0.2.1", "public_url": "https://192.0.2.1:8443", "route_namespace": "gw"}])
def test_gateways_take_their_routes(gateway, state, change):
    found = routes("wine", "models", state, settings(gateway=gateway, **change))
    assert len({obj["metadata"]["name"] for obj in found}) == len(found)
    assert {obj["metadata"]["namespace"] for obj in found} == {change.get("route_namespace", "models")}
    for obj in found:
        check(obj)


def test_no_route():
    assert routes("wine", "models", State(A), settings(gateway="none")) == routes("wine", "models", State(), settings()) == []


def test_an_http_route():
    (found,) = routes("wine", "models", State(A, B, 10, C), settings())
    (rule,) = found["spec"]["rules"]
    # Past the plain listener, at which nobody decides.
    assert found["spec"]["parentRefs"][0]["sectionName"] == "https" and found["spec"]["hostnames"] == ["ml.example.org"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/models/models/wine"}}]
    assert [(entry["name"], entry["weight"]) for entry in rule["backendRefs"]] == [(service("wine", A)[0], 90), (service("wine", B)[0], 10)]
    assert rule["filters"][1]["requestHeaderModifier"] == {"remove": ["authorization", "cookie"]}
    assert rule["filters"][2]["requestMirror"]["backendRef"]["name"] == service("wine", C)[0]
    (plain,) = routes("wine", "models", State(A), settings(public_url="http://192.0.2.1", hostname="192.0.2.1"))
    (named,) = routes("wine", "models", State(A), settings(listener="other"))
    assert named["spec"]["parentRefs"][0]["sectionName"] == "other"
    assert plain["spec"]["parentRefs"][0]["sectionName"] == "http" and "hostnames" not in plain["spec"]


def test_mappings():
    found = {obj["metadata"]["name"]: obj["spec"] for obj in routes("wine", "models", State(A, B, 10, C), settings(gateway="ambassador"))}
    assert set(found) == {"model-wine", "model-wine.canary", "model-wine.shadow"}
    assert "weight" not in found["model-wine"] and found["model-wine.canary"]["weight"] == 10 and found["model-wine.shadow"]["shadow"] is True
    assert {spec["prefix"] for spec in found.values()} == {"/models/models/wine/"}
    assert all(spec["remove_request_headers"] == ["authorization", "cookie"] for spec in found.values())
    ports = routes("wine", "models", State(A), settings(gateway="ambassador", public_url="https://ml.example.org:8443", route_namespace="gw"))
    assert [obj["metadata"]["name"] for obj in ports] == ["model-models.wine", "model-models.wine.8443"]
    assert ports[1]["spec"]["hostname"] == "ml.example.org:8443"


def test_a_virtual_service():
    (found,) = routes("wine", "models", State(A, B, 10, C), settings(gateway="istio"))
    (rule,) = found["spec"]["http"]
    assert found["spec"]["gateways"] == ["gw/platform"] and [entry["weight"] for entry in rule["route"]] == [90, 10]
    assert rule["headers"] == {"request": {"remove": ["authorization", "cookie"]}}
    assert rule["mirror"]["host"] == f"{service('wine', C)[0]}.models.svc.cluster.local"


def test_no_two_models_share_a_route():
    """In Emissary's namespace lie the routes of all: c in a-b is not b-c in a."""
    platform = settings(gateway="ambassador", route_namespace="gw")
    names = [obj["metadata"]["name"] for model, space in (("c", "a-b"), ("b-c", "a")) for obj in routes(model, space, State(A, B, 10), platform)]
    assert len(set(names)) == len(names) == 4
