# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is copied and what is not, with stand-ins for the programs; tests/render/test_mirror.py has the real ones."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.mirror import copying, listing, manifests
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.listing import Chart, Image
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.running import ProgramError, chart_place, last_words, run


class FakeSkopeo:
    """Registries in memory: reference -> bytes of the manifest, or an error."""

    def __init__(self, **there):
        self.there, self.copied, self.lock = dict(there), [], threading.Lock()

    def manifest(self, reference, mirror=False):
        found = self.there.get(reference, ProgramError("reading manifest: manifest unknown"))
        if isinstance(found, Exception):
            raise found
        return found

    def copy(self, source, target):
        with self.lock:
            self.copied.append((source, target))
            found = self.there.get(source.removeprefix("docker://"), b"{}")
            self.there[target] = found


def images(skopeo, archives=None):
    return copying.Images(skopeo, archives or {}, "", lambda line: None)


def test_what_is_missing_or_differs_is_copied_once():
    skopeo = FakeSkopeo(**{"up/a:1": b'{"a": 1}', "up/b:1": b'{"b": 2}', "m/b:1": b'{"b": 1}', "up/c:1": b"{}", "m/c:1": b"{}"})
    wanted = [Image(name, f"up/{name}:1", target=f"m/{name}:1") for name in "abc"]
    looked = images(skopeo).look(wanted)
    assert [entry.state for entry in looked] == [listing.MISSING, listing.MISSING, listing.PRESENT]
    assert looked[0].digest == manifests.digest(b'{"a": 1}')
    done = images(skopeo).copy(looked)
    assert sorted(target for _source, target in skopeo.copied) == ["m/a:1", "m/b:1"]
    assert {entry.state for entry in done} == {listing.PRESENT}
    skopeo.copied.clear()
    again = images(skopeo).look(wanted)
    assert again == done and images(skopeo).copy(again) == again and not skopeo.copied


def test_a_place_without_a_way_out_believes_the_name():
    skopeo = FakeSkopeo(**{"up/a:1": ProgramError("dial tcp: no route to host"), "m/a:1": b"{}"})
    (found,) = images(skopeo).look([Image("a", "up/a:1", target="m/a:1")])
    assert found.state == listing.PRESENT and "no route to host" in found.note and found.digest == manifests.digest(b"{}")


def test_a_source_that_does_not_answer_is_not_copied():
    skopeo = FakeSkopeo(**{"up/a:1": ProgramError("dial tcp: no route to host")})
    (found,) = images(skopeo).look([Image("a", "up/a:1", target="m/a:1")])
    assert found.state == listing.MISSING and not copying.can_be_copied(found)
    assert images(skopeo).copy([found]) == [found] and not skopeo.copied


def test_a_mirror_that_refuses_is_no_empty_mirror():
    skopeo = FakeSkopeo(**{"up/a:1": b"{}", "m/a:1": ProgramError("unauthorized: authentication required")})
    (found,) = images(skopeo).look([Image("a", "up/a:1", target="m/a:1")])
    assert found.state == listing.FAILED and "the mirror: unauthorized" in found.note and not copying.can_be_copied(found)


def test_one_failure_does_not_keep_the_others(monkeypatch):
    skopeo = FakeSkopeo(**{"up/a:1": b"{}", "up/b:1": b"{}"})
    copy = skopeo.copy

    def sometimes(source, target):
        if "/a:" in source:
            raise ProgramError("no space left")
        copy(source, target)

    monkeypatch.setattr(skopeo, "copy", sometimes)
    worker = images(skopeo)
    done = worker.copy(worker.look([Image(name, f"up/{name}:1", target=f"m/{name}:1") for name in "ab"]))
    assert [entry.state for entry in done] == [listing.FAILED, listing.PRESENT] and "no space left" in done[0].note


def test_what_is_built_comes_from_its_archive(tmp_path, monkeypatch):
    archive = tmp_path / "web.tar"
    archive.touch()
    monkeypatch.setattr(manifests, "archive_digest", lambda path: "sha256:one")
    skopeo = FakeSkopeo()
    worker = images(skopeo, {"web": archive, "none": tmp_path / "none.tar"})
    built = [Image(name, f"localhost/{name}:1", listing.BUILT, f"m/{name}:1", built=name) for name in ("web", "none")]
    looked = worker.look(built)
    assert looked[0].digest == "sha256:one" and "`make up` builds image/none" in looked[1].note
    worker.copy(looked)
    assert skopeo.copied == [(f"oci-archive:{archive}", "m/web:1")]


def test_without_skopeo_nothing_is_known():
    (found,) = images(None).look([Image("a", "up/a:1", target="m/a:1")])
    assert found.state == listing.UNKNOWN and not copying.can_be_copied(found)


class FakeHelm:
    """Charts in memory."""

    def __init__(self):
        self.there, self.pushed = set(), []

    def has(self, target):
        return target in self.there

    def pull(self, ref, version, repository, folder):
        if "broken" in ref:
            raise ProgramError("no such host")
        file = folder / f"{ref.rpartition('/')[2]}-{version}.tgz"
        file.write_bytes(b"chart")
        return file

    def push(self, file, place):
        self.pushed.append((file.name, place))
        self.there.add(f"{place}/{file.name.removesuffix('.tgz').replace('-', ':')}")


def test_charts_into_a_folder(tmp_path):
    worker = copying.Charts(FakeHelm(), lambda line: None)
    target = tmp_path / "deep" / "web-1.tgz"
    chart = Chart("web", "1", "https://example.org", str(target))
    looked = worker.look(chart)
    assert looked.state == listing.MISSING
    assert worker.copy(looked).state == listing.PRESENT and target.read_bytes() == b"chart"
    assert [path.name for path in target.parent.iterdir()] == ["web-1.tgz"] and target.stat().st_mode & 0o777 == 0o644
    assert worker.look(chart).state == listing.PRESENT


def test_charts_into_a_registry():
    helm = FakeHelm()
    worker = copying.Charts(helm, lambda line: None)
    chart = Chart("web", "1", "oci://up.example.org/charts", "oci://m.example.org/x/web:1")
    assert worker.copy(worker.look(chart)).state == listing.PRESENT
    assert helm.pushed == [("web-1.tgz", "oci://m.example.org/x")]
    assert worker.look(chart).state == listing.PRESENT


def test_a_chart_that_cannot_be_had(tmp_path):
    worker = copying.Charts(FakeHelm(), lambda line: None)
    found = worker.copy(worker.look(Chart("broken", "1", "https://example.org", str(tmp_path / "broken-1.tgz"))))
    assert found.state == listing.FAILED and "no such host" in found.note and not list(tmp_path.iterdir())


def test_without_helm_charts_are_listed():
    worker = copying.Charts(None, lambda line: None)
    found = worker.look(Chart("web", "1", "https://example.org", "oci://m/web:1"))
    assert found.state == listing.UNKNOWN and worker.copy(found) == found


def test_last_words_are_the_same_each_time():
    said = [f'time="2026-11-28T16:19:{second}Z" level=fatal msg="pinging: Get \\"https://x/v2/\\": read tcp 10.0.0.1:{port}->10.0.0.2:443: reset"\n'
            for second, port in ((56, 4711), (59, 4712))]
    assert [last_words(text) for text in said] == ['pinging: Get "https://x/v2/": read tcp 10.0.0.2:443: reset'] * 2


def test_chart_place():
    assert chart_place("oci://m:5000/x/web:1.0") == ("oci://m:5000/x/web", "1.0")


@pytest.mark.parametrize(
    ("command", "words", "not_there"),
    [(["sh", "-c", "echo manifest unknown >&2; exit 1"], "manifest unknown", True), (["sh", "-c", "exit 3"], "sh ended with status 3", False),
     (["sh", "-c", "echo unauthorized >&2; exit 1"], "unauthorized", False), (["/no/such/program"], "cannot be run", False),
     (["sleep", "9"], "took more than", False)],
)
def test_programs_that_fail(command, words, not_there):
    with pytest.raises(ProgramError, match=words) as caught:
        run(command, {}, 0.5)
    assert caught.value.not_there is not_there
