# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the polyaxon role makes of an inventory; its Polyaxonfiles are checked by Polyaxon's own package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from ansible_collections.openmlops.platform.tests.render.conftest import ROOT
from ansible_collections.openmlops.platform.tests.render.restricted import violations

WORD = "geheim-1"
KEY = {"type": "service_account", "project_id": "lab", "client_email": "robot@lab.iam.gserviceaccount.com",
       "private_key": f"-----BEGIN PRIVATE KEY-----\n{WORD}\n-----END PRIVATE KEY-----\n"}
ACCEPTED = {"platform_accepted_licences": ["AGPL-3.0-only"]}
GATEWAY = {"platform_gateway": "envoy_gateway", "platform_hostname": "ml.example.org", "platform_url": "https://ml.example.org"}
LOCAL = {"platform_chart_source": "bundled", "platform_image_source": "built"}
PROJECTS = [{"name": "wine-ada", "description": "Red wine", "tags": ["wine"]}, {"name": "wine-bob"}]
CASES = {
    "defaults": {},
    "local": {**LOCAL, **GATEWAY, "platform_selected": ["mlflow", "polyaxon"], "polyaxon_projects": PROJECTS},
    "gateway": {**GATEWAY, "polyaxon_client_namespaces": ["flows"]},
    "host": {**GATEWAY, "polyaxon_host": "plx.example.org", "platform_image_registry": "mirror.example.org/hub"},
    "google": {"polyaxon_gcp_key": json.dumps(KEY), "polyaxon_gcp_registries": ["https://asia.gcr.io", "https://eu.gcr.io"],
               "object_store_mode": "gcs", "object_store_bucket_prefix": "lab-", "platform_image_pull_secrets": ["registry"]},
    "external": {"postgresql_mode": "external", "postgresql_external_host": "db.example.org", "postgresql_external_port": 5433,
                 "object_store_mode": "external", "polyaxon_client_namespaces": ["flows"], "polyaxon_volume_create": False,
                 "polyaxon_files_enabled": False},
}
BAD = {
    "platform_accepted_licences": {"platform_accepted_licences": []},
    "polyaxon_workers": {"polyaxon_workers": 0},
    "polyaxon_image_tag": {"polyaxon_image_tag": "1"},
    "polyaxon_operator_enabled": {**LOCAL, "polyaxon_operator_enabled": True},
    "polyaxon_volume_path": {"polyaxon_volume_path": "data"},
    "polyaxon_connections": {"polyaxon_connections": [{"name": "fstore-pvc", "kind": "s3"}]},
    "polyaxon_mount_connections": {"polyaxon_mount_connections": ["none"]},
    "polyaxon_projects": {"polyaxon_projects": [{"name": "a b"}]},
    "description and tags": {"polyaxon_projects": [{"name": "a", "colour": "red"}]},
    "polyaxon_gcp_key_file": {"polyaxon_gcp_key_file": "/not/there.json"},
    "polyaxon_gcp_key, the other way": {"polyaxon_gcp_key_file": str(ROOT / "galaxy.yml"), "polyaxon_gcp_key": "x"},
    "whole JSON": {"polyaxon_gcp_key": json.dumps(KEY)[:-1]},
    "private_key": {"polyaxon_gcp_key": json.dumps({**KEY, "private_key": WORD})},
}
WITH_FILES = [case for case, given in CASES.items() if given.get("polyaxon_files_enabled", True)]
# What each wrong file has in place of something right.
WRONG = {
    "kind.yml": ("kind: job", "kind: jop"), "key.yml": ("connections:", "conections:"), "type.yml": ("type: bool", "type: colour"),
    "input.yml": ("value: false", "value: maybe"),
}
# Reads every file as `polyaxon run -f` does, and fills in its inputs.
CHECK = """
import json, sys
from polyaxon.polyaxonfile import check_polyaxonfile
found = {}
for path in sys.argv[1:]:
    try:
        operation = check_polyaxonfile(polyaxonfile=path, is_cli=False, to_op=True, validate_params=True)
        found[path] = json.loads(operation.component.to_json())
    except Exception as error:
        found[path] = " ".join(filter(None, map(str, (error, error.__cause__))))
print(json.dumps(found))
"""


def play(folder, tasks):
    """Runs tasks with the variables of the roles; returns the process."""
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip("no ansible-playbook beside this Python and on PATH")
    if not (folder / "templates").exists():
        (folder / "templates").symlink_to(ROOT / "roles/polyaxon/templates")
    files = [ROOT / "roles" / name / kind / "main.yml" for name in ("platform", "postgresql", "polyaxon") for kind in ("defaults", "vars")]
    (folder / "play.yml").write_text(yaml.safe_dump([{
        "hosts": "localhost", "gather_facts": False, "vars_files": [str(file) for file in files], "tasks": tasks}]))
    return subprocess.run([ansible, "-i", "localhost,", "-c", "local", str(folder / "play.yml")], cwd=ROOT, capture_output=True,
                          text=True, check=False, env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """case -> the plan, and where the role postgresql says that the database is; all in one run of Ansible."""
    folder = tmp_path_factory.mktemp("polyaxon")
    tasks = [{
        "name": case, "ansible.builtin.debug": {"msg": {
            "plan": "{{ _polyaxon_plan }}", "database": "{{ [_postgresql_host, _postgresql_port] }}"}},
        "vars": {**ACCEPTED, **variables, "role_path": str(ROOT / "roles/polyaxon")},
    } for case, variables in CASES.items()]
    done = play(folder, tasks)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return {task["task"]["name"]: task["hosts"]["localhost"]["msg"] for task in json.loads(done.stdout)["plays"][0]["tasks"]}


@pytest.fixture
def objects(plans):
    """case -> its objects by kind and name."""
    return lambda case: {(item["kind"], item["metadata"]["name"]): item for phase in plans[case]["plan"]["phases"].values()
                         for item in phase.get("objects", []) if item}


@pytest.fixture(scope="module")
def checked(plans, tmp_path_factory):
    """case -> what Polyaxon's own package, in an environment of its own, read of each file, or its error; all in one process."""
    made = subprocess.run([ROOT / "scripts/venv", "polyaxon"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"the package polyaxon is not to be had: {made.stderr.strip().splitlines()[-1]}")
    folder = tmp_path_factory.mktemp("files")
    every = {case: texts(plans, case) for case in WITH_FILES}
    right = every["local"]["train-model-cpu.yml"]
    every["wrong"] = {name: right.replace(*change) for name, change in WRONG.items()}
    assert right not in every["wrong"].values()
    for case, files in every.items():
        (folder / case).mkdir()
        for name, text in files.items():
            (folder / case / name).write_text(text)
    done = subprocess.run(
        [Path(made.stdout.strip()) / "bin/python", "-c", CHECK, *(str(folder / case / name) for case in every for name in every[case])],
        capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(folder), "POLYAXON_NO_API": "true"})
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {case: {name: found[str(folder / case / name)] for name in files} for case, files in every.items()}


def values(plans, case):
    (release,) = plans[case]["plan"]["phases"]["applications"]["releases"]
    assert (release["name"], release["chart"]) == ("polyaxon", "polyaxon/polyaxon")
    return release["values"]


def secrets(plans, case):
    return {secret["name"]: secret for secret in plans[case]["plan"]["secrets"]}


def texts(plans, case):
    """The Polyaxonfiles of a case, by name."""
    (found,) = [item["data"] for item in plans[case]["plan"]["phases"]["preparation"]["objects"]
                if item and item["metadata"]["name"] == "polyaxonfiles"]
    return found


@pytest.mark.parametrize("case", CASES)
def test_objects_are_valid_and_restricted(objects, case):
    for (kind, _name), item in objects(case).items():
        kubernetes_validate.validate(item, "1.35", strict=True)
        assert kind != "Job" or violations(item["spec"]["template"]["spec"]) == []


@pytest.mark.parametrize("case", CASES)
def test_nothing_that_upstream_publishes_and_nothing_that_is_given_is_in_the_plan(plans, case):
    given = values(plans, case)
    assert given["user"]["password"] == "" and "password" not in given["externalServices"]["postgresql"]
    assert given["platformSecret"] == "polyaxon-platform"
    made = secrets(plans, case)["polyaxon-platform"]["data"]
    assert {"POLYAXON_SECRET_KEY", "POLYAXON_ADMIN_PASSWORD", "POLYAXON_ENCRYPTION_SECRET", "POLYAXON_DB_PASSWORD"} <= set(made)
    assert all(set(entry) & {"generate", "copy", "format"} or key == "POLYAXON_CORS_ALLOWED_ORIGINS" for key, entry in made.items())
    # Whoever rotates everything does not make unreadable what is in the database.
    assert [key for key, entry in made.items() if entry.get("only_by_name")] == ["POLYAXON_ENCRYPTION_SECRET"]
    text = json.dumps(plans[case]["plan"])
    assert WORD not in text and "rootpassword" not in text


@pytest.mark.parametrize("case", CASES)
def test_the_database_is_the_one_of_the_role_postgresql(plans, case):
    found = values(plans, case)["externalServices"]["postgresql"]
    assert [found["host"], found["port"]] == plans[case]["database"]


def test_without_its_operator_it_says_so(plans):
    assert values(plans, "local")["operator"] == {"enabled": False} == values(plans, "local")["agent"]
    assert any("stay queued" in note for note in plans["local"]["plan"]["about"]["notes"])
    assert plans["local"]["plan"]["offspring"] == []
    assert values(plans, "gateway")["operator"]["enabled"] is True
    assert not any("stay queued" in note for note in plans["gateway"]["plan"]["about"]["notes"])
    # Upstream's operator reads the token that upstream's chart makes; where it is not, nobody else makes one.
    assert "POLYAXON_SECRET_INTERNAL_TOKEN" in secrets(plans, "local")["polyaxon-platform"]["data"]
    assert "POLYAXON_SECRET_INTERNAL_TOKEN" not in secrets(plans, "gateway")["polyaxon-platform"]["data"]


def test_the_command_line_is_told_its_hosts(plans):
    about = plans["local"]["plan"]["about"]
    assert "--port=8117 --namespace=polyaxon-v1" in about["notes"][0] and "--host=http://localhost:8117 " in about["notes"][0]
    assert about["notes"][1].endswith("--host=https://ml.example.org") and about["url"] == "https://ml.example.org/ui/"
    assert "https://plx.example.org/ui/" == plans["host"]["plan"]["about"]["url"]
    origins = secrets(plans, "local")["polyaxon-platform"]["data"]["POLYAXON_CORS_ALLOWED_ORIGINS"]["value"]
    assert json.loads(origins) == ["https://ml.example.org", "http://localhost:8117"]


def test_a_mirror_serves_every_image(plans):
    given = values(plans, "host")
    assert given["gateway"]["image"] == "mirror.example.org/hub/polyaxon/polyaxon-api"
    for part in ("agent", "operator", "init", "cleaner", "sidecar", "notifier", "cleanHooks"):
        assert given[part]["image"].startswith("mirror.example.org/hub/polyaxon/"), part
        assert given[part]["imageTag"] == "2.15.1"


def test_artifacts_lie_in_the_bucket(plans):
    assert values(plans, "defaults")["artifactsStore"] == {
        "name": "artifacts", "kind": "s3", "schema": {"bucket": "s3://polyaxon"}, "secret": {"name": "polyaxon-artifacts"}}
    keys = secrets(plans, "defaults")["polyaxon-artifacts"]["data"]
    assert keys["AWS_ENDPOINT_URL"] == {"copy": "polyaxon-bucket/endpoint"} and "AWS_SECRET_ACCESS_KEY" in keys
    # Amazon's own, with rights of the nodes: neither address nor keys.
    assert not {"AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY"} & set(secrets(plans, "external")["polyaxon-artifacts"]["data"])
    assert values(plans, "google")["artifactsStore"] == {"name": "artifacts", "kind": "gcs", "schema": {"bucket": "gs://lab-polyaxon"}}
    assert "polyaxon-artifacts" not in secrets(plans, "google")


def test_the_volume(plans, objects):
    claim = objects("defaults")["PersistentVolumeClaim", "fstore-rwx-pvc"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert values(plans, "defaults")["connections"] == [{"name": "fstore-pvc", "kind": "volume_claim", "schema": {
        "mountPath": "/polyaxon-v1-data", "volumeClaim": "fstore-rwx-pvc"}}]
    assert values(plans, "defaults")["mountConnections"] == ["fstore-pvc"]
    assert not [name for kind, name in objects("external") if kind == "PersistentVolumeClaim"]


def test_one_key_makes_both_secrets(plans):
    found = secrets(plans, "google")
    assert found["gcp-sa-credentials"]["data"] == {"gcp-service-account.json": {"variable": "_polyaxon_gcp_key"}}
    image = found["gcp-imagepullsecrets"]
    assert image["type"] == "kubernetes.io/dockerconfigjson"
    logins = image["data"][".dockerconfigjson"]["dockerconfigjson"]
    assert [login["registry"] for login in logins] == ["https://asia.gcr.io", "https://eu.gcr.io"]
    for login in logins:
        assert (login["username"], login["email"]) == ("_json_key", KEY["client_email"])
        assert login["password_from"] == "gcp-sa-credentials/gcp-service-account.json"
    assert not [name for name in secrets(plans, "defaults") if name.startswith("gcp-")]


def test_services_and_policies(plans, objects):
    def prefixes(case):
        return {service["name"]: (service["prefix"], service["allow"]) for service in plans[case]["plan"]["services"]}

    pages = {"polyaxon": ("/ui/", "authenticated"), "polyaxon-api": ("/api/v1/", "authenticated"),
             "polyaxon-streams": ("/streams/v1/", "authenticated"), "polyaxon-static": ("/static/", "authenticated")}
    assert prefixes("local") == pages
    assert set(prefixes("gateway")) - set(pages) == {"polyaxon-services", "polyaxon-rewritten"}
    # A host of its own has all paths, so that of programs among themselves is closed.
    assert prefixes("host")["polyaxon"][0] == "/" and prefixes("host")["polyaxon-internal"] == ("/internal/", "nobody")
    assert plans["defaults"]["plan"]["services"] == []
    for service in plans["gateway"]["plan"]["services"]:
        assert service["service"] == "polyaxon-polyaxon-gateway" and service["clients"] == ["flows"] and service["target_port"] == 8000
    runs = objects("gateway")["NetworkPolicy", "polyaxon-runs"]["spec"]
    assert runs["podSelector"]["matchExpressions"] == [
        {"key": "app.kubernetes.io/name", "operator": "NotIn", "values": ["polyaxon-polyaxon-gateway"]}]
    assert runs["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert ("NetworkPolicy", "polyaxon") in objects("external") and ("NetworkPolicy", "polyaxon") not in objects("gateway")


def test_the_policy_and_the_charts_service_mean_the_same_pods(plans, render):
    rendered = render("polyaxon", values(plans, "local"), release="polyaxon", minimal=False)
    (service,) = [service for service in plans["local"]["plan"]["services"] if service["name"] == "polyaxon"]
    assert rendered.one("Service")["metadata"]["name"] == service["service"]
    assert service["selector"].items() <= rendered.pod["metadata"]["labels"].items()
    assert rendered.one("Service")["spec"]["selector"] == service["selector"]
    assert {"name": "fstore-pvc", "mountPath": "/polyaxon-v1-data"} in rendered.container["volumeMounts"]
    assert json.loads(rendered.env["POLYAXON_AGENT_ARTIFACTS_STORE"]) == values(plans, "local")["artifactsStore"]


def test_projects_are_another_job(objects):
    def job(case):
        ((_kind, name),) = [key for key in objects(case) if key[0] == "Job"]
        return name, objects(case)["Job", name]["spec"]["template"]["spec"]["containers"][0]

    # Other projects, or another image, are another Job.
    assert len({job(case)[0] for case in ("local", "gateway", "host")}) == 3 and job("gateway")[0] == job("defaults")[0]
    environment = {entry["name"]: entry["value"] for entry in job("local")[1]["env"]}
    assert json.loads(environment["PROJECTS"]) == PROJECTS
    assert environment["ADDRESS"] == "http://polyaxon-polyaxon-gateway.polyaxon-v1.svc.cluster.local"


@pytest.mark.parametrize("case", WITH_FILES)
def test_polyaxon_takes_the_polyaxonfiles(checked, case):
    found = checked[case]
    assert {name: entry for name, entry in found.items() if not isinstance(entry, dict)} == {}
    assert {name: entry["run"]["kind"] for name, entry in found.items()} == {
        "vscode-service.yml": "service", "jupyter-service.yml": "service", "jupyter-service-gpu.yml": "service",
        "process-data.yml": "job", "train-model-cpu.yml": "job", "train-model-gpu.yml": "job"}
    for name, entry in found.items():
        assert entry["run"]["connections"] == ["fstore-pvc"], name
        gpu = entry["run"]["container"]["resources"]["limits"].get("nvidia.com/gpu")
        assert (gpu, bool(entry["run"]["environment"].get("tolerations"))) == ((1, True) if name.endswith("gpu.yml") else (None, False)), name


def test_the_check_refuses_what_is_wrong(checked):
    assert {name for name, found in checked["wrong"].items() if isinstance(found, str)} == set(WRONG)


def test_polyaxonfiles_use_the_google_key_where_there_is_one(plans):
    """As the guide to GKE and Polyaxon has it, F-12."""
    for name, text in texts(plans, "google").items():
        found = yaml.safe_load(text)
        assert (found["version"], found["kind"]) == (1.1, "component"), name
        assert {"name": "SA_CRED_PATH", "isOptional": True, "type": "str", "toEnv": "GOOGLE_APPLICATION_CREDENTIALS",
                "value": "/var/secret/cloud.google.com/gcp-service-account.json",
                "description": "Path to credential file for GCP service account."} in found["inputs"]
        run = found["run"]
        assert run["environment"]["imagePullSecrets"] == ["gcp-imagepullsecrets", "registry"]
        assert run["volumes"] == [{"name": "gcp-service-account", "secret": {"secretName": "gcp-sa-credentials"}}]
        assert {"name": "gcp-service-account", "mountPath": "/var/secret/cloud.google.com", "readOnly": True} in run["container"]["volumeMounts"]
    assert "gcp" not in json.dumps(texts(plans, "defaults"))


def test_jobs_track_in_mlflow_where_it_is_installed(plans):
    def inputs(case):
        return {entry["name"]: entry["value"] for entry in yaml.safe_load(texts(plans, case)["train-model-cpu.yml"])["inputs"]}

    assert inputs("local")["MLFLOW_TRACKING_URI"] == "http://mlflow.mlflow.svc.cluster.local:5000/mlflow"
    assert inputs("local")["SETUP_MLFLOW"] is True and inputs("gateway")["SETUP_MLFLOW"] is False
    assert "{{ globals.base_url }}" in texts(plans, "local")["jupyter-service.yml"]


def test_preflight(tmp_path):
    key = tmp_path / "gcp-service-account.json"
    key.write_text(json.dumps(KEY))
    good = {**CASES, "key file": {"polyaxon_gcp_key_file": str(key)}, "not wanted": {"platform_accepted_licences": [], "polyaxon_state": "absent"}}
    checks = str(ROOT / "roles/polyaxon/tasks/preflight.yml")
    tasks = [{
        "name": case, "vars": {**ACCEPTED, **variables, "role_path": str(ROOT / "roles/polyaxon")},
        "block": [{"ansible.builtin.include_tasks": checks}, {"ansible.builtin.debug": {"msg": f"passed {case}"}}],
        "rescue": [{"ansible.builtin.debug": {"msg": "refused %s: {{ ansible_failed_result.msg }}" % case}}],
    } for case, variables in {**BAD, **good}.items()]
    done = play(tmp_path, tasks)
    assert done.returncode == 0, done.stdout[-3000:]
    said = [str(host["msg"]) for task in json.loads(done.stdout)["plays"][0]["tasks"] for host in task["hosts"].values()
            if host.get("action") == "debug" or str(host.get("msg", "")).startswith(("passed", "refused"))]
    assert [text for text in said if text.startswith("passed")] == [f"passed {case}" for case in good]
    refused = {text.removeprefix("refused ").split(": ")[0]: text for text in said if text.startswith("refused")}
    assert set(refused) == set(BAD) and all(case in text.partition(": ")[2] for case, text in refused.items())
    assert WORD not in done.stdout.replace(json.dumps(KEY), "")
