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

from ansible_collections.openmlops.platform.tests.render.conftest import CHARTS, MINIMAL, upstream_values
from ansible_collections.openmlops.platform.tests.render.restricted import violations

# Charts of several programs have tests of their own for what is said here.
SEVERAL = {"jupyterhub"}
NAMES = sorted({path.parent.name for path in CHARTS.glob("*/Chart.yaml")} - SEVERAL)

# Handed to Kubernetes as they are: what is below them is Kubernetes' affair, not the chart's.
HANDED_ON = {
    "startupProbe", "readinessProbe",
    "podSecurityContext", "securityContext", "containerSecurityContext", "strategy", "deploymentStrategy", "updateStrategy", "resources",
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
    "seaweedfs": {
        "global": {"imagePullSecrets": ["registry"]},
        "allInOne": {"extraEnvironmentVars": {"WEED_A": "1"}, "extraArgs": ["-s3.iam.readOnly=false"],
                     "extraVolumes": "- {name: tmp, emptyDir: {}}", "extraVolumeMounts": "- {name: tmp, mountPath: /tmp}",
                     "serviceAccountName": "seaweedfs"},
    },
    "envoy-gateway": {
        "global": {"imagePullSecrets": [{"name": "registry"}]},
        "deployment": {
            "priorityClassName": "high", "envoyGateway": {"extraEnv": [{"name": "A", "value": "1"}]},
            "pod": {"topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}]},
        },
        "config": {"envoyGateway": {"logging": {"level": {"default": "debug"}}}},
    },
    "cloudnative-pg": {
        "imagePullSecrets": [{"name": "registry"}],
        "config": {"data": {"INHERITED_LABELS": "team"}},
        "additionalArgs": ["--log-level=debug"],
        "additionalEnv": [{"name": "A", "value": "1"}],
    },
    "keto": {
        "imagePullSecrets": [{"name": "registry"}],
        "deployment": {"extraEnv": [{"name": "A", "value": "1"}]},
        "keto": {"config": {"namespaces": [{"id": 0, "name": "Group"}]}},
    },
    "kratos": {
        "imagePullSecrets": [{"name": "registry"}],
        "deployment": {"extraEnv": [{"name": "A", "value": "1"}]},
        "courier": {"enabled": False},
        "kratos": {"config": {"session": {"lifespan": "1h"}}},
    },
    "oathkeeper": {
        "imagePullSecrets": [{"name": "registry"}],
        "deployment": {
            "extraEnv": [{"name": "A", "value": "1"}],
            "extraVolumes": [{"name": "jwks", "secret": {"secretName": "jwks"}}],
            "extraVolumeMounts": [{"name": "jwks", "mountPath": "/etc/jwks", "readOnly": True}],
        },
    },
    "prefect-server": {
        "global": {"prefect": {"image": {"pullSecrets": ["registry"]}}},
        "server": {"env": [{"name": "A", "value": "1"}], "apiBasePath": "/prefect/api"},
        "service": {"annotations": {"example.org/a": "b"}},
        "serviceAccount": {"annotations": {"example.org/a": "b"}},
    },
    "prefect-worker": {
        "worker": {
            "image": {"pullSecrets": ["registry"]},
            "extraEnvVars": [{"name": "A", "value": "1"}],
            "config": {"workQueues": ["fast"], "limit": 3, "name": "one", "baseJobTemplate": {"existingConfigMapName": "template"}},
        },
        "role": {"extraPermissions": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]},
        "serviceAccount": {"annotations": {"example.org/a": "b"}},
    },
    "kserve-resources": {"kserve": {
        "createSharedResources": False, "inferenceServiceConfig": {"enabled": True},
        "controller": {"imagePullSecrets": [{"name": "registry"}]},
    }},
    "feast-feature-server": {
        "imagePullSecrets": [{"name": "registry"}],
        "feast_mode": "ui",
        "commandArgs": ["feast", "ui", "-h", "0.0.0.0"],
        "extraEnvs": [{"name": "A", "value": "1"}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "serviceAccount": {"name": "feast"},
    },
    "polyaxon": {
        "imagePullSecrets": ["registry"],
        "gateway": {"perCore": True},
        "artifactsStore": {"secret": {"name": "keys"}},
        "connections": [{"name": "data", "kind": "volume_claim", "schema": {"mountPath": "/data", "volumeClaim": "data"}},
                        {"name": "other", "kind": "s3", "schema": {"bucket": "s3://other"}}],
        "mountConnections": ["data"],
        "ui": {"offline": True},
    },
    "dask-kubernetes-operator": {
        "imagePullSecrets": [{"name": "registry"}],
        "rbac": {"cluster": True},
        "kopfArgs": ["--all-namespaces"],
        "extraEnv": [{"name": "A", "value": "1"}],
        "workerAllocation": {"size": 5, "delay": 1},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "serviceAccount": {"annotations": {"example.org/a": "b"}},
    },
}
UPSTREAM = {
    "versitygw": "objectstore/versitygw", "seaweedfs": "objectstore/seaweedfs", "cloudnative-pg": "cnpg/cloudnative-pg",
    "envoy-gateway": "gateway/envoy-gateway/gateway-helm", "keto": "ory/charts/keto", "kratos": "ory/charts/kratos",
    "oathkeeper": "ory/charts/oathkeeper",
    "feast-feature-server": "feast/feast-feature-server", "polyaxon": "polyaxon/polyaxon",
    "prefect-server": "prefect/prefect-server", "prefect-worker": "prefect/prefect-worker",
    "dask-kubernetes-operator": "dask/dask-kubernetes-operator",
    "kserve-resources": "kserve/kserve-resources",
}
# Where a chart takes these values when its upstream has them at another path.
_ORY = {
    "podAnnotations": "deployment.podMetadata.annotations", "podLabels": "deployment.podMetadata.labels",
    "nodeSelector": "deployment.nodeSelector", "tolerations": "deployment.tolerations",
    "affinity": "deployment.affinity", "resources": "deployment.resources",
}
PLACES = {
    "keto": _ORY,
    "kratos": _ORY,
    "oathkeeper": {**_ORY, "affinity": "affinity"},
    "seaweedfs": {
        **{name: f"allInOne.{name}" for name in EVERYTHING}, "image.pullPolicy": "global.seaweedfs.imagePullPolicy",
    },
    "envoy-gateway": {
        "podAnnotations": "deployment.pod.annotations", "podLabels": "deployment.pod.labels",
        "nodeSelector": "deployment.pod.nodeSelector", "tolerations": "deployment.pod.tolerations",
        "affinity": "deployment.pod.affinity", "resources": "deployment.envoyGateway.resources",
        "image.repository": "deployment.envoyGateway.image.repository", "image.tag": "deployment.envoyGateway.image.tag",
        "image.pullPolicy": "global.images.envoyGateway.pullPolicy",
    },
    "prefect-server": {
        **{name: f"server.{name}" for name in EVERYTHING},
        "image.repository": "global.prefect.image.repository", "image.tag": "global.prefect.image.prefectTag",
        "image.pullPolicy": "global.prefect.image.pullPolicy",
    },
    "prefect-worker": {
        **{name: f"worker.{name}" for name in EVERYTHING},
        "image.repository": "worker.image.repository", "image.tag": "worker.image.prefectTag",
        "image.pullPolicy": "worker.image.pullPolicy",
    },
    "dask-kubernetes-operator": {"image.repository": "image.name"},
    "kserve-resources": {
        **{name: f"kserve.controller.{name}" for name in EVERYTHING}, "image.repository": "kserve.controller.image",
        "image.tag": "kserve.controller.tag", "image.pullPolicy": "kserve.controller.imagePullPolicy",
    },
    "polyaxon": {
        "podAnnotations": "annotations", "podLabels": "labels", "resources": "gateway.resources",
        "image.repository": "gateway.image", "image.tag": "gateway.imageTag", "image.pullPolicy": "gateway.imagePullPolicy",
    },
}
# These take some of them as YAML in a text, as their upstream does.
TEXTS = {"seaweedfs": {"nodeSelector", "tolerations", "affinity"}}
# What these put behind the full name, as their upstream does.
SUFFIXES = {"seaweedfs": "-all-in-one", "polyaxon": "-api"}
# Charts whose upstream gives a pod no labels of the values.
NO_POD_LABELS = {"dask-kubernetes-operator", "feast-feature-server"}
# Charts whose image of ours has another name.
IMAGES = {"feast-feature-server": "feast", "prefect-server": "prefect", "prefect-worker": "prefect", "dask-kubernetes-operator": "dask-operator",
          "kserve-resources": "kserve-controller"}
# The programs of these charts look for objects of one name, which therefore cannot be chosen.
FIXED_NAMES = {"envoy-gateway": "envoy-gateway", "kserve-resources": "kserve-controller-manager"}
# An image's registry is a value of its own here.
SPLIT_IMAGES = {"keto", "kratos", "oathkeeper"}
# The application's own configuration, taken as it is; the chart reads the ports of it.
FREE = {("server", "value_options"), ("keto", "config"), ("kratos", "config"), ("oathkeeper", "config")}
CALL_THE_API = {"cloudnative-pg", "envoy-gateway", "prefect-worker", "dask-kubernetes-operator", "kserve-resources"}

each_chart = pytest.mark.parametrize("chart", NAMES)
both_ways = pytest.mark.parametrize("full", [False, True], ids=["minimal", "everything"])


@pytest.fixture
def objects(render, chart, full):
    return render(chart, everything(chart) if full else {}).objects


def everything(chart):
    given = {key: value for key, value in EVERYTHING.items() if key != "podLabels" or chart not in NO_POD_LABELS}
    return laid_over(placed(chart, given), OWN[chart])


def placed(chart, values):
    """Values with plain names at the paths where the chart takes them."""
    result = {}
    for name, value in values.items():
        *folders, last = PLACES.get(chart, {}).get(name, name).split(".")
        inside = result
        for folder in folders:
            inside = inside.setdefault(folder, {})
        inside[last] = yaml.safe_dump(value) if name in TEXTS.get(chart, ()) else value
    return result


def laid_over(base, over):
    both = {key: laid_over(base[key], over[key]) for key in base.keys() & over.keys()
            if isinstance(base[key], dict) and isinstance(over[key], dict)}
    return {**base, **over, **both}


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
    if "properties" in node and prefix not in FREE:
        yield prefix
        for key, value in node["properties"].items():
            yield from strict_objects(schema, value, (*prefix, key))


def test_there_are_charts():
    assert NAMES == sorted(MINIMAL.keys() - SEVERAL) == sorted(OWN)


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
    assert pod.get("automountServiceAccountToken", True) is (chart in CALL_THE_API)


@each_chart
def test_what_every_chart_hands_on(render, chart):
    pod = render(chart, everything(chart)).pod
    assert EVERYTHING["podAnnotations"].items() <= pod["metadata"]["annotations"].items()
    assert chart in NO_POD_LABELS or EVERYTHING["podLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["containers"][0]["resources"] == EVERYTHING["resources"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    for key in ("nodeSelector", "tolerations", "affinity"):
        assert pod["spec"][key] == EVERYTHING[key]


@each_chart
def test_image(render, chart):
    name = {"image.repository": "registry.example.org/x"}
    if chart in SPLIT_IMAGES:
        name = {"image.registry": "registry.example.org", "image.repository": "x"}
    image = {**name, "image.tag": "abc", "image.pullPolicy": "Always"}
    container = render(chart, placed(chart, image)).container
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example.org/x:abc", "Always")
    assert render(chart).container["image"] == f"localhost/openmlops/{IMAGES.get(chart, chart)}:{load(chart, 'Chart.yaml')['appVersion']}"


@each_chart
def test_long_release_names(render, chart):
    for item in render(chart, release="r" * 53).objects:
        longest = 63 if item["kind"] in ("Service", "Deployment") else 253  # a DNS label, a DNS name
        assert len(item["metadata"]["name"]) <= longest
        assert item["metadata"]["name"][-1].isalnum()


@each_chart
def test_names(render, chart):
    if chart in FIXED_NAMES:
        assert render(chart).one("Deployment")["metadata"]["name"] == FIXED_NAMES[chart]
        return
    suffix = SUFFIXES.get(chart, "")
    assert render(chart).one("Deployment")["metadata"]["name"] == f"demo-{chart}{suffix}"
    if "fullnameOverride" in load(chart, "values.yaml"):
        assert render(chart, {"fullnameOverride": "other"}).one("Deployment")["metadata"]["name"] == f"other{suffix}"


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
    upstream = upstream_values(shared / "upstream" / UPSTREAM[chart])
    ours = list(paths(load(chart, "values.yaml")))
    assert [".".join(path) for path in ours if not known(upstream, path)] == []


def known(values, path):
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
