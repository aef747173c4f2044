# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real builds, of things as small as they can be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build import golang
from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.process import find_program

needs_go = pytest.mark.skipif(not find_program("go"), reason="no Go on this machine")
needs_buildah = pytest.mark.skipif(
    not find_program("buildah") or os.geteuid() != 0, reason="images are built by buildah, as root"
)


@pytest.fixture(autouse=True)
def shared_go_cache(tmp_path_factory, monkeypatch):
    """One Go cache for all tests: the standard library is compiled once."""
    monkeypatch.setenv("GOCACHE", str(tmp_path_factory.getbasetemp() / "go-cache"))


@needs_go
def test_program_is_built_once(builder, lines):
    assert builder.todo(["binary/hello"]) == ["binary/hello"]
    assert set(builder.build(["binary/hello"])) == {"binary/hello"}
    path = Path(builder.results(["binary/hello"])["binaries"]["hello"])
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout == "v1.2.3\n"
    assert "/" not in path.relative_to(builder.store.cache / "bin").as_posix()
    lines.clear()
    assert builder.todo(["binary/hello"]) == []
    assert builder.build(["binary/hello"]) == {}
    assert lines == []
    assert list((builder.store.cache / "tmp").iterdir()) == []


@needs_go
def test_what_a_killed_build_left_is_removed(builder):
    left = builder.store.cache / "tmp/binary-hello/half"
    left.parent.mkdir(parents=True)
    left.write_text("half a program")
    builder.build(["binary/hello"])
    assert not left.exists()


@needs_go
def test_compiler_error_is_quoted(builder, root):
    (root / "cluster/hello/main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(BuildError) as caught:
        builder.build(["binary/hello"])
    assert "undefined: nonsense" in str(caught.value)
    assert str(builder.store.log("binary/hello")) in str(caught.value)
    assert not builder.store.ready("binary/hello")


@needs_go
def test_two_builders_at_once_build_once(root, tmp_path):
    lines: list[str] = []
    builders = [Builder(root, tmp_path / "cache", lines.append) for _number in range(2)]
    threads = [threading.Thread(target=builder.build, args=(["binary/hello"],)) for builder in builders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builders[0].store.ready("binary/hello")
    assert builders[0].store.log("binary/hello").read_text().count("$ ") == 1


def test_finished_image_needs_nothing_else(builder):
    path = next(iter(builder.store.paths("image/top").values()))
    path.parent.mkdir(parents=True)
    path.write_text("archive")
    assert builder.todo(["image/top"]) == []
    assert builder.todo(["image/bottom", "image/top"]) == ["image/bottom"]


@needs_go
@needs_buildah
def test_images(builder, tmp_path):
    builder.build(["image/top"])
    images = builder.results(["image/top"])["images"]
    assert list(images) == ["top"]
    with tarfile.open(images["top"]["archive"]) as archive:
        index = json.load(archive.extractfile("index.json"))
    assert index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] == images["top"]["reference"]
    # Without the storage, the image below is brought back from its archive.
    shutil.rmtree(builder.store.containers)
    Path(images["top"]["archive"]).unlink()
    assert set(builder.build(["image/top"])) == {"image/top"}
    assert str(tmp_path) not in Path("/proc/mounts").read_text(), "no mount outlives a build"


@needs_go
@needs_buildah
def test_containers_of_killed_builds_are_removed(builder):
    builder.build(["image/bottom"])
    from ansible_collections.openmlops.platform.plugins.module_utils.build.containers import Buildah
    from ansible_collections.openmlops.platform.plugins.module_utils.build.process import Runner

    buildah = Buildah(builder.store.containers, Runner("test", builder.store.log("image/test")))
    buildah.run("from", "--pull-never", builder.inputs.reference("bottom")["reference"])
    assert buildah.run("containers", "--quiet").strip()
    with buildah.session():
        assert buildah.run("containers", "--quiet").strip() == ""


def test_missing_programs_are_all_named_at_once(builder, root, monkeypatch):
    from ansible_collections.openmlops.platform.plugins.module_utils.build import process

    (root / "images/bottom/image.yml").write_text((root / "images/bottom/image.yml").read_text() + "rootfs: true\n")
    monkeypatch.setattr(process, "EXTRA_PATH", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    lack = builder.lack(builder.todo(["image/top"]))
    assert lack.packages == ["buildah", "debootstrap"]
    assert any("Go 1.21 or newer is missing" in problem for problem in lack.problems)
    with pytest.raises(BuildError, match="(?s)Go 1.21 or newer is missing.*apt-get install buildah debootstrap"):
        builder.build(["image/top"])


def test_old_go_is_named(builder, tmp_path, monkeypatch):
    (tmp_path / "go/bin").mkdir(parents=True)
    (tmp_path / "go/bin/go").write_text("#!/bin/sh\n")
    (tmp_path / "go/bin/go").chmod(0o755)
    (tmp_path / "go/VERSION").write_text("go1.19.8\ntime 2023\n")
    monkeypatch.setenv("PATH", str(tmp_path / "go/bin"))
    problem = golang.missing_go([builder.inputs.program("hello")])
    assert problem.startswith("Go 1.21 or newer is needed for hello;") and "is 1.19.8" in problem


def test_full_disk_is_said_before_anything_starts(builder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    monkeypatch.setattr(builder, "lack", lambda todo: type("Lack", (), {"packages": [], "problems": []})())
    with pytest.raises(BuildError, match="nearly full.*OPENMLOPS_CACHE"):
        builder.build(["binary/hello"])


def test_environment_of_go(monkeypatch, tmp_path):
    monkeypatch.delenv("GOCACHE", raising=False)
    monkeypatch.delenv("GOMODCACHE", raising=False)
    monkeypatch.setenv("GOPROXY", "https://proxy.test")
    monkeypatch.setenv("GOFLAGS", "-buildvcs=false")
    environment = golang.environment(tmp_path)
    assert environment["GOPROXY"] == "https://proxy.test"
    assert environment["GOFLAGS"] == "-buildvcs=false"
    assert environment["GOCACHE"] == str(tmp_path / "build")
    assert environment["GOTOOLCHAIN"] == "local"
    monkeypatch.setenv("GOCACHE", "/own")
    assert golang.environment(tmp_path)["GOCACHE"] == "/own"
