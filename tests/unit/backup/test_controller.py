# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the run does on the controller: seal, choose, refuse, stop, put back."""

from __future__ import annotations

import base64
import copy
import json
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import backup, restore
from ansible_collections.openmlops.platform.plugins.module_utils.backup import jobs, manifests, platform_secrets, sealing, stopping
from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError
from ansible_collections.openmlops.platform.plugins.module_utils.backup.sealing import SealError
from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable
from ansible_collections.openmlops.platform.plugins.plugin_utils import platform_action
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest

WORD = "a long passphrase"
VALUE = "s3cret-value"
MANIFEST = {
    "schema": 1, "name": "20260102-030405", "started": "2026-01-02T03:04:05Z", "finished": "2026-01-02T03:05:05Z",
    "components": {"mlflow": "3.17.2"}, "not_in_it": ["homes"],
    "parts": [{"kind": "database", "name": "mlflow", "component": "mlflow", "file": "databases/mlflow.dump", "bytes": 2048, "sha256": "1"},
              {"kind": "bucket", "name": "flows", "component": "prefect", "file": "buckets/flows.tar", "bytes": 10, "sha256": "2"},
              {"kind": "secrets", "name": "secrets", "file": "secrets.sealed", "bytes": 10, "sha256": "3"}],
}
OLDER = {**MANIFEST, "name": "20260101-030405"}
USERS = {"databases/mlflow.dump": ["mlflow"], "buckets/flows.tar": ["prefect", "feast"]}
SPECS = [
    {"name": "mlflow-owner", "namespace": "postgresql", "data": {"username": {"value": "mlflow"}, "password": {"generate": "password"}}},
    {"name": "mlflow-database", "namespace": "mlflow", "data": {"password": {"copy": "postgresql/mlflow-owner/password"}}},
    {"name": "platform-ca", "namespace": "gateway", "data": {
        "tls.key": {"generate": "ecdsa"}, "tls.crt": {"certificate": {"private_key": "tls.key", "is_ca": True}}}},
    {"name": "platform-tls", "namespace": "gateway", "data": {"tls.crt": {"certificate": {"private_key": "tls.key"}}}},
]


def text(value):
    return base64.b64encode(value.encode()).decode()


def secret(namespace, name, labels=None, **data):
    metadata = {"name": name, "namespace": namespace, "labels": dict(LABELS if labels is None else labels)}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata,
            "data": {key: text(value) for key, value in data.items()}}


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """A guess of a passphrase is dear by design; a test is not to be."""
    monkeypatch.setattr(sealing, "_COST", {**sealing._COST, "n": 1024})


@pytest.fixture
def cluster(monkeypatch):
    found = FakeCluster("openmlops", "postgresql", "mlflow", "backup", "gateway", "flows")
    members = (record.Member("apps/v1", "Deployment", "mlflow", "mlflow"), record.Member("batch/v1", "Job", "mlflow", "mlflow-migration"),
               record.Member("batch/v1", "CronJob", "mlflow", "clean"), record.Member("v1", "Secret", "mlflow", "mlflow-database"),
               record.Member("v1", "Secret", "postgresql", "mlflow-owner"), record.Member("v1", "ConfigMap", "mlflow", "settings"))
    found.put(record.as_object(record.Record("mlflow", "mlflow", {}, members), "openmlops"))
    found.put(secret("postgresql", "mlflow-owner", username="mlflow", password=VALUE))
    found.put(secret("mlflow", "mlflow-database", password=VALUE))
    found.put(secret("mlflow", "openmlops-fingerprint-key", key="k"))
    found.put(secret("mlflow", "somebody-elses", {}, password="other"))
    found.put(manifest("Deployment", "mlflow", "mlflow", spec={"replicas": 3, "selector": {"matchLabels": {"app": "mlflow"}}}))
    found.put(manifest("CronJob", "clean", "mlflow", api_version="batch/v1", spec={"schedule": "* * * * *"}))
    found.put(manifest("Job", "mlflow-migration", "mlflow", spec={}))
    found.put(manifest("ConfigMap", "settings", "mlflow"))
    monkeypatch.setattr(platform_action, "connect", lambda _args: found)
    return found


WAITER = mock.MagicMock()


def act(module, variables=None, check=False, **args):
    """Runs an action; returns its result and what it said."""
    task = mock.MagicMock(args={"namespace": "backup", **args}, check_mode=check, diff=True, async_val=0)
    templar = Templar(DataLoader(), variables or {})
    found = module.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), templar, mock.MagicMock())
    said = []
    found.say = said.append
    found.waiter = lambda *_args: WAITER
    return found.run(task_vars=variables or {}), "\n".join(said)


class FakeReader:
    """Stands for the pod that reads backups."""

    def __init__(self, cluster, pod, say, patience):
        del cluster, pod, say, patience

    found, damage, parts = [OLDER, MANIFEST], [], {}

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def manifests(self):
        return copy.deepcopy(self.found)

    def problems(self, name):
        return self.damage

    def part(self, name, file):
        return self.parts[file]


@pytest.fixture
def reader(monkeypatch):
    class Reader(FakeReader):
        """One for each test."""

    monkeypatch.setattr(restore, "Reader", Reader)
    monkeypatch.setattr(backup, "Reader", Reader)
    return Reader


@pytest.fixture
def ran(monkeypatch):
    """The Jobs that were run."""
    found = []
    monkeypatch.setattr(jobs, "run", lambda cluster, job, waiter, afresh=False: found.append(job) or ["done", json.dumps(
        {**MANIFEST, "remarks": ["backup 20250101-000000 is deleted"]})])
    return found


# -- the seal -------------------------------------------------------------------------------------------------------


def test_a_seal_opens_with_its_passphrase_only():
    sealed = sealing.seal({"a/b": {"data": {"k": VALUE}}}, WORD)
    assert VALUE.encode() not in sealed and sealing.unseal(sealed, WORD) == {"a/b": {"data": {"k": VALUE}}}
    for wrong, word in [(sealed, WORD + "x"), (sealed[:-1] + b"?", WORD), (sealed.replace(b'"r": 8', b'"r": 9'), WORD)]:
        with pytest.raises(SealError, match="do not open"):
            sealing.unseal(wrong, word)
    for wrong in (b"", b"{}\nx", b"no json\n", sealed.replace(b'"n": 1024', b'"n": 4294967296')):
        with pytest.raises(SealError, match="not in the form"):
            sealing.unseal(wrong, WORD)


# -- manifests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "expected"), [("latest", "20260102-030405"), ("20260101-030405", "20260101-030405")])
def test_choice(wanted, expected):
    assert manifests.choose([MANIFEST, OLDER], wanted)["name"] == expected


@pytest.mark.parametrize(("found", "wanted", "message"), [
    ([], "latest", "there is no whole backup"), ([MANIFEST], "20250101-000000", "there are 20260102-030405"),
    ([{"name": "20260102-030405", "damaged": "cut off"}], "latest", "cut off")])
def test_what_cannot_be_chosen(found, wanted, message):
    with pytest.raises(BackupError, match=message):
        manifests.choose(found, wanted)


def test_parts():
    assert [part["name"] for part in manifests.parts(MANIFEST, [])] == ["mlflow", "flows"]
    assert [part["name"] for part in manifests.parts(MANIFEST, ["prefect"])] == ["flows"]
    with pytest.raises(BackupError, match="nothing of feast; it has mlflow, prefect"):
        manifests.parts(MANIFEST, ["feast"])


@pytest.mark.parametrize(("here", "users", "change", "message"), [
    ({"mlflow": "3.17.2"}, USERS, {}, None), ({"mlflow": "3.18.0"}, USERS, {}, None), ({}, USERS, {}, None),
    ({"mlflow": "3.9.9"}, USERS, {}, "mlflow was 3.17.2 when the backup was made, and is 3.9.9 here"),
    ({}, {"databases/mlflow.dump": []}, {}, "no bucket flows, or backup_components or backup_buckets leave it out: add prefect"),
    ({}, USERS, {"schema": 2}, "newer version of this collection")])
def test_obstacles(here, users, change, message):
    found = manifests.obstacles({**MANIFEST, **change}, manifests.parts(MANIFEST, []), here, users)
    assert (found == []) if message is None else (len(found) == 1 and message in found[0])


@pytest.mark.parametrize(("change", "message"), [
    ({}, ""), ({"name": "../../etc"}, "no name"), ({"parts": "x"}, "no list"), ({"parts": [{}]}, "another form"),
    ({"parts": [{**MANIFEST["parts"][0], "file": "databases/../../../root/.bashrc"}]}, "names something else"),
    ({"parts": [{**MANIFEST["parts"][0], "bytes": "1"}]}, "another form")])
def test_what_is_no_manifest(change, message):
    assert message in manifests.flaw({**MANIFEST, **change}) and bool(manifests.flaw({**MANIFEST, **change})) == bool(message)
    assert manifests.flaw([])


def test_table():
    lines = manifests.table([OLDER, MANIFEST, {"name": "20260103-000000", "damaged": "cut off"}]).splitlines()
    assert "2.0 KiB" in lines[2] and lines[2].endswith("database mlflow, bucket flows, Secrets") and "DAMAGED: cut off" in lines[3]


# -- Secrets --------------------------------------------------------------------------------------------------------


def test_the_platforms_own_secrets_are_collected(cluster):
    cluster.put(secret("backup", "mlflow-database", password=VALUE))
    found = platform_secrets.collect(cluster, "openmlops", "backup")
    assert set(found) == {"postgresql/mlflow-owner", "mlflow/mlflow-database"}


def test_only_what_no_run_makes_again_is_put_back(cluster):
    content = {"postgresql/mlflow-owner": {"type": "Opaque", "data": {"username": text("mlflow"), "password": text("old")}},
               "mlflow/mlflow-database": {"type": "Opaque", "data": {"password": text("old")}},
               "gateway/platform-ca": {"type": "kubernetes.io/tls", "data": {"tls.key": text("k"), "tls.crt": text("c")}},
               "gateway/platform-tls": {"type": "kubernetes.io/tls", "data": {"tls.crt": text("c")}},
               "ory/machine-tester": {"type": "Opaque", "data": {"token": text("t")}},
               "mlflow/machine-x": {"type": "Opaque", "data": {"token": text("t")}}}
    wanted = platform_secrets.to_put_back(content, SPECS)
    assert {name: set(entry["data"]) for name, entry in wanted.items()} == {
        "postgresql/mlflow-owner": {"password"}, "gateway/platform-ca": {"tls.key", "tls.crt"}, "ory/machine-tester": {"token"},
        "mlflow/machine-x": {"token"}}
    other, homeless = platform_secrets.differing(cluster, wanted)
    assert set(other) == {"postgresql/mlflow-owner", "gateway/platform-ca", "mlflow/machine-x"} and homeless == ["ory/machine-tester"]
    platform_secrets.put_back(cluster, other)
    live = cluster.find("Secret", "mlflow-owner", "postgresql")
    assert live["data"] == {"username": text("mlflow"), "password": text("old")}
    assert cluster.find("Secret", "platform-ca", "gateway")["type"] == "kubernetes.io/tls"
    assert platform_secrets.differing(cluster, wanted)[0] == {}


# -- making ---------------------------------------------------------------------------------------------------------

JOB = {"metadata": {"name": "backup-20260102-030405"}}


def test_a_backup_without_a_passphrase_says_what_is_missing(cluster, ran, tmp_path):
    result, said = act(backup, state="made", job=JOB, dest=str(tmp_path / "m.json"))
    assert result["changed"] and ran == [JOB] and result["backups"][0]["name"] == MANIFEST["name"]
    assert "Secrets are NOT in the backup" in said and "not in it: homes" in said and "20250101-000000 is deleted" in said
    assert cluster.find("Secret", "backup-sealed", "backup") is None
    assert json.loads((tmp_path / "m.json").read_text())["backups"] == [MANIFEST]


def test_secrets_are_sealed_once(cluster, ran):
    variables = {"backup_passphrase": WORD}
    result, said = act(backup, variables, state="made", job=JOB)
    sealed = cluster.find("Secret", "backup-sealed", "backup")
    assert "NOT" not in said and VALUE not in json.dumps([result, said, sealed]) and text(VALUE) not in json.dumps([result, said, sealed])
    opened = sealing.unseal(base64.b64decode(sealed["data"]["secrets.sealed"]), WORD)
    assert opened["postgresql/mlflow-owner"]["data"]["password"] == text(VALUE)
    assert act(backup, variables, state="sealed")[0]["changed"] is False
    assert act(backup, {"backup_passphrase": WORD + "2"}, state="sealed")[0]["changed"] is True
    assert act(backup, {"backup_passphrase": WORD}, check=True, state="sealed")[0]["changed"] is True


def test_a_run_without_the_passphrase_takes_no_secrets_out_of_scheduled_backups(cluster, ran):
    act(backup, {"backup_passphrase": WORD}, state="sealed")
    sealed = cluster.find("Secret", "backup-sealed", "backup")
    for state in ({"state": "sealed"}, {"state": "made", "job": JOB}):
        result, said = act(backup, {}, **state)
        assert f"stay those sealed at {sealed['metadata']['annotations']['openmlops.io/sealed-at']}" in said and "NOT" not in said
    assert cluster.find("Secret", "backup-sealed", "backup") == sealed
    assert act(backup, {}, state="sealed")[0]["changed"] is False


@pytest.mark.parametrize(("variables", "changed"), [({}, False), ({"backup_passphrase": WORD}, True)])
def test_check_mode_where_no_cluster_is_yet(monkeypatch, variables, changed):
    def refuse(_args):
        raise Unreachable(0, "NoKubeconfig", "no file")

    monkeypatch.setattr(platform_action, "connect", refuse)
    assert act(backup, variables, check=True, state="sealed")[0] == {"changed": changed}
    assert act(restore, variables, check=True, state="awaited")[0] == {"changed": False, "under_way": ""}
    for module, state in ((backup, "sealed"), (restore, "awaited")):
        with pytest.raises(AnsibleActionFail, match="no file"):
            act(module, variables, state=state)


def test_no_backup_of_data_that_are_half_restored(cluster, reader, ran):
    act(restore, **DO)
    with pytest.raises(AnsibleActionFail, match="restore of 20260102-030405 did not come to its end"):
        act(backup, state="made", job=JOB)
    act(restore, state="started")
    act(backup, state="made", job=JOB)


def test_what_a_pod_would_wait_for_is_told_at_once(cluster, reader, ran):
    spec = {"volumes": [{"configMap": {"name": "code"}}, {"persistentVolumeClaim": {"claimName": "backups"}}, {"emptyDir": {}},
                        {"secret": {"secretName": "sealed", "optional": True}}],
            "containers": [{"env": [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "backup-destination", "key": "k"}}},
                                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k", "optional": True}}}]}]}
    named = "ConfigMap backup/code, PersistentVolumeClaim backup/backups, Secret backup/backup-destination"
    with pytest.raises(AnsibleActionFail, match=f"backups need {named}"):
        act(backup, state="made", job={"metadata": {"name": "x"}, "spec": {"template": {"spec": spec}}})
    checked = {**CHECK, "reader": {"kind": "Pod", "spec": spec}, "name": "latest"}
    with pytest.raises(AnsibleActionFail, match=f"reads backups needs {named}"):
        act(restore, **checked)
    result, said = act(restore, check=True, **checked)
    assert result["name"] == "" and named in said
    _result, said = act(restore, check=True, **{**checked, "namespace": "nowhere"})
    assert "namespace nowhere" in said and ran == [] and replicas(cluster) == 3


def test_check_mode_makes_nothing(cluster, ran):
    result, said = act(backup, {"backup_passphrase": WORD}, check=True, state="made", job=JOB)
    assert result == {"changed": True} and "would be made" in said and ran == [] and cluster.writes() == []


@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot be read: No such file"), ("", "is empty"), ("short\n", "12 characters or more"), (b"\xff\xfe" * 9, "it is no text")])
def test_a_passphrase_file_that_is_none(cluster, ran, tmp_path, content, message):
    path = tmp_path / "phrase"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AnsibleActionFail, match=f"backup_passphrase_file .*{message}"):
        act(backup, {"backup_passphrase_file": str(path)}, state="made", job=JOB)
    assert ran == []


def test_last_words_that_are_no_manifest(cluster, monkeypatch):
    monkeypatch.setattr(jobs, "run", lambda *_args: ["something else"])
    with pytest.raises(AnsibleActionFail, match="not its manifest"):
        act(backup, state="made", job=JOB)


# -- looking --------------------------------------------------------------------------------------------------------

CHECK = {"state": "checked", "reader": {"kind": "Pod"}, "users": USERS, "versions": {"mlflow": "3.17.2"}}


def test_without_a_name_there_is_a_list(cluster, reader):
    result, said = act(restore, **CHECK)
    assert (result["name"], result["parts"]) == ("", []) and "20260101-030405" in said and "20260102-030405" in said


def test_a_whole_backup_tells_what_would_happen(cluster, reader):
    result, said = act(restore, **CHECK, name="latest")
    assert result["parts"] == ["databases/mlflow.dump", "buckets/flows.tar"] and result["components"] == ["feast", "mlflow", "prefect"]
    assert "these are stopped: feast, mlflow, prefect" in said and cluster.writes() == []


@pytest.mark.parametrize(("change", "args", "message"), [
    ({"damage": ["secrets.sealed is not what was written"]}, {}, "is damaged, and nothing was changed: secrets.sealed"),
    ({"found": []}, {}, "there is no whole backup"), ({}, {"versions": {"mlflow": "2.0"}}, "cannot be restored here: mlflow was 3.17.2"),
    ({}, {"components": ["dask"]}, "nothing of dask"), ({}, {"secrets": True}, "give backup_passphrase"),
    ({"parts": {"secrets.sealed": sealing.seal({}, "another passphrase")}}, {"secrets": True, "word": WORD}, "do not open")])
def test_what_cannot_be_restored_changes_nothing(cluster, reader, change, args, message):
    for name, value in change.items():
        setattr(reader, name, value)
    word = args.pop("word", "")
    with pytest.raises(AnsibleActionFail, match=message):
        act(restore, {"backup_passphrase": word}, **{**CHECK, **args}, name="latest")
    assert cluster.writes() == []


def test_secrets_that_differ_are_told_without_a_value(cluster, reader):
    content = {"postgresql/mlflow-owner": {"type": "Opaque", "data": {"password": text("old-value")}}}
    reader.parts = {"secrets.sealed": sealing.seal(content, WORD)}
    plan = [{"component": "postgresql", "namespace": "postgresql", "secrets": SPECS}]
    _result, said = act(restore, {"backup_passphrase": WORD}, **CHECK, name="latest", plan=plan)
    assert "left as they are: postgresql/mlflow-owner" in said and "platform_restore_secrets=true" in said
    assert "old-value" not in said and text("old-value") not in said and cluster.writes() == []


# -- restoring ------------------------------------------------------------------------------------------------------

DO = {"state": "restored", "name": "20260102-030405", "components": ["mlflow"], "parts": ["databases/mlflow.dump"], "reader": {"kind": "Pod"},
      "job": {"metadata": {"name": "restore-20260102-030405"}}}


def replicas(cluster):
    return cluster.find("Deployment", "mlflow", "mlflow")["spec"]["replicas"]


def test_what_uses_the_data_is_stopped_and_its_jobs_go(cluster, reader, monkeypatch):
    seen = []
    monkeypatch.setattr(jobs, "run", lambda *_args: seen.append((replicas(cluster), cluster.find("CronJob", "clean", "mlflow")["spec"]["suspend"],
                                                                 stopping.under_way(cluster, "openmlops"))) or [])
    act(restore, **DO)
    assert seen == [(0, True, "20260102-030405")]
    assert cluster.find("Job", "mlflow-migration", "mlflow") is None and cluster.find("ConfigMap", "settings", "mlflow")
    result, _said = act(restore, state="started")
    assert result["changed"] and replicas(cluster) == 3 and cluster.find("CronJob", "clean", "mlflow")["spec"]["suspend"] is False
    assert WAITER.wait.call_args[0][0] and stopping.under_way(cluster, "openmlops") == "" and act(restore, state="started")[0]["changed"] is False


def test_a_restore_that_breaks_off_still_knows_how_it_was(cluster, reader, monkeypatch):
    def fail(*_args):
        raise BackupError("killed")

    monkeypatch.setattr(jobs, "run", fail)
    for _attempt in range(2):
        with pytest.raises(AnsibleActionFail, match="killed. The restore did not come to its end, and what uses the data stays stopped"):
            act(restore, **DO)
    assert replicas(cluster) == 0 and cluster.find("Job", "mlflow-migration", "mlflow")
    assert "did not come to its end" in act(restore, **CHECK)[1]
    result, said = act(restore, state="awaited")
    assert result["under_way"] == "20260102-030405" and "starts what was stopped" in said
    assert act(restore, check=True, state="started")[0] == {"changed": True} and replicas(cluster) == 0
    act(restore, state="started")
    assert replicas(cluster) == 3


@pytest.fixture
def jobs_run(monkeypatch):
    """Whether each Job was run afresh."""
    found = []
    monkeypatch.setattr(jobs, "run", lambda cluster, job, waiter, afresh=False: found.append(afresh) or [])
    return found


def test_a_restore_that_was_killed_after_the_data_goes_on_behind_them(cluster, reader, jobs_run, monkeypatch):
    """Its Secrets are back already, so the pods of another Job would have passwords that are no longer right."""
    monkeypatch.setattr(restore, "delete_objects", mock.Mock(side_effect=BackupError("killed")))
    with pytest.raises(AnsibleActionFail, match="killed"):
        act(restore, **DO)
    assert "did not come" not in act(restore, state="awaited")[1]  # the data are in place: the run brings the rest
    monkeypatch.undo()
    monkeypatch.setattr(platform_action, "connect", lambda _args: cluster)
    monkeypatch.setattr(jobs, "run", lambda *_args: pytest.fail("the data are in place"))
    _result, said = act(restore, **DO)
    assert "in place already" in said and jobs_run == [True] and cluster.find("Job", "mlflow-migration", "mlflow") is None
    assert replicas(cluster) == 0


def test_data_that_were_used_since_are_restored_again(cluster, reader, jobs_run):
    act(restore, **DO)
    cluster.patch_merge(manifest("Deployment", "mlflow", "mlflow"), {"spec": {"replicas": 2}})
    act(restore, **DO)  # somebody started it: what its Job did may no longer be so
    act(restore, **{**DO, "parts": ["databases/other.dump"]})
    act(restore, **{**DO, "name": "20260101-030405"})
    assert jobs_run == [True, True, False, True]
    act(restore, state="started")
    assert replicas(cluster) == 2


def test_a_restore_is_not_taken_for_done_by_a_job_of_last_week(cluster):
    job = manifest("Job", "restore-x", "backup", spec={"template": {}})
    cluster.put({**job, "status": {"conditions": [{"type": "Complete", "status": "True"}]}})
    uid = cluster.find("Job", "restore-x", "backup")["metadata"]["uid"]
    seen = []
    waiter = mock.MagicMock()
    waiter.wait.side_effect = lambda _objects: seen.append(cluster.find("Job", "restore-x", "backup")["metadata"]["uid"])
    jobs.run(cluster, job, waiter, True)
    assert seen != [uid] and len(seen) == 1


@pytest.mark.parametrize(("name", "state", "waits"), [
    ("backup-20260101-000000", {}, True), ("backup-20260101-000000", {"conditions": [{"type": "Failed", "status": "True"}]}, False),
    ("restore-20260101-000000", {}, True), ("restore-20260102-030405", {}, False)])
def test_other_jobs_end_before_anything_is_stopped(cluster, reader, jobs_run, name, state, waits):
    labels = {"openmlops.io/component": "backup"}
    cluster.put(manifest("Job", name, "backup", metadata={"labels": labels}, spec={}, status=state))
    if not waits:
        act(restore, **DO)
        return
    with pytest.raises(AnsibleActionFail, match=f"still work: {name}. Nothing was changed"):
        act(restore, {"platform_lock_timeout": 0}, **DO)
    assert replicas(cluster) == 3 and jobs_run == []


def test_a_run_of_the_platform_waits_for_the_job_of_a_restore(cluster, reader, jobs_run):
    assert act(restore, state="awaited")[0]["under_way"] == ""
    stopping.stop(cluster, "openmlops", "20260102-030405", [], lambda _line: None)
    labels = {"openmlops.io/component": "backup"}
    cluster.put(manifest("Job", "backup-1", "backup", metadata={"labels": labels}, spec={}))
    assert act(restore, {"platform_lock_timeout": 0}, state="awaited")[0]["under_way"]
    cluster.put(manifest("Job", "restore-20260102-030405", "backup", metadata={"labels": labels}, spec={}))
    with pytest.raises(AnsibleActionFail, match="kubectl delete job -n backup restore-20260102-030405"):
        act(restore, {"platform_lock_timeout": 0}, state="awaited")
    assert act(restore, {"platform_lock_timeout": 0}, check=True, state="awaited")[0]["under_way"]


def test_a_schedule_rests_while_data_are_restored(cluster, reader, jobs_run):
    cluster.put(record.as_object(record.Record("backup", "backup", {}, (record.Member("batch/v1", "CronJob", "backup", "backup"),)), "openmlops"))
    cluster.put(manifest("CronJob", "backup", "backup", api_version="batch/v1", spec={"schedule": "* * * * *"}))
    act(restore, **DO)
    assert cluster.find("CronJob", "backup", "backup")["spec"]["suspend"] is True
    act(restore, state="started")
    assert cluster.find("CronJob", "backup", "backup")["spec"]["suspend"] is False


def test_what_the_platforms_run_started_stays_as_it_is(cluster, reader, ran):
    act(restore, **DO)
    cluster.patch_merge(manifest("Deployment", "mlflow", "mlflow"), {"spec": {"replicas": 2}})
    result, _said = act(restore, state="started")
    assert replicas(cluster) == 2 and result["changed"]  # the CronJob, which no run starts


def test_pods_that_do_not_end_stop_the_restore(cluster, reader, ran, monkeypatch):
    cluster.put(manifest("Pod", "mlflow-1", "mlflow", metadata={"labels": {"app": "mlflow"}}, status={"phase": "Running"}))
    now = iter(range(0, 10000, 20))
    monkeypatch.setattr(stopping, "time", mock.MagicMock(monotonic=lambda: next(now)))
    with pytest.raises(AnsibleActionFail, match="do not end: mlflow-1"):
        act(restore, **DO)
    assert ran == []


def test_secrets_come_back_when_asked_for(cluster, reader, ran):
    content = {"postgresql/mlflow-owner": {"type": "Opaque", "data": {"username": text("x"), "password": text("old-value")}}}
    reader.parts = {"secrets.sealed": sealing.seal(content, WORD)}
    plan = [{"component": "postgresql", "packed": json.dumps({"component": "postgresql", "namespace": "postgresql", "secrets": SPECS})}]
    result, said = act(restore, {"backup_passphrase": WORD}, **DO, secrets=True, plan=plan)
    assert cluster.find("Secret", "mlflow-owner", "postgresql")["data"] == {"username": text("mlflow"), "password": text("old-value")}
    assert "old-value" not in json.dumps(result) + said


def test_check_mode_restores_nothing(cluster, reader, ran):
    result, said = act(restore, check=True, **DO)
    assert result == {"changed": True} and "would stop 2 workloads" in said and ran == [] and cluster.writes() == []
    assert act(restore, check=True, state="started")[0] == {"changed": False}


# -- the Job --------------------------------------------------------------------------------------------------------


def test_a_job_is_awaited_its_words_are_returned_and_it_goes(cluster):
    job = manifest("Job", "backup-x", "backup", spec={"template": {}})
    pod = manifest("Pod", "backup-x-1", "backup", metadata={"labels": {"batch.kubernetes.io/job-name": "backup-x"}},
                   spec={"initContainers": [{"name": "database-mlflow"}], "containers": [{"name": "backup"}]}, status={"phase": "Succeeded"})
    cluster.put(pod)
    cluster.words = {("backup-x-1", False): "first\nlast\n"}
    waiter = mock.MagicMock()
    assert jobs.run(cluster, job, waiter) == ["last", "last"]
    assert waiter.wait.call_args[0][0][0]["metadata"]["labels"].items() >= LABELS.items() and cluster.find("Job", "backup-x", "backup") is None
