# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run and its model are backed up, lost, and read again."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

LOG = """
import json, mlflow
mlflow.set_tracking_uri("http://mlflow.mlflow.svc.cluster.local:5000/mlflow")
mlflow.set_experiment("backup")
with mlflow.start_run() as run:
    mlflow.log_param("word", "kept")
    mlflow.log_text("weights of a model", "model/weights.txt")
print(json.dumps({"run": run.info.run_id}))
"""
READ = """
import json, mlflow, sys
mlflow.set_tracking_uri("http://mlflow.mlflow.svc.cluster.local:5000/mlflow")
run = mlflow.get_run(sys.argv[1])
print(json.dumps({"word": run.data.params["word"], "text": mlflow.artifacts.load_text(run.info.artifact_uri + "/model/weights.txt")}))
"""
# What an operator's slip does: every object goes.
EMPTY = """
import boto3, os
bucket = boto3.resource("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"]).Bucket(
    os.environ["MLFLOW_ARTIFACTS_DESTINATION"].removeprefix("s3://"))
bucket.objects.all().delete()
bucket.put_object(Key="left-over", Body=b"x")
print(len(list(bucket.objects.all())))
"""
QUIET = ("-e", "platform_probe=false")


def python(cluster, code, *args):
    """Runs code in MLflow's pod; returns its last line."""
    return cluster.kubectl("exec", "-n", "mlflow", "deploy/mlflow", "--", "env", "HOME=/tmp", "GIT_PYTHON_REFRESH=quiet",
                           "python", "-c", code, *args).strip().splitlines()[-1]


def sql(cluster, text):
    return cluster.kubectl("exec", "-n", "postgresql", "postgresql-1", "-c", "postgres", "--", "psql", "-d", "mlflow", "-tAc", text).strip()


@pytest.fixture(scope="module")
def passphrase(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "passphrase"
    path.write_text("correct horse battery staple\n")
    return path


@pytest.fixture(scope="module")
def run_id(cluster):
    return json.loads(python(cluster, LOG))["run"]


@pytest.fixture(scope="module")
def backup(cluster, run_id, passphrase, tmp_path_factory):
    """The manifest of a backup with everything in it, and the output of its run at the highest verbosity."""
    file = tmp_path_factory.mktemp("backup") / "manifest.json"
    done = cluster.run("backup", "-vvv", "--diff", "-e", f"backup_passphrase_file={passphrase}", "-e", f"platform_backup_file={file}").ok()
    (manifest,) = json.loads(file.read_text())["backups"]
    return manifest, done.text


@pytest.fixture(scope="module")
def folder(cluster, backup):
    """The backup as it lies on this machine."""
    volume = next(entry for entry in cluster.get("persistentvolumes")["items"] if entry["spec"]["claimRef"]["name"] == "backups")
    inside = Path(volume["spec"].get("hostPath", volume["spec"].get("local"))["path"])
    # The node sees the state folder's volumes elsewhere.
    return cluster.state_dir / cluster.name / "volumes" / inside.name / backup[0]["name"]


def test_a_backup_has_all_and_shows_no_secret(cluster, backup):
    manifest, text = backup
    assert {part["file"] for part in manifest["parts"]} == {
        "databases/kratos.dump", "databases/keto.dump", "databases/mlflow.dump", "buckets/mlflow.tar", "secrets.sealed"}
    for place, value in cluster.secret_values().items():
        for form in (value, base64.b64encode(value.encode()).decode()):
            assert form not in text, f"{place} is shown"
    assert "correct horse" not in text


def test_nothing_runs_in_its_namespace_when_it_is_made(cluster, backup):
    cluster.kubectl("wait", "-n", "backup", "--for=delete", "--timeout=30s", "pods,jobs", "--all", check=False)
    assert cluster.get("pods,jobs", "-n", "backup")["items"] == []


def test_a_damaged_backup_is_refused_and_nothing_is_stopped(cluster, backup, folder):
    name, path = backup[0]["name"], folder / "databases/mlflow.dump"
    whole, pods = path.read_bytes(), cluster.get("pods", "-n", "mlflow", "-l", "openmlops.io/part=server")["items"]
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        refused = cluster.run("restore", "-e", f"platform_restore={name}", "-e", f"platform_restore_confirm={name}")
    finally:
        path.write_bytes(whole)
    assert refused.code != 0 and "databases/mlflow.dump is not what was written" in refused.text
    after = cluster.get("pods", "-n", "mlflow", "-l", "openmlops.io/part=server")["items"]
    assert [pod["metadata"]["uid"] for pod in after] == [pod["metadata"]["uid"] for pod in pods]


def test_what_was_lost_comes_back(cluster, backup, run_id):
    name = backup[0]["name"]
    sql(cluster, "DROP TABLE runs CASCADE; CREATE TABLE of_later (a int)")
    assert python(cluster, EMPTY) == "1"
    done = cluster.run("restore", "-e", "platform_restore=latest", "-e", f"platform_restore_confirm={name}",
                       "-e", "platform_restore_components=mlflow", *QUIET, timeout=600).ok()
    assert "1 that were not in the backup deleted" in done.text
    assert json.loads(python(cluster, READ, run_id)) == {"word": "kept", "text": "weights of a model"}
    assert sql(cluster, "SELECT to_regclass('of_later')") == ""
    assert sql(cluster, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'runs'") == "mlflow"
    print(f"  restore: {done.seconds:.0f} s")


def test_after_a_restore_the_platform_is_as_the_inventory_says(cluster, backup):
    done = cluster.run("up").ok()
    # The playbook of backups brought them, so nobody has to choose them.
    assert done.changed == 0 and "not chosen" not in done.text
    assert not cluster.get("configmaps", "-n", "openmlops", "--field-selector", "metadata.name=restore-under-way")["items"]


@pytest.mark.slow
def test_a_wrong_confirmation_changes_nothing(cluster, backup):
    refused = cluster.run("restore", "-e", "platform_restore=latest", "-e", "platform_restore_confirm=20200101-000000")
    assert refused.code != 0 and "Nothing was changed" in refused.text.replace("\n", " ")


def kill_when_stopped(cluster, wanted):
    """Starts a restore and kills it as soon as what uses the data is stopped."""
    process = cluster.start("restore", *wanted)
    for line in process.stdout:
        if "are stopped" in line and "workloads of" in line:
            break
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_run_of_the_platform_starts_what_a_killed_restore_left_stopped(cluster, backup, run_id):
    name = backup[0]["name"]
    kill_when_stopped(cluster, ("-e", f"platform_restore={name}", "-e", f"platform_restore_confirm={name}", *QUIET))
    refused = cluster.run("backup")
    assert refused.code != 0 and "did not come to its end" in refused.text.replace("\n", " ")
    done = cluster.run("up", timeout=900).ok()
    assert f"the restore of {name} did not come to its end" in done.text
    items = cluster.get("deployments,statefulsets", "-A", "-l", "app.kubernetes.io/part-of=openmlops-platform")["items"]
    assert items and all(item["spec"]["replicas"] > 0 for item in items if item["metadata"]["namespace"] in ("mlflow", "ory"))
    assert cluster.run("up").ok().changed == 0


@pytest.mark.slow
def test_a_restore_that_is_killed_is_done_again(cluster, backup, run_id):
    name = backup[0]["name"]
    wanted = ("-e", f"platform_restore={name}", "-e", f"platform_restore_confirm={name}", *QUIET)
    kill_when_stopped(cluster, wanted)
    cluster.run("restore", *wanted, timeout=900).ok()
    assert json.loads(python(cluster, READ, run_id))["word"] == "kept"
    assert cluster.run("up").ok().changed == 0


@pytest.mark.slow
def test_a_new_platform_takes_data_and_secrets_of_the_old_one(cluster, backup, run_id, passphrase, tmp_path):
    """MLflow is purged with its database's password; backup and Secrets bring both back from the controller."""
    name = backup[0]["name"]
    before = cluster.get("secret", "-n", "postgresql", "mlflow-owner")["data"]["password"]
    cluster.run("backup", "-e", f"backup_passphrase_file={passphrase}", "-e", f"platform_backup_folder={tmp_path}").ok()
    (newest,) = [path.name for path in tmp_path.iterdir()]
    assert newest > name and (tmp_path / newest / "manifest.json").exists()
    assert {path.stat().st_mode & 0o077 for path in [tmp_path / newest, *(tmp_path / newest).rglob("*")]} == {0}
    cluster.run("rotate", "-e", "platform_rotate=postgresql/mlflow-owner/password", *QUIET).ok()
    assert cluster.get("secret", "-n", "postgresql", "mlflow-owner")["data"]["password"] != before
    cluster.kubectl("delete", "namespace", "backup", timeout=180)
    cluster.run("restore", "-e", f"platform_restore_folder={tmp_path / newest}").ok()
    cluster.run("restore", "-e", f"platform_restore={newest}", "-e", f"platform_restore_confirm={newest}", "-e",
                "platform_restore_secrets=true", "-e", f"backup_passphrase_file={passphrase}", *QUIET, timeout=900).ok()
    assert cluster.get("secret", "-n", "postgresql", "mlflow-owner")["data"]["password"] == before
    assert json.loads(python(cluster, READ, run_id))["word"] == "kept"


@pytest.mark.slow
def test_all_keys_are_rotated_and_everything_works(cluster, run_id):
    before = cluster.secret_values()
    cluster.run("rotate", "-e", "platform_rotate=all", timeout=900).ok()
    after = cluster.secret_values()
    assert after["postgresql/mlflow-owner/password"] != before["postgresql/mlflow-owner/password"]
    assert json.loads(python(cluster, READ, run_id))["word"] == "kept"
    assert cluster.run("up").ok().changed == 0


@pytest.mark.slow
def test_a_schedule_makes_one_and_keeps_what_is_said(cluster, backup):
    chosen = {"COMPONENTS": "mlflow,backup"}
    settings = ("-e", "'backup_schedule=0 3 * * *'", "-e", "backup_keep=1", "-e", "backup_components=mlflow")
    cluster.run("up", *settings, **chosen).ok()
    assert cluster.run("up", *settings, **chosen).ok().changed == 0
    cluster.kubectl("create", "job", "-n", "backup", "--from=cronjob/backup", "by-hand")
    cluster.kubectl("wait", "-n", "backup", "--for=condition=complete", "--timeout=180s", "job/by-hand", timeout=200)
    said = cluster.kubectl("logs", "-n", "backup", "job/by-hand", "-c", "backup")
    made = json.loads(said.splitlines()[-1])
    assert made["parts"] and all("could not" not in remark for remark in made["remarks"])
    cluster.run("up", "-e", "backup_state=absent", "-e", "backup_purge=true", **chosen).ok()
