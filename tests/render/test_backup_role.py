# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backup role makes of an inventory: valid and restricted pods, no secret in a manifest, one clear error for each wrong value."""

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

WORD = "geheim-geheim"
S3 = {"backup_destination": "s3", "backup_s3_bucket": "nightly", "backup_s3_endpoint": "https://s3.example.org",
      "backup_s3_access_key_id": "me", "backup_s3_secret_access_key": WORD}
ALL = ["postgresql", "object_store", "ory", "mlflow", "jupyterhub", "prefect", "feast", "backup"]
CASES = {
    "defaults": {},
    "all": {"platform_selected": ALL, "backup_schedule": "0 3 * * *", "backup_passphrase": WORD},
    "s3": {**S3, "platform_selected": ALL, "backup_namespace": "safe"},
    "only mlflow": {"platform_selected": ALL, "backup_components": ["mlflow"]},
    "no buckets": {"platform_selected": ALL, "backup_buckets": False},
    "gcs": {"platform_selected": ALL, "object_store_mode": "gcs"},
    "external": {"platform_selected": ALL, "postgresql_mode": "external"},
    "users only": {"platform_selected": ["postgresql", "object_store", "ory"]},
}
BAD = {
    "backup_keep": {"backup_keep": 0},
    "backup_schedule": {"backup_schedule": "@daily"},
    "add backup to platform_components": {"backup_schedule": "0 3 * * *"},
    "backup_components": {"backup_components": ["mlfow"]},
    "run site.yml once": {"platform_selected": ["postgresql", "ory"]},
    "backup_s3_bucket": {"backup_destination": "s3"},
    "none of the platform's own": {**S3, "backup_s3_bucket": "mlflow"},
    "backup_s3_secret_access_key together": {**S3, "backup_s3_secret_access_key": ""},
    "backup_passphrase": {"backup_passphrase": "short"},
}
GIVEN = {"platform_chart_source": "bundled", "platform_image_source": "built", "platform_selected": ["postgresql", "object_store", "mlflow"],
         "platform_buckets": [{"name": "mlflow"}], "role_path": str(ROOT / "roles/backup"), "_backup_name": "20260102-030405",
         "_backup_parts": ["databases/mlflow.dump", "buckets/mlflow.tar"]}


def play(folder, tasks):
    """Runs tasks with the variables of the roles; returns what they said, by the name of the task."""
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip("no ansible-playbook beside this Python and on PATH")
    (folder / "templates").symlink_to(ROOT / "roles/backup/templates")
    files = [ROOT / "roles" / name / kind / "main.yml" for name in ("platform", "backup") for kind in ("defaults", "vars")]
    (folder / "play.yml").write_text(yaml.safe_dump([{
        "hosts": "localhost", "gather_facts": False, "vars_files": [str(file) for file in files], "tasks": tasks}]))
    done = subprocess.run([ansible, "-i", "localhost,", "-c", "local", str(folder / "play.yml")], cwd=ROOT, capture_output=True,
                          text=True, check=False, env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return json.loads(done.stdout)["plays"][0]["tasks"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """case -> the plan, and what the actions make; all in one run of Ansible."""
    said = play(tmp_path_factory.mktemp("backup"), [{
        "name": case, "ansible.builtin.debug": {"msg": {
            "plan": "{{ _backup_plan }}", "job": "{{ _backup_job }}", "reader": "{{ _backup_reader }}", "restore": "{{ _backup_restore_job }}",
            "users": "{{ _backup_users }}"}},
        "vars": {**GIVEN, **variables},
    } for case, variables in CASES.items()])
    return {task["task"]["name"]: task["hosts"]["localhost"]["msg"] for task in said}


@pytest.fixture
def objects(made):
    """case -> everything that stands in the cluster at some time."""
    return lambda case: [*made[case]["plan"]["phases"]["applications"]["objects"], made[case]["job"], made[case]["reader"], made[case]["restore"]]


def pod_of(item):
    return {"Job": lambda job: job["spec"]["template"]["spec"], "Pod": lambda pod: pod["spec"],
            "CronJob": lambda job: job["spec"]["jobTemplate"]["spec"]["template"]["spec"]}.get(item["kind"], lambda _: None)(item)


def containers(item):
    pod = pod_of(item)
    return {entry["name"]: entry for entry in pod["initContainers"] + pod["containers"]}


def environment(container):
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


@pytest.mark.parametrize("case", CASES)
def test_objects_are_valid_and_restricted(objects, case):
    for item in objects(case):
        kubernetes_validate.validate(item, "1.35", strict=True)
        pod = pod_of(item)
        assert not pod or (violations(pod) == [] and pod["automountServiceAccountToken"] is False)


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_in_a_manifest_or_a_command(made, case):
    assert WORD not in json.dumps(made[case])
    for name in ("job", "restore", "reader"):
        for container in containers(made[case][name]).values():
            for variable, value in environment(container).items():
                assert isinstance(value, dict) == variable.endswith(("PASSWORD", "_KEY", "_KEY_ID", "POD")) or variable.startswith(("PG", "BUCKET_"))


def test_every_mount_is_a_volume_and_a_program_is_there(made, objects):
    for case in CASES:
        code = objects(case)[0]["data"]
        for item in filter(pod_of, objects(case)):
            volumes = {volume["name"] for volume in pod_of(item)["volumes"]}
            for container in containers(item).values():
                assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
                assert container["command"][-1].removeprefix("/code/") in code


def test_each_database_has_a_container_that_has_its_keys_only(made):
    found = containers(made["all"]["job"])
    assert list(found) == [f"database-{name}" for name in ("kratos", "keto", "mlflow", "jupyterhub", "prefect", "feast")] + ["backup"]
    for name, container in found.items():
        references = {value["secretKeyRef"]["name"] for value in environment(container).values() if "secretKeyRef" in value}
        assert references == ({"mlflow-bucket", "flows-bucket"} if name == "backup" else {f"{name.removeprefix('database-')}-database"})
    wanted = json.loads(environment(found["backup"])["BUCKETS"])
    assert wanted == [{"component": "mlflow", "name": "mlflow"}, {"component": "prefect", "name": "flows"}]


def test_secrets_are_copies(made):
    names = {spec["name"]: spec.get("copy_from") for spec in made["s3"]["plan"]["secrets"]}
    assert names["mlflow-database"] == "mlflow/mlflow-database" and names["flows-bucket"] == "flows/flows-bucket"
    assert {spec["namespace"] for spec in made["s3"]["plan"]["secrets"]} == {"safe"}
    assert names["backup-destination"] is None and "backup-destination" not in {spec["name"] for spec in made["all"]["plan"]["secrets"]}


@pytest.mark.parametrize(("case", "databases", "buckets"), [
    ("only mlflow", ["mlflow"], ["mlflow"]), ("no buckets", None, []), ("gcs", None, []), ("users only", ["kratos", "keto"], [])])
def test_what_is_backed_up(made, case, databases, buckets):
    found = environment(containers(made[case]["job"])["backup"])
    assert [entry["name"] for entry in json.loads(found["BUCKETS"])] == buckets
    assert databases is None or [entry["name"] for entry in json.loads(found["DATABASES"])] == databases
    told = json.loads(found["ABOUT"])["not_in_it"]
    assert ("the content of buckets" in told) == (case in ("no buckets", "gcs"))


def test_the_server_lets_in_backups_only_where_it_is_ours(objects):
    def policies(case):
        return {item["metadata"]["namespace"]: item["spec"] for item in objects(case) if item["kind"] == "NetworkPolicy"}

    assert set(policies("external")) == {"backup"} and set(policies("all")) == {"backup", "postgresql"}
    (rule,) = policies("all")["postgresql"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 5432}] and rule["from"][0]["podSelector"]
    assert "ingress" not in policies("all")["backup"]


def test_a_schedule_is_the_same_job_without_a_name(made, objects):
    (cron,) = [item for item in objects("all") if item["kind"] == "CronJob"]
    own, given = pod_of(cron), pod_of(made["all"]["job"])
    assert environment(own["containers"][0])["NAME"] == "" and environment(given["containers"][0])["NAME"] == "20260102-030405"
    assert not any(item["kind"] == "CronJob" for item in objects("defaults"))


def test_a_restore_has_files_before_the_databases_that_speak_of_them(made):
    found = containers(made["all"]["restore"])
    assert list(found) == ["parts", "database-mlflow"]
    assert environment(found["parts"])["WORK"] == environment(found["database-mlflow"])["WORK"] == "/work"
    assert json.loads(environment(found["parts"])["RESTORE"]) == GIVEN["_backup_parts"]


def test_dumps_lie_on_the_volume_at_once(made):
    for name, container in containers(made["defaults"]["job"]).items():
        assert environment(container)["WORK"] == "/data/.work-$(POD)", name
        names = [entry["name"] for entry in container["env"]]
        assert names.index("POD") < names.index("WORK"), "a variable is put in only when it stands before"
    assert {environment(container)["WORK"] for container in containers(made["s3"]["job"]).values()} == {"/work"}


def test_what_keeps_a_backup_is_all_that_the_platform_has(made):
    for case in ("all", "only mlflow"):
        guarded = json.loads(environment(containers(made[case]["job"])["backup"])["GUARDED"])
        assert set(guarded) == {"secrets/secrets", "bucket/mlflow", "bucket/flows", *(
            f"database/{name}" for name in ("kratos", "keto", "mlflow", "jupyterhub", "prefect", "feast"))}


def test_without_being_chosen_it_is_there_on_demand(made):
    assert made["defaults"]["plan"]["about"] == {"on_demand": True} and not made["all"]["plan"].get("about")


def test_only_what_the_pods_have_the_keys_of_can_be_restored(made):
    assert set(made["only mlflow"]["users"]) == {"databases/mlflow.dump", "buckets/mlflow.tar"}
    assert not any(file.startswith("buckets/") for file in made["no buckets"]["users"])


def test_who_is_stopped_for_what(made):
    assert made["all"]["users"] == {
        "databases/kratos.dump": ["ory"], "databases/keto.dump": ["ory"], "databases/mlflow.dump": ["mlflow"],
        "databases/jupyterhub.dump": ["jupyterhub"], "databases/prefect.dump": ["prefect"], "databases/feast.dump": ["feast"],
        "buckets/mlflow.tar": ["mlflow"], "buckets/flows.tar": ["prefect", "feast"]}


def test_preflight(tmp_path):
    checks = str(ROOT / "roles/backup/tasks/preflight.yml")
    said = play(tmp_path, [{
        "name": case, "vars": {**GIVEN, **variables},
        "block": [{"ansible.builtin.include_tasks": checks}, {"ansible.builtin.debug": {"msg": f"passed {case}"}}],
        "rescue": [{"ansible.builtin.debug": {"msg": "refused %s: {{ ansible_failed_result.msg }}" % case}}],
    } for case, variables in {**BAD, **CASES}.items()])
    words = [str(host["msg"]) for task in said for host in task["hosts"].values() if str(host.get("msg", "")).startswith(("passed", "refused"))]
    assert [text for text in words if text.startswith("passed")] == [f"passed {case}" for case in CASES]
    refused = {text.removeprefix("refused ").split(": ")[0]: text for text in words if text.startswith("refused")}
    assert set(refused) == set(BAD) and all(case in text.partition(": ")[2] for case, text in refused.items())
    assert WORD not in json.dumps(refused)
