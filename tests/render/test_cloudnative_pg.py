# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest

from ansible_collections.openmlops.platform.tests.render.conftest import CHARTS

CHART = "cloudnative-pg"


def test_the_manifest_is_all_there(render):
    rendered = render(CHART)
    for kind in ("ServiceAccount", "ClusterRoleBinding", "Service", "Deployment", "MutatingWebhookConfiguration",
                 "ValidatingWebhookConfiguration"):
        assert rendered.has(kind)
    assert rendered.has("ClusterRole")
    assert not rendered.has("Namespace")
    assert not rendered.has("CustomResourceDefinition")


def test_everything_points_to_the_release_namespace(render):
    rendered = render(CHART)
    account = rendered.one("ServiceAccount")["metadata"]
    (subject,) = rendered.one("ClusterRoleBinding")["subjects"]
    assert (account["namespace"], subject["namespace"], subject["name"]) == ("lab", "lab", account["name"])
    assert rendered.pod["spec"]["serviceAccountName"] == account["name"]
    service = rendered.one("Service")["metadata"]
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for webhook in rendered.one(kind)["webhooks"]:
            reference = webhook["clientConfig"]["service"]
            assert (reference["namespace"], reference["name"]) == (service["namespace"], service["name"]) == \
                ("lab", "cnpg-webhook-service")
    assert "cnpg-system" not in str(rendered.objects)


def test_the_instances_start_from_the_same_image(render):
    rendered = render(CHART, {"image": {"repository": "registry.example.org/cnpg", "tag": "abc"}})
    assert rendered.env["OPERATOR_IMAGE_NAME"] == rendered.container["image"] == "registry.example.org/cnpg:abc"


def test_arguments_and_variables(render):
    values = {
        "config": {"name": "own", "maxConcurrentReconciles": 3},
        "additionalArgs": ["--log-level=debug"],
        "additionalEnv": [{"name": "A", "value": "1"}],
    }
    rendered = render(CHART, values)
    assert rendered.container["args"] == [
        "controller", "--leader-elect", "--max-concurrent-reconciles=3", "--config-map-name=own", "--webhook-port=9443",
        "--log-level=debug",
    ]
    assert rendered.env["A"] == "1"
    assert rendered.env["OPERATOR_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
    queries = rendered.one("ConfigMap", rendered.env["MONITORING_QUERIES_CONFIGMAP"])["data"]["queries"]
    assert queries.startswith("backends:")


def test_configuration(render):
    data = {"INHERITED_LABELS": "team, app", "ENABLE_X": "true"}
    assert render(CHART, {"config": {"data": data}}).one("ConfigMap", "cnpg-controller-manager-config")["data"] == data
    absent = render(CHART, {"config": {"create": False}}).objects
    assert "cnpg-controller-manager-config" not in [item["metadata"]["name"] for item in absent]


def test_webhook_port_and_probes(render):
    rendered = render(CHART, {"webhook": {"port": 9999, "startupProbe": {"failureThreshold": 7, "periodSeconds": 3}}})
    assert "--webhook-port=9999" in rendered.container["args"]
    assert {"name": "webhook-server", "containerPort": 9999, "protocol": "TCP"} in rendered.container["ports"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert rendered.container[probe]["httpGet"] == {"path": "/readyz", "port": "webhook-server", "scheme": "HTTPS"}
    assert rendered.container["startupProbe"]["failureThreshold"] == 7
    assert rendered.container["startupProbe"]["periodSeconds"] == 3
    assert [port["targetPort"] for port in rendered.one("Service")["spec"]["ports"]] == ["webhook-server"]


def test_the_selector_is_that_of_the_upstream_chart(render):
    selector = {"app.kubernetes.io/name": "cloudnative-pg", "app.kubernetes.io/instance": "demo"}
    assert render(CHART).one("Deployment")["spec"]["selector"] == {"matchLabels": selector}


def test_crds_are_not_for_helm(render):
    with pytest.raises(render.error, match="crds"):
        render(CHART, {"crds": {"create": True}})


def test_not_from_the_repository_folder(helm):
    done = subprocess.run([helm, "template", "demo", str(CHARTS / CHART)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "files/manifest.yaml is missing: install the chart that plugins/module_utils/charts/" in done.stderr


def test_the_release_fits_into_its_secret(render):
    assert sum(len(str(item)) for item in render(CHART).objects) < 60_000


def test_name_of_the_release_is_not_doubled(render):
    assert render(CHART, release="cloudnative-pg").one("Deployment")["metadata"]["name"] == "cloudnative-pg"
