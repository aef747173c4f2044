# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that the roles render: our charts take them, and the upstream charts know them."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.charts.source import resolve
from ansible_collections.openmlops.platform.tests.render.conftest import ROOT, merged, upstream_values
from ansible_collections.openmlops.platform.tests.render.restricted import violations

# component/chart as in platform.lock.yml -> the variable that holds the release, the upstream chart's folder in
# shared/upstream (None: there is none). The role has the component's name.
RELEASES = {
    "dask/dask-gateway": ("_dask_gateway_release", "dask/dask-gateway"),
    "dask/dask-kubernetes-operator": ("_dask_operator_release", "dask/dask-kubernetes-operator"),
    "envoy_gateway/gateway-helm": ("_envoy_gateway_release", "gateway/envoy-gateway/gateway-helm"),
    "feast/feast-feature-server": ("_feast_releases[1]", "feast/feast-feature-server"),
    "mlflow/mlflow": ("_mlflow_plan.phases.applications.releases[0]", None),
    "object_store/versitygw": ("_object_store_release", "objectstore/versitygw"),
    "ory/keto": ("_ory_plan.phases.applications.releases[2]", "ory/charts/keto"),
    "ory/kratos": ("_ory_plan.phases.applications.releases[0]", "ory/charts/kratos"),
    "ory/oathkeeper": ("_ory_plan.phases.applications.releases[1]", "ory/charts/oathkeeper"),
    "object_store/seaweedfs": ("_object_store_release", "objectstore/seaweedfs"),
    "postgresql/cloudnative-pg": ("_postgresql_operator", "cnpg/cloudnative-pg"),
    "polyaxon/polyaxon": ("_polyaxon_plan.phases.applications.releases[0]", "polyaxon/polyaxon"),
    "prefect/prefect-server": ("_prefect_server_release", "prefect/prefect-server"),
    "prefect/prefect-worker": ("_prefect_worker_releases[0]", "prefect/prefect-worker"),
}
# Variables that choose the release among those of its role.
CHOICES = {"object_store/seaweedfs": {"object_store_mode": "seaweedfs"}}
# What a chart of ours takes the place of; the others come from upstream only.
BUNDLED = [name for name in RELEASES if lock.chart(name).get("bundled")]
ROLES = sorted({name.partition("/")[0] for name in RELEASES})
LOCAL = {"platform_chart_source": "bundled", "platform_image_source": "built"}
CASES = {
    "defaults": {},
    "local": LOCAL,
    "private registry": {**LOCAL, "platform_image_pull_secrets": ["registry"]},
    "sub-path": {**LOCAL, "prefect_prefix": "/prefect", "prefect_log_level": "INFO", "prefect_environment": {"PREFECT_API_MAX_FLOW_GRAPH_NODES": 100},
                 "dask_operator_cluster_wide": True, "mlflow_static_prefix": "/mlflow", "mlflow_cors_allowed_origins": ["https://ml.example.org"],
                 "mlflow_artifact_root": "s3://elsewhere/x", "mlflow_replicas": 2},
}

# Values for programs that our chart does not have.
ELSEWHERE = {"polyaxon/polyaxon": ("agent", "operator", "init", "cleaner", "sidecar", "notifier", "cleanHooks")}
# Upstream's chart takes no values for all that the restricted level asks for.
UNRESTRICTED = {"polyaxon/polyaxon"}
# What upstream's charts hand to Kubernetes, or to the application as its own configuration, whatever is in it.
HANDED_ON = ("ecurityContext", "startupProbe", "readinessProbe", "keto.config", "kratos.config", "oathkeeper.config")

each_chart = pytest.mark.parametrize("chart", RELEASES)
each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """(chart, case) -> the values of the release, rendered by Ansible; all of them in one run."""
    here = Path(sys.executable).parent  # the environment that runs this test has Ansible too
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(here), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip(f"no ansible-playbook in {here} and on PATH")
    folder = tmp_path_factory.mktemp("roles")
    plays = []
    for chart, (release, _upstream) in RELEASES.items():
        role, _slash, part = chart.partition("/")
        # A play in a folder of its own beside the role's templates: they are found as if the role itself asked.
        place = folder / role / part
        place.mkdir(parents=True)
        (place / "templates").symlink_to(ROOT / "roles" / role / "templates")
        tasks = [
            {
                "name": case,
                "ansible.builtin.debug": {"msg": "{{ %s['values'] }}" % release},
                "vars": {**variables, **CHOICES.get(chart, {}), "role_path": str(ROOT / "roles" / role)},
            }
            for case, variables in CASES.items()
        ]
        files = [ROOT / "roles" / name / kind / "main.yml" for kind in ("defaults", "vars")
                 for name in ("platform", *ROLES) if kind == "defaults" or name in ("platform", role)]
        play = {"name": chart, "hosts": "localhost", "gather_facts": False, "tasks": tasks,
                "vars_files": [str(file) for file in files]}
        (place / "play.yml").write_text(yaml.safe_dump([play]))
        plays.append(str(place / "play.yml"))
    done = subprocess.run(
        [ansible, "-i", "localhost,", "-c", "local", *plays], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    found = {
        (play["play"]["name"], task["task"]["name"]): task["hosts"]["localhost"]["msg"]
        for playbook in documents(done.stdout) for play in playbook["plays"] for task in play["tasks"]
    }
    return lambda chart, case: dict(found[chart, case])


@pytest.mark.parametrize("chart", BUNDLED)
@each_case
def test_our_chart_takes_them(values, render, chart, case):
    given = values(chart, case)
    given.pop("crds", None)  # the one that differs by source; test_definitions looks at it
    for name in ELSEWHERE.get(chart, ()):
        given.pop(name, None)
    rendered = render(lock.chart(chart)["bundled"], given, minimal=False)
    assert violations(rendered.pod["spec"]) == []


@pytest.mark.parametrize("chart", BUNDLED)
def test_every_pod_of_our_chart_names_the_pull_secrets(values, render, chart):
    given = values(chart, "private registry")
    given.pop("crds", None)
    objects = render(lock.chart(chart)["bundled"], given, minimal=False).objects
    pods = [obj["spec"]["template"]["spec"] for obj in objects if obj["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job")]
    assert pods and [pod.get("imagePullSecrets") for pod in pods] == [[{"name": "registry"}]] * len(pods)


@each_chart
@each_case
def test_the_upstream_chart_knows_them(values, shared, chart, case):
    upstream = RELEASES[chart][1]
    if not upstream:
        pytest.skip(f"{shared}/upstream has no values of {chart}'s chart")
    folder = shared / "upstream" / upstream
    known = upstream_values(folder)
    assert list(unknown(values(chart, case), known)) == []
    if (folder / "values.schema.json").is_file():
        # As Helm does it: with the chart's own values below.
        jsonschema.validate(merged(known, values(chart, case)), json.loads((folder / "values.schema.json").read_text()))


@pytest.mark.parametrize("chart", BUNDLED)
@each_case
def test_the_upstream_chart_renders_them(values, helm, chart, case):
    folder = os.environ.get("OPENMLOPS_CHARTS")
    if not folder:
        pytest.skip("OPENMLOPS_CHARTS names no folder with the upstream charts")
    pinned = lock.chart(chart)
    found = resolve(folder, {"chart": pinned}, ROOT / "charts")["ref"]
    done = subprocess.run(
        [helm, "template", pinned["name"], found, "--kube-version", "1.35.4", "--values", "-"],
        input=yaml.safe_dump(values(chart, case)), capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    pods = [item["spec"]["template"]["spec"] for item in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
            if item and item["kind"] in ("Deployment", "Job")]
    assert pods and (chart in UNRESTRICTED or [violations(pod) for pod in pods] == [[]] * len(pods))


def test_definitions(values):
    assert values("postgresql/cloudnative-pg", "local")["crds"] == {"create": False}
    assert values("postgresql/cloudnative-pg", "defaults")["crds"] == {"create": True}
    assert values("envoy_gateway/gateway-helm", "local")["crds"] == {"enabled": False}
    assert values("envoy_gateway/gateway-helm", "defaults")["crds"] == {"enabled": True}


def test_images(values):
    for chart in BUNDLED:
        local, default = (image_of(values(chart, case)) for case in ("local", "defaults"))
        assert local["repository"].startswith("localhost/openmlops/")
        assert not default["repository"].startswith("localhost/")
        assert default["tag"] not in ("", "latest")


def image_of(given):
    """The image in a release's values, wherever its chart has it."""
    if isinstance(given.get("gateway"), dict) and "imageTag" in given["gateway"]:
        return {"repository": given["gateway"]["image"], "tag": given["gateway"]["imageTag"]}
    if "deployment" in given and "image" not in given:
        return given["deployment"]["envoyGateway"]["image"]
    found = given.get("image") or (given["worker"]["image"] if "worker" in given else given["global"]["prefect"]["image"])
    registry = f"{found['registry']}/" if "registry" in found else ""
    return {"repository": registry + (found.get("repository") or found["name"]), "tag": found.get("tag") or found["prefectTag"]}


def documents(text):
    """The JSON documents of a text, one per playbook."""
    while text.strip():
        document, end = json.JSONDecoder().raw_decode(text.lstrip())
        yield document
        text = text.lstrip()[end:]


def unknown(values, known, prefix=""):
    """Paths that upstream's values.yaml does not have; what it has as an empty map takes anything."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if key not in known:
            yield path
        elif isinstance(value, dict) and known[key] and not path.endswith(HANDED_ON):
            yield from unknown(value, known[key], f"{path}.")
