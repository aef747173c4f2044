# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in the cluster: a backup is whole or none, is read back, and a bucket comes back as it was."""

from __future__ import annotations

import io
import json
import os
import threading
import time

import pytest

ALL = ["database/mlflow", "bucket/mlflow", "secrets/secrets"]
OBJECTS = {"1/model/MLmodel": b"flavors", "folder/": b"", "a b/ü+%2F?.bin": os.urandom(5000), "/slash": b"x", "../up": b"y", "l" * 900: b"long"}


@pytest.fixture
def make(programs, tmp_path, place, s3):
    """Makes a backup of one database and one bucket; returns its manifest."""
    module = programs("make_backup")
    source = s3(mlflow=dict(OBJECTS))
    source.buckets["mlflow"]["1/model/MLmodel"].update(ContentType="text/yaml", Metadata={"by": "ada"})

    def work(name="20260102-030405", dump=b"PGDMP..." * 1000, sealed=b"sealed", client=source):
        folder = tmp_path / f"work-{name}"
        folder.mkdir(exist_ok=True)
        (folder / "mlflow.dump").write_bytes(dump)
        (folder / "mlflow.version").write_text("17.2\n")
        (tmp_path / "sealed").write_bytes(sealed)
        env = {"WORK": str(folder), "DATABASES": '[{"name": "mlflow", "component": "mlflow"}]',
               "BUCKETS": '[{"name": "mlflow", "component": "mlflow"}]', "ABOUT": '{"components": {"mlflow": "3.1"}, "not_in_it": []}',
               "SEALED": str(tmp_path / "sealed") if sealed else "/nowhere"}
        return module.make(place, name, env, lambda index, _env: (client, "mlflow"))

    work.source = source
    return work


def test_a_backup_names_size_and_digest_of_each_part(make, place, programs):
    manifest = make()
    assert [(part["kind"], part["file"]) for part in manifest["parts"]] == [
        ("database", "databases/mlflow.dump"), ("bucket", "buckets/mlflow.tar"), ("secrets", "secrets.sealed")]
    assert manifest["parts"][0]["server"] == "17.2" and manifest["parts"][1]["objects"] == len(OBJECTS)
    assert json.loads(place.manifest_text("20260102-030405")) == manifest and place.names() == ["20260102-030405"]
    assert programs("destination").problems(place, "20260102-030405") == []


def test_without_sealed_secrets_there_are_none(make):
    assert "secrets" not in [part["kind"] for part in make(sealed=b"")["parts"]]


def test_a_backup_that_breaks_off_is_none_and_the_next_one_is_whole(make, place, s3, programs):
    broken = s3(mlflow=dict(OBJECTS))

    def fail(verb, key):
        if (verb, key) == ("get", "a b/ü+%2F?.bin"):
            raise ConnectionError("the store is gone")

    broken.before = fail
    with pytest.raises(ConnectionError, match="the store is gone"):
        make(client=broken)
    assert place.names() == []
    assert make() and place.names() == ["20260102-030405"]
    assert programs("destination").problems(place, "20260102-030405") == []


def test_what_does_not_read_back_is_no_backup(make, place, monkeypatch):
    real = place.reading_back
    monkeypatch.setattr(place, "reading_back", lambda name, part: _Wrong() if part.startswith("buckets") else real(name, part))
    with pytest.raises(SystemExit, match=r"buckets/mlflow.tar does not read back"):
        make()
    assert place.names() == []


class _Wrong:
    def __enter__(self):
        return io.BytesIO(b"something else")

    def __exit__(self, *_error):
        return None


@pytest.mark.parametrize("part", ["databases/mlflow.dump", "buckets/mlflow.tar", "secrets.sealed"])
def test_damage_is_found(make, place, programs, part):
    make()
    place.spoil("20260102-030405", part)
    (problem,) = programs("destination").problems(place, "20260102-030405")
    assert part in problem and "SHA-256" in problem


def test_a_missing_part_and_a_spoilt_manifest_are_found(make, place, programs, monkeypatch):
    make()
    text = place.manifest_text("20260102-030405")
    for change, told in [(lambda found: found["parts"][0].update(file="databases/gone.dump"), "cannot be read"),
                         (lambda found: found.update(name="20250101-000000"), "names something else"),
                         (lambda found: found["parts"][0].update(file="../../etc/passwd"), "names something else"),
                         (lambda found: found["parts"][0].update(bytes=7), "7 when it was written")]:
        found = json.loads(text)
        change(found)
        monkeypatch.setattr(place, "manifest_text", lambda _name, found=found: json.dumps(found))
        assert told in programs("destination").problems(place, "20260102-030405")[0]
    monkeypatch.setattr(place, "manifest_text", lambda _name: text[:50])
    assert "cannot be read" in programs("destination").problems(place, "20260102-030405")[0]


def test_the_oldest_go_and_never_the_new_one(make, place, programs):
    names = [f"2026010{day}-000000" for day in range(1, 6)]
    for name in names:
        make(name)
    # The clock went back: the new one has the smallest name.
    assert programs("make_backup").retain(place, 3, names[0], ALL) == names[1:3]
    assert place.names() == [names[0], *names[3:]]
    assert programs("make_backup").retain(place, 3, names[4], ALL) == []


def test_a_backup_that_holds_more_than_the_newer_ones_stays(make, place, programs):
    retain, names = programs("make_backup").retain, [f"2026010{day}-000000" for day in range(1, 6)]
    make(names[0])
    for name in names[1:4]:
        make(name, sealed=b"")
    assert retain(place, 2, names[3], ALL) == [names[1]]
    make(names[4])
    assert retain(place, 2, names[4], ALL) == [names[2]] and names[0] in place.names()
    make("20260106-000000")
    assert retain(place, 2, "20260106-000000", ALL) == [names[0], names[3]]
    # What this platform no longer has keeps no backup.
    make("20260107-000000", sealed=b"")
    make("20260108-000000", sealed=b"")
    assert retain(place, 2, "20260108-000000", ["database/mlflow"]) == [names[4], "20260106-000000"]


def test_a_key_that_may_not_delete_still_makes_backups(make, place, programs, monkeypatch, capsys):
    for day in range(1, 4):
        make(f"2026010{day}-000000")
    module = programs("make_backup")
    monkeypatch.setattr(module, "destination", lambda _env: place)

    def refuse(_name):
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(place, "delete", refuse)
    module.main({"NAME": "20260103-000000", "KEEP": "1", "GUARDED": json.dumps(ALL)})
    (remark,) = json.loads(capsys.readouterr().out.splitlines()[-1])["remarks"]
    assert "could not be deleted: PermissionError: AccessDenied" in remark and len(place.names()) == 3


def test_a_deletion_that_was_interrupted_or_done_by_another_is_none_of_a_fault(make, place, programs, tmp_path):
    make()
    (tmp_path / "data/.deleted-20260102-030405/databases").mkdir(parents=True, exist_ok=True)
    place.delete("20260102-030405")
    place.delete("20260102-030405")
    assert place.names() == [] and place.sweep() == 0


def test_remains_of_yesterday_are_swept_those_of_now_are_not(make, place, programs, monkeypatch):
    make()
    with place.writing("20260101-000000", "buckets/mlflow.tar") as stream:
        stream.write(b"half")
    assert place.sweep() == 0
    later = time.time() + 2 * 24 * 3600
    monkeypatch.setattr(programs("destination").time, "time", lambda: later)
    assert place.sweep() == 1 and place.sweep() == 0
    assert place.names() == ["20260102-030405"]


def test_a_second_attempt_of_a_job_takes_what_is_whole(make, place, programs, monkeypatch, capsys):
    make()
    module = programs("make_backup")
    monkeypatch.setattr(module, "destination", lambda _env: place)
    module.main({"NAME": "20260102-030405", "KEEP": "2", "GUARDED": "[]"})
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["name"] == "20260102-030405"


def test_a_bucket_comes_back_as_it_was(make, place, programs, transfer, s3, tmp_path, monkeypatch):
    make()
    module = programs("restore_parts")
    monkeypatch.setattr(module, "send", transfer)
    target = s3(other={"1/model/MLmodel": b"newer", "surplus": b"z"})
    env = {"NAME": "20260102-030405", "WORK": str(tmp_path / "restored"), "RESTORE": '["databases/mlflow.dump", "buckets/mlflow.tar"]'}

    # Killed at the last object: nothing was deleted yet.
    def fail(verb, key):
        if verb == "delete":
            raise ConnectionError("killed")

    target.before = fail
    with pytest.raises(ConnectionError):
        module.main(env, place, lambda _index, _env: (target, "other"))
    assert "surplus" in target.data("other")
    target.before = lambda verb, key: None
    module.main(env, place, lambda _index, _env: (target, "other"))
    assert target.data("other") == OBJECTS
    assert target.buckets["other"]["1/model/MLmodel"]["ContentType"] == "text/yaml"
    assert target.buckets["other"]["1/model/MLmodel"]["Metadata"] == {"by": "ada"}
    assert (tmp_path / "restored/mlflow.dump").read_bytes() == b"PGDMP..." * 1000


@pytest.mark.parametrize("part", ["databases/mlflow.dump", "buckets/mlflow.tar"])
def test_a_restore_refuses_what_is_damaged_and_leaves_the_bucket(make, place, programs, transfer, s3, tmp_path, part):
    make()
    place.spoil("20260102-030405", part)
    target = s3(other={"kept": b"k"})
    env = {"NAME": "20260102-030405", "WORK": str(tmp_path / "restored"), "RESTORE": json.dumps([part])}
    with pytest.raises(SystemExit, match="is not what was written"):
        programs("restore_parts").main(env, place, lambda _index, _env: (target, "other"))
    assert target.data("other") == {"kept": b"k"}


def test_an_object_that_goes_meanwhile_is_left_out(make, s3):
    vanishing = s3(mlflow=dict(OBJECTS))
    vanishing.before = lambda verb, key: vanishing.buckets["mlflow"].pop("folder/", None)
    assert make(client=vanishing)["parts"][1]["objects"] == len(OBJECTS) - 1


@pytest.fixture
def reader(programs, place):
    """The reading pod's server, and a client that speaks to it as the run does."""
    import http.client

    server = programs("reader").server(place, 0)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    class Client:
        def ask(self, method, path, headers=None, body=None):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    yield Client()
    server.shutdown()


def taken(reader, manifest):
    """Publishes what was brought; asks until the answer is there."""
    body = json.dumps(manifest).encode()
    while (found := json.loads(reader.ask("POST", "/backups/20260102-030405", body=body)[1]))["state"] == "running":
        time.sleep(0.01)
    return found


def test_a_manifest_that_cannot_be_read_does_not_hide_the_others(make, place, reader, monkeypatch):
    make()
    make("20260103-030405")
    real = place.manifest_text

    def text(name):
        if name == "20260103-030405":
            raise OSError("input/output error")
        return real(name)

    monkeypatch.setattr(place, "manifest_text", text)
    first, second = json.loads(reader.ask("GET", "/backups")[1])
    assert first["name"] == "20260102-030405" and second == {
        "name": "20260103-030405", "damaged": "its manifest cannot be read: input/output error"}


def settled(reader, name):
    while (found := json.loads(reader.ask("GET", f"/backups/{name}/check")[1]))["state"] == "running":
        time.sleep(0.01)
    return found


def test_the_reader_tells_checks_and_hands_out(make, place, reader):
    manifest = make()
    assert json.loads(reader.ask("GET", "/backups")[1]) == [manifest]
    assert settled(reader, "20260102-030405") == {"state": "whole", "problems": []}
    assert settled(reader, "20250101-000000")["state"] == "damaged"
    path = "/backups/20260102-030405/databases/mlflow.dump"
    assert reader.ask("GET", path, {"Range": "bytes=3-7"}) == (206, b"MP...")
    assert reader.ask("GET", path, {"Range": "bytes=8000-9000"}) == (206, b"")
    assert json.loads(reader.ask("GET", "/backups/20260102-030405/manifest.json")[1]) == manifest


@pytest.mark.parametrize("path", ["/", "/backups/../etc/passwd", "/backups/20260102-030405/../../x", "/backups/20260102-030405/databases/../x",
                                  "/backups/x/check"])
def test_the_reader_knows_no_other_paths(reader, path):
    assert reader.ask("GET", path)[0] == 404


def test_the_reader_says_what_is_wrong(reader):
    status, answer = reader.ask("GET", "/backups/20260102-030405/databases/mlflow.dump")
    assert status == 500 and json.loads(answer)["error"]


@pytest.mark.parametrize("place", ["claim"], indirect=True)
def test_a_backup_is_brought_in_pieces(make, place, reader, tmp_path):
    manifest = make()
    files = {part["file"]: (tmp_path / "data/20260102-030405" / part["file"]).read_bytes() for part in manifest["parts"]}
    place.delete("20260102-030405")
    for file, data in files.items():
        half = len(data) // 2
        for start, end in [(0, half), (0, half), (half, None)]:  # a piece that is sent twice is there once
            reader.ask("PUT", f"/backups/20260102-030405/{file}", {"Range": f"bytes={start}-"}, data[start:end])
    wrong = {**manifest, "parts": [{**manifest["parts"][0], "sha256": "0"}]}
    assert taken(reader, wrong) == {"state": "damaged", "problems": ["databases/mlflow.dump"]}
    for other in ({**manifest, "name": "20250101-000000"}, {**manifest, "parts": [{**manifest["parts"][0], "file": "../../etc/passwd"}]}, []):
        assert "cannot be read" in taken(reader, other)["problems"][0]
    assert place.names() == []
    assert taken(reader, manifest)["state"] == "whole" == taken(reader, {**manifest, "again": True})["state"]
    assert place.names() == ["20260102-030405"] and settled(reader, "20260102-030405")["state"] == "whole"
