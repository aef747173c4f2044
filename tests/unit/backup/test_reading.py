# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of reading backups, against the real program of the pod; a socket stands for the forwarded port."""

from __future__ import annotations

import hashlib
import json
import socket
import threading

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.backup import reading
from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError
from ansible_collections.openmlops.platform.plugins.module_utils.kube import forward
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest

NAME = "20260102-030405"
POD = manifest("Pod", "backup-reader", "backup", spec={})
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def cluster():
    found = FakeCluster("backup")
    found.after = lambda obj: obj.update(status=READY)
    return found


@pytest.fixture
def reader(cluster, programs, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    server = programs("reader").server(programs("destination").Claim(tmp_path / "data"), 0)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(forward.PodClient, "_forwarded", lambda _self: socket.create_connection(server.server_address))
    monkeypatch.setattr(reading, "_PIECE", 1000)
    with reading.Reader(cluster, POD, lambda _line: None, 5.0) as found:
        yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    """A backup on the controller: one part ends within a piece, one with it."""
    found, parts = tmp_path / "controller" / NAME, []
    for file, data in {"databases/mlflow.dump": b"ab" * 1234, "buckets/mlflow.tar": b"x" * 2000}.items():
        (found / file).parent.mkdir(parents=True)
        (found / file).write_bytes(data)
        parts.append({"kind": "database", "name": "mlflow", "component": "mlflow", "file": file, "bytes": len(data),
                      "sha256": hashlib.sha256(data).hexdigest()})
    (found / "manifest.json").write_text(json.dumps({"schema": 1, "name": NAME, "parts": parts}))
    return found


def test_a_backup_is_brought_checked_and_fetched_again(reader, folder, tmp_path):
    assert reader.manifests() == []
    assert reader.bring(folder) == NAME == reader.bring(folder)
    (found,) = reader.manifests()
    assert reader.problems(NAME) == [] and reader.problems("20250101-000000") == ["there is no backup of this name"]
    reader.fetch(found, tmp_path / "copy")
    for part in found["parts"]:
        assert (tmp_path / "copy" / NAME / part["file"]).read_bytes() == (folder / part["file"]).read_bytes()
    assert (tmp_path / "copy" / NAME / "manifest.json").read_text() == (folder / "manifest.json").read_text()
    copies = list((tmp_path / "copy" / NAME).rglob("*"))
    assert {path.stat().st_mode & 0o077 for path in [*copies, tmp_path / "copy" / NAME]} == {0}, "nobody else may read it"
    reader.fetch(found, tmp_path / "copy")
    with pytest.raises(BackupError, match=r"databases/none.dump of backup .* cannot be read"):
        reader.part(NAME, "databases/none.dump")


def test_a_copy_that_is_damaged_is_not_taken(reader, folder, tmp_path):
    (folder / "buckets/mlflow.tar").write_bytes(b"y" * 2000)
    with pytest.raises(BackupError, match=r"is damaged: buckets/mlflow.tar"):
        reader.bring(folder)
    assert reader.manifests() == []
    (folder / "buckets/mlflow.tar").unlink()
    with pytest.raises(BackupError, match=r"holds no whole backup: buckets/mlflow.tar are missing"):
        reader.bring(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(BackupError, match=r"platform_restore_folder: .* holds no whole backup"):
        reader.bring(folder)


def test_a_part_that_changes_on_the_way_is_no_copy(reader, folder, tmp_path):
    reader.bring(folder)
    (found,) = reader.manifests()
    (tmp_path / "data" / NAME / "buckets/mlflow.tar").write_bytes(b"y" * 2000)
    with pytest.raises(BackupError, match="did not arrive as it was written"):
        reader.fetch(found, tmp_path / "copy")
    assert not (tmp_path / "copy" / NAME / "manifest.json").exists()


def test_who_writes_to_the_destination_does_not_write_to_the_controller(reader, folder, tmp_path):
    reader.bring(folder)
    manifest_file = tmp_path / "data" / NAME / "manifest.json"
    document = json.loads(manifest_file.read_text())
    document["parts"][0]["file"] = "../../../stolen"
    manifest_file.write_text(json.dumps(document))
    (found,) = reader.manifests()
    assert found == {"name": NAME, "damaged": "its manifest cannot be read: it names something else"}


def test_an_older_copy_is_none_while_it_is_replaced(reader, folder, tmp_path):
    reader.bring(folder)
    (found,) = reader.manifests()
    reader.fetch(found, tmp_path / "copy")
    (tmp_path / "data" / NAME / "buckets/mlflow.tar").write_bytes(b"y" * 2000)
    with pytest.raises(BackupError, match="did not arrive"):
        reader.fetch(found, tmp_path / "copy")
    assert not (tmp_path / "copy" / NAME / "manifest.json").exists()


def test_the_pod_goes_also_when_something_fails(cluster, reader):
    assert cluster.find("Pod", "backup-reader", "backup")
    reader.__exit__()
    assert cluster.find("Pod", "backup-reader", "backup") is None


@pytest.mark.parametrize(("status", "message"), [
    ({"containerStatuses": [{"name": "reader", "restartCount": 0, "ready": False, "state": {"terminated": {"exitCode": 1}}}]}, "last words: no such bucket"),
    ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "no volume"}]}, "unschedulable: no volume")])
def test_a_pod_that_does_not_run_says_why(cluster, status, message):
    cluster.after = lambda obj: obj.update(status=status)
    cluster.words = {("backup-reader", False): "Traceback\nno such bucket\n"}
    with pytest.raises(BackupError, match=f"the pod that reads backups does not run: .*{message}"), \
            reading.Reader(cluster, POD, lambda _line: None, 0.1):
        pass
    assert cluster.find("Pod", "backup-reader", "backup") is None
