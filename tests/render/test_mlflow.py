# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

CHART = "mlflow"
URI = "postgresql+psycopg2://mlflow@db/mlflow"  # what the minimal values give


def test_a_database_is_required(render):
    with pytest.raises(render.error, match="set mlflow.backendStoreUri or mlflow.backendStoreUriFrom"):
        render(CHART, minimal=False)


def test_command(render):
    options = {"workers": 1, "allowed_hosts": "mlflow,mlflow:*", "read_timeout": 1000000, "log_level": "", "x": True}
    container = render(CHART, {"server": {"value_options": options, "flag_options": ["serve_artifacts"]}}).container
    assert container["command"][:2] == ["mlflow", "server"]
    assert sorted(container["command"][2:]) == [
        "--allowed-hosts=mlflow,mlflow:*", "--host=0.0.0.0", "--port=5000", "--read-timeout=1000000",
        "--serve-artifacts", "--workers=1", "--x=true",
    ]


def test_an_option_given_as_null_is_left_out(render):
    command = render(CHART, {"server": {"value_options": {"workers": None}}}).container["command"]
    assert not [word for word in command if "workers" in word]


def test_stores(render):
    assert render(CHART).env == {"MLFLOW_BACKEND_STORE_URI": URI}
    from_secret = {"secretKeyRef": {"name": "db", "key": "uri"}}
    from_map = {"configMapKeyRef": {"name": "db", "key": "uri"}}
    stores = {
        "backendStoreUriFrom": from_secret,
        "registryStoreUriFrom": from_map,
        "defaultArtifactRoot": "s3://a/b",
        "artifactsDestination": "s3://c/d",
    }
    assert render(CHART, {"mlflow": stores, "env": [{"name": "A", "value": "1"}]}).env == {
        "MLFLOW_BACKEND_STORE_URI": from_secret,  # the reference wins over the plain value
        "MLFLOW_REGISTRY_STORE_URI": from_map,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://a/b",
        "MLFLOW_ARTIFACTS_DESTINATION": "s3://c/d",
        "A": "1",
    }


@pytest.mark.parametrize(("prefix", "path"), [("", "/health"), ("/mlflow", "/mlflow/health")])
def test_probes_follow_the_prefix(render, prefix, path):
    container = render(CHART, {"server": {"staticPrefix": prefix}}).container
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    assert (f"--static-prefix={prefix}" in container["command"]) is bool(prefix)


@pytest.mark.parametrize("prefix", ["mlflow", "/mlflow/", "/"])
def test_prefixes_that_mlflow_refuses(render, prefix):
    with pytest.raises(render.error, match="staticPrefix"):
        render(CHART, {"server": {"staticPrefix": prefix}})


def test_the_prefix_has_one_place(render):
    with pytest.raises(render.error, match="static_prefix"):
        render(CHART, {"server": {"value_options": {"static_prefix": "/mlflow"}}})


def test_probe_settings(render):
    seconds = {"initialDelaySeconds": 1, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 4}
    readiness = {"enabled": True, **seconds}
    probes = {"startup": {"enabled": False}, "liveness": {"enabled": False}, "readiness": readiness}
    container = render(CHART, {"probes": probes}).container
    assert "startupProbe" not in container and "livenessProbe" not in container
    assert container["readinessProbe"] == {"httpGet": {"path": "/health", "port": "http"}, **seconds}


@pytest.mark.parametrize(
    ("values", "strategy"),
    [
        ({}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        ({"mlflow": {"backendStoreUri": "sqlite:////mlflow/mlflow.db"}}, {"type": "Recreate"}),
        ({"deploymentStrategy": {"type": "Recreate"}}, {"type": "Recreate"}),
    ],
    ids=["rolling", "sqlite", "chosen"],
)
def test_strategy(render, values, strategy):
    assert render(CHART, values).one("Deployment")["spec"]["strategy"] == strategy


def test_port(render):
    rendered = render(CHART, {"server": {"value_options": {"port": 5001}}, "service": {"type": "NodePort"}})
    assert rendered.container["ports"] == [{"name": "http", "containerPort": 5001}]
    service = rendered.one("Service")["spec"]
    assert service["type"] == "NodePort"
    assert service["ports"] == [{"name": "http", "port": 5000, "targetPort": "http"}]


def test_writable_tmp_on_a_read_only_root(render):
    tmp = {"name": "tmp", "mountPath": "/tmp"}
    assert render(CHART).container["volumeMounts"] == [tmp]
    extra = {"extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
             "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}]}
    rendered = render(CHART, extra)
    assert rendered.container["volumeMounts"] == [tmp, {"name": "ca", "mountPath": "/ca"}]
    assert [volume["name"] for volume in rendered.pod["spec"]["volumes"]] == ["tmp", "ca"]
    assert "volumeMounts" not in render(CHART, {"securityContext": {"readOnlyRootFilesystem": False}}).container


@pytest.mark.parametrize(
    ("account", "made", "used"),
    [
        ({}, "demo-mlflow", "demo-mlflow"),
        ({"name": "own"}, "own", "own"),
        ({"create": False}, None, "default"),
        ({"create": False, "name": "theirs"}, None, "theirs"),
    ],
)
def test_service_account(render, account, made, used):
    rendered = render(CHART, {"serviceAccount": account})
    assert rendered.pod["spec"]["serviceAccountName"] == used
    assert rendered.has("ServiceAccount") is bool(made)
    if made:
        assert rendered.one("ServiceAccount")["metadata"]["name"] == made
        assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
