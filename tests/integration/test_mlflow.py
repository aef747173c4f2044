# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Experiment tracking end to end: what a data scientist's run leaves in MLflow, PostgreSQL and the object store."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def status(cluster):
    """The JSON document of `make -s status OUTPUT=json`."""
    return json.loads(cluster.run("status", OUTPUT="json").ok().text)


@pytest.fixture(scope="module")
def mlflow(status):
    return next(entry for entry in status["components"] if entry["name"] == "mlflow")


COMPONENTS = ["access", "envoy_gateway", "local_cluster", "mlflow", "object_store", "ory", "postgresql"]


def test_status_names_cluster_gateway_and_components(status, cluster):
    assert status["cluster"]["kubeconfig"] == str(cluster.kubeconfig)
    assert status["cluster"]["context"] == cluster.context
    assert status["gateway"]["url"] == f"https://{cluster.facts['node_address']}"
    assert set(COMPONENTS) <= {entry["name"] for entry in status["components"]}
    for entry in status["components"]:
        assert {"name", "version", "namespace", "ready", "url", "reason"} <= set(entry)
        assert entry["ready"] is True and entry["reason"] == "", entry


def test_the_run_of_the_verification_is_tracked(mlflow, gateway, machine_token):
    proof = mlflow["proof"]
    assert mlflow["url"] == f"{gateway.url}/mlflow/"
    answer = gateway.ask(f"/mlflow/api/2.0/mlflow/runs/get?run_id={proof['run_id']}", token=machine_token)
    run = answer.json()["run"]
    metrics = {entry["key"]: entry["value"] for entry in run["data"]["metrics"]}
    assert run["info"]["status"] == "FINISHED"
    assert round(metrics["r2"], 4) == proof["r2"] and metrics["r2"] > 0.3
    assert {entry["key"] for entry in run["data"]["params"]} >= {"alpha", "l1_ratio"}


def test_the_run_is_in_postgresql(cluster, mlflow):
    found = cluster.kubectl("exec", "-n", "postgresql", "postgresql-1", "-c", "postgres", "--", "psql", "-d", "mlflow", "-tAc",
                            f"select status from runs where run_uuid = '{mlflow['proof']['run_id']}'")
    assert found.strip() == "FINISHED"


def test_the_model_is_in_the_object_store(cluster):
    files = cluster.get("persistentvolumes")["items"]
    volume = next(v for v in files if v["spec"]["claimRef"]["name"] == "object-store-data")
    host_path = volume["spec"].get("hostPath", volume["spec"].get("local"))["path"]
    assert host_path
    listed = cluster.kubectl("exec", "-n", "mlflow", "deploy/mlflow", "--", "python", "-c", (
        "import boto3, os; s3 = boto3.client('s3', endpoint_url=os.environ['MLFLOW_S3_ENDPOINT_URL']); "
        "bucket = os.environ['MLFLOW_ARTIFACTS_DESTINATION'].removeprefix('s3://'); "
        "print([o['Key'] for o in s3.list_objects_v2(Bucket=bucket)['Contents']])"))
    assert "MLmodel" in listed and "model.pkl" in listed or "model.skops" in listed, listed


def test_the_page_opens_with_a_token_only(gateway, machine_token):
    page = gateway.ask("/mlflow/", token=machine_token)
    assert page.status_code == 200 and "<title>MLflow</title>" in page.text
    assert gateway.ask("/mlflow/").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "10.201.evil.example", "mlflow.evil.example:5000"])
def test_a_foreign_host_name_is_refused(cluster, gateway, machine_token, host):
    """By the gateway, which has no rule for it, and by MLflow itself."""
    path = "/mlflow/api/2.0/mlflow/experiments/search?max_results=1"
    assert gateway.ask(path, token=machine_token, headers={"Host": host}).status_code == 404
    code = ("import urllib.request as r, urllib.error as e\n"
            f"request = r.Request('http://127.0.0.1:5000{path}', headers={{'Host': '{host}'}})\n"
            "try:\n  print(r.urlopen(request).status)\nexcept e.HTTPError as error:\n  print(error.code)")
    assert cluster.kubectl("exec", "-n", "mlflow", "deploy/mlflow", "--", "python", "-c", code).strip() == "403"


@pytest.mark.parametrize(("origin", "code"), [("own", 200), ("http://evil.example", 403)])
def test_a_page_of_another_site_may_not_call_the_api(gateway, machine_token, origin, code):
    answer = gateway.ask("/mlflow/ajax-api/2.0/mlflow/experiments/search", "POST", machine_token, json={"max_results": 1},
                         headers={"Origin": gateway.url if origin == "own" else origin})
    assert answer.status_code == code


# Trains nothing: what counts is the size, and that the client has no setting but address, token and authority.
LARGE = """
import os, sys, mlflow
open(os.environ["REQUESTS_CA_BUNDLE"], "w").write(sys.argv[1])
mlflow.set_experiment("large")
class Model(mlflow.pyfunc.PythonModel):
    def __init__(self): self.weights = os.urandom(100 << 20)
    def predict(self, context, model_input, params=None): return [len(self.weights)]
with mlflow.start_run():
    logged = mlflow.pyfunc.log_model(name="model", python_model=Model(), pip_requirements=[])
print("weights", mlflow.pyfunc.load_model(logged.model_uri).predict([1]))
"""


def test_a_client_outside_logs_and_loads_a_large_model(cluster, gateway, machine_token):
    """100 MB through the gateway, by token, with nothing else set, where neither MLflow nor the object store is reached directly."""
    image = cluster.get("deployment", "-n", "mlflow", "mlflow")["spec"]["template"]["spec"]["containers"][0]["image"]
    settings = {"MLFLOW_TRACKING_URI": f"{gateway.url}/mlflow", "MLFLOW_TRACKING_TOKEN": machine_token,
                "REQUESTS_CA_BUNDLE": "/tmp/ca.crt", "HOME": "/tmp", "GIT_PYTHON_REFRESH": "quiet"}
    told = cluster.kubectl(
        "run", "client", "-n", "default", f"--image={image}", "--image-pull-policy=IfNotPresent", "--restart=Never", "--rm", "-i",
        "--quiet", *(f"--env={name}={value}" for name, value in settings.items()),
        "--command", "--", "python", "-c", LARGE, gateway.ca.read_text(), timeout=300)
    assert f"weights [{100 << 20}]" in told, told[-3000:]


def test_the_bucket_belongs_to_its_application_only(cluster):
    """The keys in the application's namespace are not the store's own."""
    root = cluster.get("secret", "-n", "object-store", "object-store-root")["data"]
    own = cluster.get("secret", "-n", "mlflow", "mlflow-bucket")["data"]
    assert own["secret_access_key"] != root["rootSecretAccessKey"]
    done = cluster.kubectl("exec", "-n", "mlflow", "deploy/mlflow", "--", "python", "-c", (
        "import boto3, os, botocore.exceptions as e\n"
        "s3 = boto3.client('s3', endpoint_url=os.environ['MLFLOW_S3_ENDPOINT_URL'])\n"
        "try:\n  s3.create_bucket(Bucket='another')\n  print('made')\n"
        "except e.ClientError as error:\n  print(error.response['Error']['Code'])"))
    assert done.strip() == "AccessDenied"


def test_the_database_refuses_everybody_else(cluster):
    """A pod of another namespace cannot even connect."""
    image = cluster.get("deployment", "-n", "mlflow", "mlflow")["spec"]["template"]["spec"]["containers"][0]["image"]
    # A policy takes a moment until it knows a new pod.
    code = ("import socket, time\nend, answer = time.time() + 30, 'closed'\nwhile answer == 'closed' and time.time() < end:\n"
            "  try:\n    socket.create_connection(('postgresql-rw.postgresql.svc.cluster.local', 5432), 2)\n    answer = 'open'\n"
            "  except OSError:\n    time.sleep(1)\nprint(answer)")
    answers = {}
    for space in ("default", "mlflow"):
        answers[space] = cluster.kubectl(
            "run", "probe", "-n", space, f"--image={image}", "--image-pull-policy=IfNotPresent", "--restart=Never",
            "--rm", "-i", "--quiet", "--command", "--", "python", "-c", code).strip()
    assert answers == {"default": "closed", "mlflow": "open"}
