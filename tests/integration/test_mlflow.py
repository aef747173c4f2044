# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Experiment tracking end to end: what a data scientist's run leaves in MLflow, PostgreSQL and the object store."""

from __future__ import annotations

import json
import subprocess
import urllib.request

import pytest


@pytest.fixture(scope="module")
def status(cluster):
    """The JSON document of `make -s status OUTPUT=json`."""
    return json.loads(cluster.run("status", OUTPUT="json").ok().text)


@pytest.fixture(scope="module")
def mlflow(status):
    return next(entry for entry in status["components"] if entry["name"] == "mlflow")


def ask(url, **body):
    """Calls MLflow's REST API from the host, as a browser's page does."""
    request = urllib.request.Request(url, data=json.dumps(body).encode() if body else None,
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_status_names_cluster_gateway_and_components(status, cluster):
    assert status["cluster"]["kubeconfig"] == str(cluster.kubeconfig)
    assert status["cluster"]["context"] == cluster.context
    assert status["gateway"]["url"].startswith("http://10.201.")
    assert [entry["name"] for entry in status["components"]] == ["local_cluster", "mlflow", "object_store", "postgresql"]
    for entry in status["components"]:
        assert {"name", "version", "namespace", "ready", "url", "reason"} <= set(entry)
        assert entry["ready"] is True and entry["reason"] == "", entry


def test_the_run_of_the_verification_is_tracked(mlflow):
    proof = mlflow["proof"]
    run = ask(f"{mlflow['url']}/api/2.0/mlflow/runs/get?run_id={proof['run_id']}")["run"]
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


def test_the_page_opens_from_the_host(mlflow):
    with urllib.request.urlopen(mlflow["url"], timeout=20) as answer:
        page = answer.read().decode()
    assert answer.status == 200 and "<title>MLflow</title>" in page


@pytest.mark.parametrize("host", ["evil.example", "10.201.evil.example", "mlflow.evil.example:5000"])
def test_a_foreign_host_name_is_refused(mlflow, host):
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {host}",
                           f"{mlflow['url']}/api/2.0/mlflow/experiments/search?max_results=1"],
                          capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "403"


@pytest.mark.parametrize(("origin", "code"), [("own", 200), ("http://evil.example", 403)])
def test_a_page_of_another_site_may_not_call_the_api(mlflow, origin, code):
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json",
                           "-H", f"Origin: {mlflow['url'] if origin == 'own' else origin}", "-d", '{"max_results": 1}',
                           f"{mlflow['url']}/ajax-api/2.0/mlflow/experiments/search"],
                          capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == str(code)


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
    code = ("import socket, time\nend, answer = time.time() + 15, 'closed'\nwhile answer == 'closed' and time.time() < end:\n"
            "  try:\n    socket.create_connection(('postgresql-rw.postgresql.svc.cluster.local', 5432), 2)\n    answer = 'open'\n"
            "  except OSError:\n    time.sleep(1)\nprint(answer)")
    answers = {}
    for space in ("default", "mlflow"):
        answers[space] = cluster.kubectl(
            "run", "probe", "-n", space, f"--image={image}", "--image-pull-policy=IfNotPresent", "--restart=Never",
            "--rm", "-i", "--quiet", "--command", "--", "python", "-c", code).strip()
    assert answers == {"default": "closed", "mlflow": "open"}
