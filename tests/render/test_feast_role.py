# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the feast role makes of an inventory, and that notebooks and flows are configured for it."""

from __future__ import annotations

import base64
import json
import os
import re
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
GIT = {"feast_definitions": {"git": {"url": "https://git.example.org/f.git", "ref": "main", "path": "repo"}}, "feast_git_password": WORD}
CASES = {
    "defaults": {},
    "gateway": {"platform_gateway": "envoy_gateway", "platform_hostname": "ml.example.org", "platform_url": "https://ml.example.org",
                "platform_calls": [{"service": "feast", "namespace": "flows"}]},
    "git": GIT,
    "files": {"feast_definitions": {"files": {"features.py": "x = 1\n"}}},
    "redis": {"feast_online_store": "redis", "feast_redis_address": "redis.example.org:6379,ssl=true", "feast_redis_password": WORD},
    "database": {"feast_offline_store": "postgresql", "feast_offline_secret": "warehouse", "feast_namespace": "lab", "feast_project": "wine"},
    "volume": {"feast_offline_claim": "features", "feast_materialize_schedule": "", "feast_ui_enabled": False, "feast_verify": False},
}
BAD = {
    "feast_prefix": {"feast_prefix": "/feast/"},
    "feast_project": {"feast_project": "_x"},
    "feast_redis_address": {"feast_online_store": "redis"},
    "feast_redis_password": {"feast_online_store": "redis", "feast_redis_address": "redis:6379", "feast_redis_password": "a,b"},
    "feast_materialize_schedule": {"feast_materialize_schedule": "@hourly"},
    "feast_definitions": {"feast_definitions": {"files": {"a.py": ""}, "folder": "x"}},
    "folder": {"feast_definitions": {"folder": "not-there"}},
    "url": {"feast_definitions": {"git": {"ref": "main"}}},
    "without a password": {"feast_definitions": {"git": {"url": "https://me:word@git.example.org/f.git"}}},
}
GIVEN = {"platform_chart_source": "bundled", "platform_image_source": "built", "inventory_dir": str(ROOT)}


def play(folder, tasks):
    """Runs tasks with the variables of the roles; returns the process."""
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip("no ansible-playbook beside this Python and on PATH")
    if not (folder / "templates").exists():
        (folder / "templates").symlink_to(ROOT / "roles/feast/templates")
    roles = ROOT / "roles"
    files = [roles / name / kind / "main.yml" for name in ("platform", "jupyterhub", "prefect", "feast") for kind in ("defaults", "vars")]
    (folder / "play.yml").write_text(yaml.safe_dump([{
        "hosts": "localhost", "gather_facts": False, "vars_files": [str(file) for file in files], "tasks": tasks}]))
    return subprocess.run([ansible, "-i", "localhost,", "-c", "local", str(folder / "play.yml")], cwd=ROOT, capture_output=True,
                          text=True, check=False, env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """case -> the plan, and the configuration of clients; all in one run of Ansible."""
    folder = tmp_path_factory.mktemp("feast")
    tasks = [{
        "name": case, "ansible.builtin.debug": {"msg": {
            "plan": "{{ _feast_plan }}", "client": "{{ _platform_feast_client }}"}},
        "vars": {**GIVEN, **variables, "role_path": str(ROOT / "roles/feast")},
    } for case, variables in CASES.items()]
    done = play(folder, tasks)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return {task["task"]["name"]: task["hosts"]["localhost"]["msg"] for task in json.loads(done.stdout)["plays"][0]["tasks"]}


@pytest.fixture
def objects(plans):
    """case -> its objects, those that are none left out."""
    return lambda case: [item for phase in plans[case]["plan"]["phases"].values() for item in phase.get("objects", []) if item]


def releases(plans, case):
    return {release["name"]: release["values"] for release in plans[case]["plan"]["phases"]["applications"]["releases"]}


def store(values):
    return json.loads(base64.b64decode(values["feature_store_yaml_base64"]))


@pytest.mark.parametrize("case", CASES)
def test_objects_are_valid_and_restricted(objects, case):
    for item in objects(case):
        kubernetes_validate.validate(item, "1.35", strict=True)
        pod = {"Job": lambda job: job["spec"]["template"]["spec"],
               "CronJob": lambda job: job["spec"]["jobTemplate"]["spec"]["template"]["spec"]}.get(item["kind"])
        assert not pod or violations(pod(item)) == []


@pytest.mark.parametrize("case", CASES)
def test_clients_know_the_servers_and_no_password(plans, case):
    client = plans[case]["client"]
    servers = set(releases(plans, case))
    assert client["project"] == store(releases(plans, case)["feast-server"])["project"]
    named = set(re.findall(r"(feast-[a-z]+)\.[a-z]+\.svc", json.dumps(client)))
    assert {"feast-registry", "feast-server"} <= named <= servers and ("feast-offline" in named) == ("feast-offline" in servers)
    assert "password" not in json.dumps(client)


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_anywhere_but_in_secrets(plans, case):
    assert WORD not in json.dumps(plans[case]["plan"])


def test_servers(plans):
    assert list(releases(plans, "defaults")) == ["feast-registry", "feast-server", "feast-ui"]
    assert list(releases(plans, "database")) == ["feast-registry", "feast-server", "feast-ui", "feast-offline"]
    assert list(releases(plans, "volume")) == ["feast-registry", "feast-server"]
    # Upstream's chart gives pods no labels but these, so that policies go by them.
    assert all(values["fullnameOverride"] == name for name, values in releases(plans, "defaults").items())


def test_stores(plans):
    default, redis, database = (store(releases(plans, case)["feast-server"]) for case in ("defaults", "redis", "database"))
    assert default["registry"]["path"] == "${FEAST_REGISTRY}" and default["offline_store"] == {"type": "dask"}
    assert default["online_store"]["password"] == "${FEAST_DATABASE_PASSWORD}"
    assert redis["online_store"] == {
        "type": "redis", "connection_string": "redis.example.org:6379,ssl=true,password=${FEAST_REDIS_PASSWORD}"}
    assert database["project"] == "wine" and database["offline_store"]["type"] == "postgres"
    environment = {entry["name"]: entry.get("valueFrom") for entry in releases(plans, "database")["feast-server"]["extraEnvs"]}
    assert environment["FEAST_OFFLINE_PASSWORD"]["secretKeyRef"] == {"name": "warehouse", "key": "password"}
    # Each name in the file is a variable of the server.
    for case in ("defaults", "redis", "database"):
        for values in releases(plans, case).values():
            named = {part.split("}")[0] for part in json.dumps(store(values)).split("${")[1:]}
            assert named <= {entry["name"] for entry in values["extraEnvs"]}


def test_definitions(objects):
    def jobs(case):
        return {item["kind"]: item for item in objects(case) if item["kind"] in ("Job", "CronJob") and "verify" not in item["metadata"]["name"]}

    def pod(job):
        return (job["spec"]["jobTemplate"] if job["kind"] == "CronJob" else job)["spec"]["template"]["spec"]

    assert "DEFINITIONS" in json.dumps(pod(jobs("defaults")["Job"])) and "/definitions" not in json.dumps(pod(jobs("defaults")["Job"]))
    for job in jobs("git").values():
        (fetch,) = pod(job)["initContainers"]
        assert fetch["command"][:2] == ["sh", "-euc"] and {"name": "GIT_REF", "value": "main"} in fetch["env"]
        assert {"name": "DEFINITIONS", "value": "/definitions/repository/repo"} in pod(job)["containers"][0]["env"]
    assert pod(jobs("git")["CronJob"])["containers"][0]["command"][2:] == ["apply", "materialize"]
    assert pod(jobs("files")["CronJob"])["containers"][0]["command"][2:] == ["materialize"]
    assert [item["data"] for item in objects("files") if item["metadata"]["name"] == "feast-definitions"] == [{"features.py": "x = 1\n"}]
    assert "CronJob" not in jobs("volume")
    # Other definitions are another Job.
    assert len({jobs(case)["Job"]["metadata"]["name"] for case in ("defaults", "git", "files")}) == 3


def test_services_and_policies(plans, objects):
    services = {service["name"]: service for service in plans["gateway"]["plan"]["services"]}
    assert {name: service["prefix"] for name, service in services.items()} == {
        "feast": "/feast/", "feast-api": "/feast/api/", "feast-server": "/feast/server/"}
    assert services["feast-server"]["strip_prefix"] and services["feast-server"]["clients"] == ["flows"]
    (policy,) = [item for item in objects("gateway") if item["kind"] == "NetworkPolicy"]
    assert policy["metadata"]["name"] == "feast-registry"
    assert [entry["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for entry in policy["spec"]["ingress"][0]["from"]] == [
        "flows", "feast"]
    assert plans["defaults"]["plan"]["services"] == [] and plans["gateway"]["plan"]["about"]["url"] == "https://ml.example.org/feast/"


def test_preflight(tmp_path):
    checks = str(ROOT / "roles/feast/tasks/preflight.yml")
    tasks = [{
        "name": case, "vars": {**GIVEN, **variables, "role_path": str(ROOT / "roles/feast")},
        "block": [{"ansible.builtin.include_tasks": checks}, {"ansible.builtin.debug": {"msg": f"passed {case}"}}],
        "rescue": [{"ansible.builtin.debug": {"msg": "refused %s: {{ ansible_failed_result.msg }}" % case}}],
    } for case, variables in {**BAD, **CASES}.items()]
    done = play(tmp_path, tasks)
    assert done.returncode == 0, done.stdout[-3000:]
    said = [str(host["msg"]) for task in json.loads(done.stdout)["plays"][0]["tasks"] for host in task["hosts"].values()
            if host.get("action") == "debug" or str(host.get("msg", "")).startswith(("passed", "refused"))]
    assert [text for text in said if text.startswith("passed")] == [f"passed {case}" for case in CASES]
    refused = {text.removeprefix("refused ").split(": ")[0]: text for text in said if text.startswith("refused")}
    assert set(refused) == set(BAD) and all(case in text.partition(": ")[2] for case, text in refused.items())
    assert "me:word" not in json.dumps(refused) and "a,b" not in json.dumps(refused)
