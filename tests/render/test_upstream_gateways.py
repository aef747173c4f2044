# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values for the charts of Emissary and Istio, which are to be had upstream only: those charts know them and make what is meant."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import jsonschema
import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import common, istio
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.charts.source import ChartSourceError, resolve
from ansible_collections.openmlops.platform.tests.render.conftest import ROOT
from ansible_collections.openmlops.platform.tests.render.restricted import violations
from ansible_collections.openmlops.platform.tests.render.test_roles import documents, unknown

# component/chart -> the variable that holds the release, the chart's folder in shared/upstream.
RELEASES = {
    "ambassador/emissary-crds-chart": ("_ambassador_definitions", "ambassador/emissary-crds"),
    "ambassador/emissary-ingress": ("_ambassador_release", "ambassador/emissary-ingress"),
    "istio/base": ("_istio_definitions", "istio/base"),
    "istio/gateway": ("_istio_release", "istio/gateway"),
    "istio/istiod": ("_istio_control_plane", "istio/istio-discovery"),
}
EVERYTHING = {
    f"{role}_{key}": value for role in ("ambassador", "istio") for key, value in {
        "service_type": "LoadBalancer", "service_annotations": {"example.org/a": "b"}, "load_balancer_class": "example.org/lb",
        "source_ranges": ["192.0.2.0/24"], "addresses": ["192.0.2.1"], "external_traffic_policy": "Local", "replicas": 3,
        "proxy_protocol": True, "trusted_hops": 1,
    }.items()
}
CASES = {
    "defaults": {},
    "everything": {**EVERYTHING, "platform_image_registry": "registry.example.org/mirror", "platform_image_pull_secrets": ["registry"]},
    "one": {"ambassador_replicas": 1, "istio_replicas": 1, "ambassador_service_type": "ClusterIP", "istio_service_type": "ClusterIP",
            "platform_tls": "none"},
}
# What these charts take and their values.yaml does not show.
UNSHOWN = {"resources.limits", "service.loadBalancerClass", "labels.istio", "podAnnotations.proxy.istio.io/config",
           "meshConfig.extensionProviders"}

each_chart = pytest.mark.parametrize("chart", RELEASES)
each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """(chart, case) -> the values of the release, rendered by Ansible; all of them in one run."""
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip("no ansible-playbook on PATH")
    folder = tmp_path_factory.mktemp("gateways")
    plays = []
    for role in ("ambassador", "istio"):
        # A play in a folder of its own beside the role's templates: they are found as if the role itself asked.
        (folder / role).mkdir()
        (folder / role / "templates").symlink_to(ROOT / "roles" / role / "templates")
        tasks = [
            {"name": f"{chart} {case}", "ansible.builtin.debug": {"msg": "{{ %s['values'] }}" % release},
             "vars": {**variables, "role_path": str(ROOT / "roles" / role)}}
            for chart, (release, _folder) in RELEASES.items() if chart.startswith(role) for case, variables in CASES.items()
        ]
        files = [str(ROOT / "roles" / name / kind / "main.yml") for name in ("platform", role) for kind in ("defaults", "vars")]
        play = {"name": role, "hosts": "localhost", "gather_facts": False, "tasks": tasks, "vars_files": files}
        (folder / role / "play.yml").write_text(yaml.safe_dump([play]))
        plays.append(str(folder / role / "play.yml"))
    done = subprocess.run(
        [ansible, "-i", "localhost,", "-c", "local", *plays], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    found = {task["task"]["name"]: task["hosts"]["localhost"]["msg"]
             for playbook in documents(done.stdout) for play in playbook["plays"] for task in play["tasks"]}
    return lambda chart, case: dict(found[f"{chart} {case}"])


@each_chart
@each_case
def test_the_upstream_chart_knows_them(values, shared, chart, case):
    folder = shared / "upstream" / RELEASES[chart][1]
    known = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))
    # Istio's stand below a key that users leave out.
    known = known.get("_internal_defaults_do_not_set", known)
    assert set(unknown(values(chart, case), known)) - UNSHOWN == set()
    if (folder / "values.schema.json").is_file():
        jsonschema.validate(values(chart, case), json.loads((folder / "values.schema.json").read_text()))


@each_case
def test_the_upstream_chart_renders_them(values, helm, case):
    folder = os.environ.get("OPENMLOPS_CHARTS")
    if not folder:
        pytest.skip("OPENMLOPS_CHARTS names no folder with the upstream charts")
    for chart in RELEASES:
        try:
            found = resolve(folder, {"chart": lock.chart(chart)}, ROOT / "charts")["ref"]
        except ChartSourceError as error:
            pytest.skip(str(error))
        done = subprocess.run(
            [helm, "template", "gateway", found, "--kube-version", "1.35.4", "--values", "-"],
            input=yaml.safe_dump(values(chart, case)), capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, done.stderr
        objects = [item for item in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if item]
        for pod in [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Deployment"]:
            assert violations(pod) == []


def test_nothing_of_other_namespaces_reaches_emissary(values):
    given = values("ambassador/emissary-ingress", "defaults")
    assert given["scope"] == {"singleNamespace": True} and given["ingressClassResource"] == {"enabled": False}
    assert given["module"] == {"enabled": False} and given["createDefaultListeners"] is False
    assert given["env"] == {"AMBASSADOR_ID": "openmlops"}
    assert values("ambassador/emissary-crds-chart", "defaults") == {"enableLegacyVersions": False}


def test_images(values):
    assert values("ambassador/emissary-ingress", "defaults")["image"]["repository"] == "ghcr.io/emissary-ingress/emissary"
    assert values("ambassador/emissary-ingress", "everything")["image"]["repository"] == "registry.example.org/mirror/emissary-ingress/emissary"
    assert values("istio/istiod", "defaults")["global"]["hub"] == "registry.istio.io/release"
    assert values("istio/istiod", "everything")["global"]["hub"] == "registry.example.org/mirror/release"
    assert values("istio/istiod", "defaults")["global"]["tag"] == lock.component("istio")["version"]


def test_the_load_balancer(values):
    for chart in ("ambassador/emissary-ingress", "istio/gateway"):
        service = values(chart, "everything")["service"]
        assert (service["loadBalancerClass"], service["loadBalancerSourceRanges"]) == ("example.org/lb", ["192.0.2.0/24"])
        assert (service["externalIPs"], service["externalTrafficPolicy"]) == (["192.0.2.1"], "Local")
        assert [port["port"] for port in service["ports"]] == [80, 443]
        plain = values(chart, "one")["service"]
        assert [port["port"] for port in plain["ports"]] == [80] and "externalTrafficPolicy" not in plain
        assert values(chart, "everything")["podDisruptionBudget"] == {"minAvailable": 1}


def test_istio_asks_as_the_other_gateways_do(values):
    (provider,) = values("istio/istiod", "defaults")["meshConfig"]["extensionProviders"]
    asked = provider["envoyExtAuthzHttp"]
    assert provider["name"] == istio.PROVIDER and asked["failOpen"] is False and asked["pathPrefix"] == "/decisions"
    assert asked["includeRequestHeadersInCheck"] == list(common.TO_AUTHORISER)
    assert asked["headersToUpstreamOnAllow"] == list(common.FROM_AUTHORISER)
    assert asked["headersToDownstreamOnDeny"] == list(common.TO_CLIENT)
    topology = json.loads(values("istio/gateway", "everything")["podAnnotations"]["proxy.istio.io/config"])
    assert topology == {"gatewayTopology": {"numTrustedProxies": 1, "proxyProtocol": {}}}
    assert "podAnnotations" not in values("istio/gateway", "defaults")
