# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every chart of ours."""
from __future__ import annotations

import json

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ansible_collections.openmlops.platform.tests.render.conftest import CHARTS, MINIMAL
from ansible_collections.openmlops.platform.tests.render.restricted import violations

NAMES = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))

# Handed to Kubernetes as they are: what is below them is Kubernetes' affair, not the chart's.
HANDED_ON = {
    "podSecurityContext", "securityContext", "containerSecurityContext", "strategy", "deploymentStrategy", "resources",
    "podAnnotations", "podLabels", "nodeSelector", "affinity", "value_options",
}

EVERYTHING = {
    "podAnnotations": {"example.org/checksum": "1"},
    "podLabels": {"example.org/team": "lab"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}]}}},
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
}
OWN = {
    "mlflow": {
        "imagePullSecrets": [{"name": "registry"}],
        "server": {"staticPrefix": "/mlflow", "flag_options": ["serve_artifacts"]},
        "mlflow": {
            "backendStoreUriFrom": {"secretKeyRef": {"name": "db", "key": "uri"}},
            "registryStoreUriFrom": {"configMapKeyRef": {"name": "db", "key": "uri"}},
            "defaultArtifactRoot": "s3://mlflow",
            "artifactsDestination": "s3://mlflow",
        },
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"secretRef": {"name": "s3"}}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
        "service": {"annotations": {"example.org/a": "b"}},
        "serviceAccount": {"annotations": {"example.org/a": "b"}},
    },
    "versitygw": {
        "image": {"pullSecrets": [{"name": "registry"}]},
        "admin": {"enabled": True},
        "iam": {"enabled": True, "cacheDisable": True},
        "gateway": {"virtualDomain": "s3.example.org", "quiet": True, "debug": True},
        "extraEnv": [{"name": "A", "value": "1"}],
        "persistence": {"storageClassName": "fast"},
        "serviceAccount": {"annotations": {"example.org/a": "b"}},
    },
    "cloudnative-pg": {
        "imagePullSecrets": [{"name": "registry"}],
        "config": {"data": {"INHERITED_LABELS": "team"}},
        "additionalArgs": ["--log-level=debug"],
        "additionalEnv": [{"name": "A", "value": "1"}],
    },
}
UPSTREAM = {"versitygw": "objectstore/versitygw", "cloudnative-pg": "cnpg/cloudnative-pg"}

each_chart = pytest.mark.parametrize("chart", NAMES)
both_ways = pytest.mark.parametrize("full", [False, True], ids=["minimal", "everything"])


@pytest.fixture
def objects(render, chart, full):
    return render(chart, {**EVERYTHING, **OWN[chart]} if full else {}).objects


def load(chart, name):
    return yaml.safe_load((CHARTS / chart / name).read_text())


def schema_of(chart):
    return json.loads((CHARTS / chart / "values.schema.json").read_text())


def paths(values, prefix=()):
    """Paths of all values that a chart itself reads."""
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in HANDED_ON:
            yield from paths(value, (*prefix, key))
        else:
            yield (*prefix, key)


def schema_paths(schema, node=None, prefix=()):
    """Paths of all properties that a schema names and describes no further."""
    node = resolved(schema, schema if node is None else node)
    for key, value in node.get("properties", {}).items():
        if key in HANDED_ON or "properties" not in resolved(schema, value) or key.endswith("From"):
            yield (*prefix, key)
        else:
            yield from schema_paths(schema, value, (*prefix, key))


def resolved(schema, node):
    if isinstance(node, dict) and "$ref" in node:
        return schema["definitions"][node["$ref"].rpartition("/")[2]]
    return node if isinstance(node, dict) else {}


def strict_objects(schema, node=None, prefix=()):
    """Paths of the objects in the values that the schema describes."""
    node = resolved(schema, schema if node is None else node)
    if "properties" in node and (not prefix or prefix[-1] != "value_options"):
        yield prefix
        for key, value in node["properties"].items():
            yield from strict_objects(schema, value, (*prefix, key))


def test_there_are_charts():
    assert NAMES == sorted(MINIMAL) == sorted(OWN)


@each_chart
@both_ways
def test_valid_for_kubernetes(objects):
    assert objects
    for item in objects:
        kubernetes_validate.validate(item, "1.35", strict=True)


@each_chart
@both_ways
def test_restricted_pod_security(objects):
    pods = [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Deployment"]
    assert len(pods) == 1
    for pod in pods:
        assert violations(pod) == []
        assert pod["enableServiceLinks"] is False
        assert all(container["securityContext"]["readOnlyRootFilesystem"] is True for container in pod["containers"])


@each_chart
@both_ways
def test_labels(objects, chart):
    for item in objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "demo"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/version"] == load(chart, "Chart.yaml")["appVersion"]
        assert labels["helm.sh/chart"] == f"{chart}-{load(chart, 'Chart.yaml')['version']}"


@each_chart
@both_ways
def test_the_selectors_find_the_pod(objects):
    pod = next(item["spec"]["template"] for item in objects if item["kind"] == "Deployment")
    selectors = [item["spec"]["selector"] for item in objects if item["kind"] == "Service"]
    selectors += [item["spec"]["selector"]["matchLabels"] for item in objects if item["kind"] == "Deployment"]
    for selector in selectors:
        assert selector.items() <= pod["metadata"]["labels"].items()
    assert "helm.sh/chart" not in pod["metadata"]["labels"], "a new chart version alone must not restart the pod"


@each_chart
@both_ways
def test_no_token_unless_needed(objects, chart):
    pod = next(item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Deployment")
    assert pod.get("automountServiceAccountToken", True) is (chart == "cloudnative-pg")  # the operator calls the API


@each_chart
def test_what_every_chart_hands_on(render, chart):
    pod = render(chart, {**EVERYTHING, **OWN[chart]}).pod
    assert pod["metadata"]["annotations"] == EVERYTHING["podAnnotations"]
    assert EVERYTHING["podLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["containers"][0]["resources"] == EVERYTHING["resources"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    for key in ("nodeSelector", "tolerations", "affinity"):
        assert pod["spec"][key] == EVERYTHING[key]


@each_chart
def test_image(render, chart):
    image = {"repository": "registry.example.org/x", "tag": "abc", "pullPolicy": "Always"}
    container = render(chart, {"image": image}).container
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example.org/x:abc", "Always")
    assert render(chart).container["image"] == f"localhost/openmlops/{chart}:{load(chart, 'Chart.yaml')['appVersion']}"


@each_chart
def test_long_release_names(render, chart):
    for item in render(chart, release="r" * 53).objects:
        longest = 63 if item["kind"] in ("Service", "Deployment") else 253  # a DNS label, a DNS name
        assert len(item["metadata"]["name"]) <= longest
        assert item["metadata"]["name"][-1].isalnum()


@each_chart
def test_names(render, chart):
    expected = f"demo-{chart}"
    assert render(chart).one("Deployment")["metadata"]["name"] == expected
    assert render(chart, {"fullnameOverride": "other"}).one("Deployment")["metadata"]["name"] == "other"


@each_chart
def test_no_namespace_but_the_release(render, chart):
    for item in render(chart).objects:
        assert item["metadata"].get("namespace") in (None, "lab")


@each_chart
def test_schema_is_a_schema_and_takes_the_defaults(chart):
    jsonschema.Draft7Validator.check_schema(schema_of(chart))
    jsonschema.validate(load(chart, "values.yaml"), schema_of(chart))


@each_chart
def test_schema_and_values_name_the_same_paths(chart):
    assert set(schema_paths(schema_of(chart))) == set(paths(load(chart, "values.yaml")))


@each_chart
def test_schema_refuses_what_it_does_not_know(chart):
    schema = schema_of(chart)
    places = list(strict_objects(schema))
    assert len(places) > 5
    for place in places:
        values = load(chart, "values.yaml")
        inside = values
        for key in place:
            inside = inside.setdefault(key, {})
        inside["surprise"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, schema)


@each_chart
@pytest.mark.parametrize(
    "values", [{"surprise": 1}, {"image": {"surprise": 1}}, {"image": {"tag": 1}}, {"podLabels": {"a": 1}}]
)
def test_helm_refuses_it_too(render, chart, values):
    with pytest.raises(render.error, match="schema"):
        render(chart, values)


@each_chart
def test_every_value_exists_upstream(chart, shared):
    if chart not in UPSTREAM:
        pytest.skip(f"{shared}/upstream has no values of {chart}'s chart")
    upstream = yaml.safe_load((shared / "upstream" / UPSTREAM[chart] / "values.yaml").read_text())
    ours = list(paths(load(chart, "values.yaml")))
    assert [".".join(path) for path in ours if not known(upstream, path)] == []


def known(values, path):
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
