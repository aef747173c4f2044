# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Polyaxon on the local cluster: its server behind the login, projects, credentials, the volume, and the command line, which submits
what the platform offers. Nothing starts jobs here, so they must stay queued, and status must say so."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.tests.integration.platform_client import secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA, CHOSEN
from ansible_collections.openmlops.platform.tests.integration.workbench.reach import reached

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SPACE, SERVER, PROJECT = "polyaxon-v1", "polyaxon-polyaxon-gateway", "wine-ada"
WITH = {"COMPONENTS": f"{CHOSEN['COMPONENTS']},polyaxon"}
WORD = "bm90LWEta2V5LWp1c3QtYS13b3Jk"
KEY = {"type": "service_account", "project_id": "lab", "client_email": "robot@lab.iam.gserviceaccount.com",
       "private_key": f"-----BEGIN PRIVATE KEY-----\n{WORD}\n-----END PRIVATE KEY-----\n"}


@pytest.fixture(scope="module")
def given(cluster, gateway, variables, tmp_path_factory):
    """Arguments of each run: the workbench's own, and Polyaxon's."""
    folder = tmp_path_factory.mktemp("polyaxon")
    (folder / "gcp-service-account.json").write_text(json.dumps(KEY))
    (folder / "more.json").write_text(json.dumps({
        "platform_accepted_licences": ["AGPL-3.0-only"], "polyaxon_gcp_key_file": str(folder / "gcp-service-account.json"),
        "polyaxon_projects": [{"name": PROJECT, "description": "Red wine", "tags": ["wine"]}],
    }))
    return ["-e", f"@{variables}", "-e", f"@{folder / 'more.json'}"]


@pytest.fixture(scope="module")
def refused(cluster, given):
    """A run without the licence accepted, before anything of Polyaxon is there."""
    found = cluster.run("up", *given, "-e", "'{\"platform_accepted_licences\": []}'", **WITH)
    return found, cluster.kubectl("get", "deployments", "-n", SPACE, "-o", "name", check=False)


@pytest.fixture(scope="module", autouse=True)
def installed(cluster, given, refused):
    """The run that installed it. It is taken away at the end, with its volume."""
    found = cluster.run("up", *given, **WITH)
    try:
        yield found.ok()
    finally:
        cluster.run("up", *given, "-e", "polyaxon_state=absent", "-e", "polyaxon_purge=true", **WITH).ok()
    # Its database and bucket are other components', and stay with the Secrets that lead there.
    left = [f"{item['kind']} {item['metadata']['name']}"
            for item in cluster.get("pods,deployments,services,persistentvolumeclaims,configmaps,networkpolicies", "-n", SPACE)["items"]
            if item["metadata"]["name"] != "kube-root-ca.crt" and not item["metadata"].get("deletionTimestamp")]
    assert left == [], "teardown left something"


@pytest.fixture(scope="module")
def token(cluster, gateway, installed):
    return gateway.login(ADA, secret(cluster, "ory", "user-ada-example-org", "password"))


@pytest.fixture(scope="module")
def api(gateway, token):
    """Asks Polyaxon's API through the gateway."""

    def ask(path: str):
        answer = gateway.ask(f"/api/v1/{path}", token=token)
        assert answer.status_code == 200, (answer.status_code, answer.text[:500])
        return answer.json()

    return ask


@pytest.fixture(scope="module")
def bench(cluster, tmp_path_factory):
    """A data scientist's folder, with the platform's Polyaxonfiles and some code in it."""
    folder = tmp_path_factory.mktemp("bench")
    for name, text in cluster.get("configmap", "-n", SPACE, "polyaxonfiles")["data"].items():
        (folder / name).write_text(text)
    (folder / "src").mkdir()
    (folder / "src/train_model.py").write_text("print('trained')\n")
    return folder


@pytest.fixture(scope="module")
def polyaxon(bench, tmp_path_factory):
    """The command line, in a home of its own; returns what it printed."""
    made = subprocess.run([ROOT / "scripts/venv", "polyaxon"], capture_output=True, text=True, check=True)
    home = tmp_path_factory.mktemp("home")

    def run(*words: str, **environment: str) -> str:
        done = subprocess.run(
            [Path(made.stdout.strip()) / "bin/polyaxon", *words], cwd=bench, capture_output=True, text=True, check=False, timeout=120,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200", **environment})
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    run.program, run.home = Path(made.stdout.strip()) / "bin/polyaxon", home
    return run


@pytest.fixture(scope="module")
def outside(gateway, token):
    """What the command line is told to come through the gateway."""
    return {"POLYAXON_HOST": gateway.url, "POLYAXON_AUTHENTICATION_TYPE": "Bearer", "POLYAXON_AUTH_TOKEN": token,
            "POLYAXON_VERIFY_SSL": "true", "POLYAXON_SSL_CA_CERT": str(gateway.ca),
            "REQUESTS_CA_BUNDLE": str(gateway.ca)}


def test_without_the_licence_nothing_happens(refused):
    run, servers = refused
    # Ansible breaks lines where it likes.
    assert run.code != 0 and "platform_accepted_licences: [AGPL-3.0-only]" in " ".join(run.text.split()) and servers == ""


def test_a_second_run_changes_nothing_and_no_run_shows_the_key(cluster, given, installed):
    loud = cluster.run("up", "-vvv", "--diff", *given, **WITH).ok()
    assert loud.changed == 0
    assert WORD not in loud.text and WORD not in installed.text


def test_the_server_is_behind_the_login(gateway, token, api):
    away = gateway.ask("/ui/", headers={"Accept": "text/html"})
    assert away.status_code == 302 and away.headers["Location"].startswith(f"{gateway.url}/auth/login")
    for path in (f"/api/v1/default/{PROJECT}", "/streams/v1/", "/static/dist/js/1.bundle.js"):
        answer = gateway.ask(path, headers={"Accept": "text/html"})
        assert answer.status_code == 401 and "json" in answer.headers["Content-Type"], (path, answer.text[:200])
    page = gateway.ask("/ui/", token=token, headers={"Accept": "text/html"})
    assert page.status_code == 200 and 'src="/static/vendors/js/react.' in page.text and "https://unpkg.com" not in page.text
    script = gateway.ask(page.text.split('src="')[1].split('"')[0], token=token)
    assert script.status_code == 200 and "javascript" in script.headers["Content-Type"]
    assert api("installation")["version"] == "2.15.1"


def test_another_site_may_not_use_a_persons_session(gateway, token):
    answer = gateway.ask("/api/v1/default/projects/list", token=token, headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_project_is_there(api):
    found = api(f"default/{PROJECT}")
    assert (found["description"], found["tags"]) == ("Red wine", ["wine"])


def test_both_google_secrets_are_made_of_the_one_file(cluster):
    text = json.dumps(KEY)
    assert secret(cluster, SPACE, "gcp-sa-credentials", "gcp-service-account.json") == text
    found = cluster.get("secret", "-n", SPACE, "gcp-imagepullsecrets")
    assert found["type"] == "kubernetes.io/dockerconfigjson"
    login = json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))["auths"]["https://asia.gcr.io"]
    assert (login["username"], login["password"], login["email"]) == ("_json_key", text, KEY["client_email"])


def test_no_password_is_a_published_one(cluster):
    made = [secret(cluster, SPACE, "polyaxon-platform", key) for key in (
        "POLYAXON_ADMIN_PASSWORD", "POLYAXON_SECRET_KEY", "POLYAXON_SECRET_INTERNAL_TOKEN", "POLYAXON_ENCRYPTION_SECRET", "POLYAXON_DB_PASSWORD")]
    assert len(set(made)) == len(made) and all(len(value) >= 32 for value in made)
    assert not {"rootpassword", "polyaxon", "default-secret"} & set(made)


def test_the_server_has_the_volume(cluster):
    path = "/polyaxon-v1-data/written-by-a-test"
    cluster.kubectl("exec", "-n", SPACE, "deployment/polyaxon-polyaxon-api", "--", "sh", "-c", f"echo kept > {path}")
    cluster.kubectl("rollout", "restart", "-n", SPACE, "deployment/polyaxon-polyaxon-api")
    cluster.kubectl("rollout", "status", "-n", SPACE, "deployment/polyaxon-polyaxon-api", "--timeout=180s", timeout=200)
    assert cluster.kubectl("exec", "-n", SPACE, "deployment/polyaxon-polyaxon-api", "--", "cat", path) == "kept\n"


def test_a_job_by_the_command_line_through_the_gateway_is_queued(polyaxon, outside, bench, api):
    said = polyaxon("run", "-p", PROJECT, "-f", "train-model-cpu.yml", "-P", "MLFLOW_EXP_NAME=wine", "-u", **outside)
    assert "A new run was created" in said and "Artifacts uploaded" in said
    number = re.search(rf"default/{PROJECT}/runs/([0-9a-f]+)", said)[1]
    end = time.monotonic() + 30
    while (run := api(f"default/{PROJECT}/runs/{number}"))["status"] != "queued":
        assert run["status"] in ("created", "compiled") and time.monotonic() < end, run
        time.sleep(1)
    assert run["inputs"]["MLFLOW_EXP_NAME"] == "wine" and run["kind"] == "job"
    assert run["inputs"]["SA_CRED_PATH"] == "/var/secret/cloud.google.com/gcp-service-account.json"
    # The code went to the bucket, and comes back from there.
    polyaxon("ops", "artifacts", "-p", PROJECT, "-uid", number, "-f", "uploads/src/train_model.py", "--path-to", str(bench / "back"), **outside)
    (back,) = (bench / "back").rglob("train_model.py")
    assert back.read_text() == "print('trained')\n"


def test_every_polyaxonfile_is_taken(polyaxon, outside, bench, api):
    before = api(f"default/{PROJECT}/runs?limit=1")["count"]
    names = sorted(path.name for path in bench.glob("*.yml"))
    assert len(names) == 6
    for name in names:
        polyaxon("run", "-p", PROJECT, "-f", name, **outside)
    found = api(f"default/{PROJECT}/runs?limit=20&sort=-created_at")
    assert found["count"] == before + len(names)
    assert {(run["name"], run["status"]) for run in found["results"][:len(names)]} == {(name.removesuffix(".yml"), "queued") for name in names}


def test_the_command_line_past_the_gateway_as_the_guide_has_it(cluster, polyaxon, bench):
    """polyaxon port-forward, polyaxon config set --host, polyaxon project create."""
    programs = bench / "bin"
    programs.mkdir()
    kubectl = programs / "kubectl"
    kubectl.write_text(f"#!/bin/sh\nexec {cluster.state_dir / cluster.name / 'bin/kubernetes'} kubectl --kubeconfig={cluster.kubeconfig} "
                       f"--context={cluster.context} \"$@\"\n")
    kubectl.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    forward = subprocess.Popen(
        [polyaxon.program, "port-forward", f"--port={port}", f"--namespace={SPACE}"], start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(polyaxon.home)})
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert forward.poll() is None and time.monotonic() < end, "port-forward does not listen"
                time.sleep(0.5)
        polyaxon("config", "set", f"--host=http://localhost:{port}")
        assert "created successfully" in polyaxon("project", "create", "--name", "by-hand")
        assert "by-hand" in polyaxon("project", "ls") and PROJECT in polyaxon("project", "ls")
    finally:
        os.killpg(forward.pid, signal.SIGKILL)


def test_status_says_that_nothing_starts_jobs_here(cluster, gateway, installed):
    (found,) = [entry for entry in json.loads(cluster.run("status", OUTPUT="json").ok().text)["components"] if entry["name"] == "polyaxon"]
    assert found["ready"] and found["version"] == "2.15.1" and found["url"] == f"{gateway.url}/ui/"
    assert any("stay queued" in note for note in found["notes"])
    assert any(f"polyaxon config set --host={gateway.url}" in note for note in found["notes"])
    assert found["proof"]["server"] == "2.15.1" and PROJECT in found["proof"]["projects"]
    assert "polyaxon: jobs and services stay queued" in installed.text


def test_only_the_gateway_and_its_own_namespace_reach_it(cluster):
    place = {f"{SERVER}.{SPACE}": 80}
    assert reached(cluster, "default", place) == dict.fromkeys(place, "closed")
    assert reached(cluster, SPACE, place) == dict.fromkeys(place, "open")
