# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full: one error that names the folder, the variable and the cure, and nothing is harmed. On real small disks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build import store
from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", point], check=True)
    yield point
    subprocess.run(["umount", point], check=True)


def one_error(run, *words):
    """Checks that a run failed with one error that has these words."""
    assert run.code != 0, run.text[-3000:]
    assert run.text.count("[ERROR]") == 1, run.text[-3000:]
    text = " ".join(run.text.split())
    for word in words:
        assert word in text, run.text[-3000:]


def test_no_room_for_what_must_be_built(cluster, small_disk):
    """Told before anything is built; the running cluster goes on."""
    failed = cluster.run("up", "-e", f"platform_cache_dir={small_disk}")
    one_error(failed, f"the disk of {small_disk} is nearly full", "GiB are free", "needs about", "OPENMLOPS_CACHE")
    assert failed.seconds < 300
    assert cluster.kubectl("get", "--raw", "/readyz").strip() == "ok"


@pytest.mark.slow
def test_no_room_for_a_cluster(cluster, small_disk):
    """Told before anything of it is made."""
    other = type(cluster)(f"{cluster.name}-full", small_disk)
    failed = other.run("up", OPENMLOPS_STATE=str(small_disk))
    one_error(failed, f"{small_disk} is full", "24 MiB are free", "2048 MiB are needed", "OPENMLOPS_STATE")
    assert failed.seconds < 300
    assert not other.kubeconfig.exists()
    assert not Path("/sys/class/net", f"om-{other.name}").exists()


def test_the_disk_becomes_full_while_building(small_disk, monkeypatch):
    """The compiler runs out of space in the middle. The log is on that disk too, and the advice must not need it."""
    monkeypatch.setattr(store, "LEAST_FREE", 0)
    monkeypatch.setattr(store, "SPACE_PER_SECOND", 0)
    for name in ("GOCACHE", "GOMODCACHE"):
        monkeypatch.delenv(name, raising=False)
    (small_disk / "filler").write_bytes(bytes(23 << 20))
    said = []
    with pytest.raises(BuildError) as failed:
        Builder(ROOT, small_disk, said.append).build(["binary/pause"])
    assert "the disk is full: free some space, or set OPENMLOPS_CACHE to a larger disk" in str(failed.value), failed.value
    # What was begun is gone, so that the next run has the room back.
    assert not any((small_disk / "tmp").glob("*")) and not any((small_disk / "bin").glob("*"))


@pytest.mark.slow
def test_no_room_for_the_python_packages(small_disk):
    """The very first step of `make up` on a new machine."""
    failed = subprocess.run([ROOT / "scripts" / "venv", "controller"], capture_output=True, text=True, check=False,
                            env={**os.environ, "OPENMLOPS_CACHE": str(small_disk)}, timeout=400)
    assert failed.returncode != 0 and failed.stdout == ""
    (error,) = [line for line in failed.stderr.splitlines() if line.startswith("error: ")]
    assert f"the disk of {small_disk} is full" in error and "OPENMLOPS_CACHE" in error
