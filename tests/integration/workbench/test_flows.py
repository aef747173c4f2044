# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows end to end: deployed by `prefect deploy`, started by their schedule, run as Jobs that use Dask and MLflow."""

from __future__ import annotations

import datetime
import json
import time
import uuid
from pathlib import Path

import pytest
import websocket

from ansible_collections.openmlops.platform.tests.integration.platform_client import secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA
from ansible_collections.openmlops.platform.tests.integration.workbench.reach import image, reached

FLOW = Path(__file__).parent / "files" / "flow"
API = "/prefect/api"


@pytest.fixture(scope="module")
def token(cluster, gateway):
    return gateway.login(ADA, secret(cluster, "ory", "user-ada-example-org", "password"))


@pytest.fixture(scope="module")
def ask(gateway, token):
    """Calls Prefect's API through the gateway, as its pages do."""

    def call(path, body=None, method=""):
        answer = gateway.ask(API + path, method or ("POST" if body is not None else "GET"), token=token, json=body)
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    return call


@pytest.fixture
def listen(gateway, token):
    """Opens the websocket of events, and returns a function that waits for an event of a type."""
    socket = websocket.create_connection(
        f"wss://{gateway.host}:{gateway.port}{API}/events/out", sslopt={"ca_certs": str(gateway.ca)}, timeout=90,
        header=[f"Authorization: Bearer {token}"], subprotocols=["prefect"])
    try:
        socket.send(json.dumps({"type": "auth", "token": None}))
        assert json.loads(socket.recv())["type"] == "auth_success"
        # Without an end the filter ends now, and lets nothing through that happens later.
        now = datetime.datetime.now(datetime.timezone.utc)
        occurred = {"since": now.isoformat(), "until": (now + datetime.timedelta(hours=1)).isoformat()}
        socket.send(json.dumps({"type": "filter", "filter": {"event": {"prefix": ["prefect."]}, "occurred": occurred}}))

        def wait(kind, seconds=60):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                # Pings come back too: else a server that says nothing but pings would keep us for ever.
                opcode, data = socket.recv_data(control_frame=True)
                message = json.loads(data) if opcode == websocket.ABNF.OPCODE_TEXT else {"type": "ping"}
                if message["type"] == "event" and message["event"]["event"] == kind:
                    return message["event"]
            pytest.fail(f"no event {kind} in {seconds} s")

        yield wait
    finally:
        socket.close()


@pytest.fixture(scope="module")
def deployment(ada, ask):
    """The flow, deployed with a schedule from a notebook, as in its terminal."""
    files = {path.name: path.read_text() for path in FLOW.iterdir() if path.is_file()}
    ada.run("import pathlib, subprocess\n"
            "folder = pathlib.Path.home() / 'flow'\nfolder.mkdir(exist_ok=True)\n"
            f"for name, text in {files!r}.items():\n    (folder / name).write_text(text)\n"
            "done = subprocess.run(['prefect', '--no-prompt', 'deploy', '--all'], cwd=folder, capture_output=True, text=True)\n"
            "assert done.returncode == 0, done.stdout + done.stderr", 300)
    (found,) = ask("/deployments/filter", {"deployments": {"name": {"any_": ["scheduled"]}}})
    yield found
    ask(f"/deployments/{found['id']}", method="DELETE")


@pytest.fixture(scope="module")
def run(ask, deployment):
    """The first run that the schedule started, once it is over; the schedule is switched off by then."""
    end = time.monotonic() + 900
    while True:
        runs = ask("/flow_runs/filter", {"deployments": {"id": {"any_": [deployment["id"]]}}, "sort": "EXPECTED_START_TIME_ASC",
                                         "flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CRASHED"]}}}})
        if runs and not deployment.get("off"):
            # One is enough, and the others would take its processors.
            ask(f"/deployments/{deployment['id']}", {"paused": True}, "PATCH")
            deployment["off"] = time.time()
        if runs and runs[0]["state_type"] not in ("PENDING", "RUNNING"):
            break
        assert time.monotonic() < end, f"no run ended: {json.dumps(runs)[:3000]}"
        time.sleep(1)
    # The run's last words arrive a little after its state.
    end = time.monotonic() + 60
    while "Finished in state" not in (text := "\n".join(entry["message"] for entry in ask("/logs/filter", {
            "logs": {"flow_run_id": {"any_": [runs[0]["id"]]}}, "sort": "TIMESTAMP_ASC"}))) and time.monotonic() < end:
        time.sleep(1)
    runs[0]["log"] = text
    assert runs[0]["state_type"] == "COMPLETED", runs[0]["log"][-4000:]
    return runs[0]


def test_the_pages_are_behind_the_login(gateway, token):
    away = gateway.ask("/prefect/", headers={"Accept": "text/html"})
    assert away.status_code == 302 and away.headers["Location"].startswith(f"{gateway.url}/auth/login")
    assert gateway.ask(API + "/health").status_code == 401
    with gateway.session(token) as session:  # the first page leads on to the pages of today
        page = session.get(f"{gateway.url}/prefect/", headers={"Accept": "text/html"}, timeout=30)
    assert page.status_code == 200 and "Prefect" in page.text and page.url.startswith(f"{gateway.url}/prefect/")
    settings = gateway.ask("/prefect/ui-settings", token=token).json()
    assert settings["api_url"] == f"{gateway.url}{API}"
    assert gateway.ask(API + "/health", token=token).json() is True


def test_events_come_through_the_gateway(ask, listen):
    kind = f"prefect.by-a-test.{uuid.uuid4()}"
    ask("/events", [{"occurred": datetime.datetime.now(datetime.timezone.utc).isoformat(), "event": kind, "id": str(uuid.uuid4()),
                     "resource": {"prefect.resource.id": "prefect.by-a-test"}, "payload": {}}])
    assert listen(kind)["resource"]["prefect.resource.id"] == "prefect.by-a-test"


def test_the_schedule_started_a_job_that_used_dask(cluster, run):
    jobs = cluster.get("jobs", "-n", "flows", "-l", f"prefect.io/flow-run-id={run['id']}")["items"]
    assert len(jobs) == 1
    pod = jobs[0]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "prefect-flow" and pod["containers"][0]["image"] == image(cluster)
    assert run["auto_scheduled"] is True
    # Its cluster is gone again.
    assert f"train-{run['id'][:8]}" not in [entry["metadata"]["name"] for entry in cluster.get("daskclusters", "-n", "dask")["items"]]


def test_the_run_is_in_mlflow(gateway, token, run):
    name = f"train-{run['id'][:8]}"
    experiment = gateway.ask("/mlflow/api/2.0/mlflow/experiments/get-by-name?experiment_name=flows", token=token).json()["experiment"]
    runs = gateway.ask("/mlflow/api/2.0/mlflow/runs/search", "POST", token=token, json={
        "experiment_ids": [experiment["experiment_id"]], "filter": f"attributes.run_name = '{name}'"}).json()["runs"]
    (found,) = runs
    params = {entry["key"]: entry["value"] for entry in found["data"]["params"]}
    assert found["info"]["status"] == "FINISHED" and params["hosts"] == "2"
    assert found["info"]["run_id"] in run["log"]


def test_a_schedule_that_is_off_starts_nothing(ask, deployment, run):
    time.sleep(max(0.0, deployment["off"] + 25 - time.time()))
    found = ask(f"/deployments/{deployment['id']}")
    assert found["paused"] is True
    waiting = ask("/flow_runs/filter", {"deployments": {"id": {"any_": [deployment["id"]]}},
                                        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING"]}}}})
    assert waiting == []


def test_flows_reach_what_they_need_and_no_database(cluster, gateway):
    needed = {"prefect-server.prefect": 4200, "mlflow.mlflow": 5000, "object-store.object-store": 7070}
    closed = {"postgresql-rw.postgresql": 5432, "kratos-admin.ory": 80, "proxy-api.jupyterhub": 8001}
    assert reached(cluster, "flows", needed | closed) == dict.fromkeys(needed, "open") | dict.fromkeys(closed, "closed")


def test_nobody_else_calls_prefect_past_the_login(cluster, gateway):
    assert reached(cluster, "default", {"prefect-server.prefect": 4200}) == {"prefect-server.prefect": "closed"}
