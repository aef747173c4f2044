# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, the lock, processes and control groups, on a folder that stands in for the machine's."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import cgroup, files, process
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.lock import hold


def test_a_file_is_written_once(tmp_path):
    path = tmp_path / "new" / "file"
    assert files.write(path, "text") is True
    assert files.write(path, "text") is False
    assert path.stat().st_mode & 0o777 == 0o600
    assert files.write(path, "text", 0o644) is True
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_facts_that_were_never_finished_count_as_none(tmp_path, content):
    (tmp_path / "facts").write_text(content)
    assert files.read_json(tmp_path / "facts") == {}


def test_a_program_stays_when_the_cache_is_cleared(tmp_path):
    source = tmp_path / "kubernetes-1"
    source.write_text("program")
    assert files.place(source, tmp_path / "bin" / "kubernetes") is True
    assert files.place(source, tmp_path / "bin" / "kubernetes") is False
    source.unlink()
    assert (tmp_path / "bin" / "kubernetes").read_text() == "program"


def _hold(path, ready):
    with hold(path, "cluster x", print):
        ready.set()
        time.sleep(60)


def test_a_lock_names_its_holder_and_goes_with_it(tmp_path):
    path, ready = tmp_path / ".x.lock", multiprocessing.Event()
    holder = multiprocessing.Process(target=_hold, args=(path, ready))
    holder.start()
    assert ready.wait(10)
    said: list[str] = []
    with pytest.raises(NodeError, match=f"process {os.getpid()}, since"), hold(path, "cluster x", said.append, seconds=0.3):
        pass
    assert len(said) == 1 and "waiting" in said[0]
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with hold(path, "cluster x", said.append, seconds=5):
        assert path.exists()
    assert not path.exists()


def _proc(root, pid: int, parent: int, cmdline: list[str]) -> None:
    folder = root / str(pid)
    folder.mkdir()
    (folder / "cmdline").write_bytes(("\0".join(cmdline) + "\0").encode())
    (folder / "stat").write_text(f"{pid} (a (strange) name) S {parent} " + " ".join(["0"] * 17) + " 4711 0\n")


def test_a_node_is_found_by_its_folder(tmp_path):
    layout, other = Layout(tmp_path / "state", "local"), Layout(tmp_path / "state", "local-2")
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "self").mkdir()
    _proc(proc, 10, 1, process.command(layout))
    assert process.find(layout, proc) is None, "not before its child is there"
    _proc(proc, 11, 10, ["/bin/bash", str(layout.init)])
    assert process.find(layout, proc) == process.Running(10, 11)
    assert process.find(other, proc) is None
    assert process.stat(11, proc) == (10, "S", 4711)


def test_a_cluster_of_the_same_name_elsewhere_is_no_node_of_ours(tmp_path):
    layout, elsewhere = Layout(tmp_path / "state", "local"), Layout(tmp_path / "elsewhere", "local")
    proc = tmp_path / "proc"
    proc.mkdir()
    _proc(proc, 10, 1, process.command(layout))
    _proc(proc, 11, 10, ["/bin/bash", str(layout.init)])
    assert process.namesake(layout, proc) == ""
    assert process.namesake(elsewhere, proc) == str(layout.root)
    assert process.find(elsewhere, proc) is None
    assert process.namesake(Layout(tmp_path / "state", "cal"), proc) == ""


def test_cgroups_of_version_1_get_processors_and_memory(tmp_path):
    point = tmp_path / "cpuset"
    point.mkdir()
    for name, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (point / name).write_text(value)
        for group in ("openmlops-x", "openmlops-x/node"):
            (point / group).mkdir(exist_ok=True)
            (point / group / name).write_text("\n")
    cgroup.create("openmlops-x", 4711, [point])
    assert (point / "openmlops-x" / "node" / "cpuset.cpus").read_text() == "0-1"
    assert (point / "openmlops-x" / "node" / "cgroup.procs").read_text() == "4711"
    assert cgroup.processes("openmlops-x", [point]) == {4711}


def test_cgroups_of_version_2_are_handed_their_controllers(tmp_path):
    for group in (".", "openmlops-x"):
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / "cgroup.controllers").write_text("cpu memory")
        (tmp_path / group / "cgroup.subtree_control").write_text("")
    cgroup.create("openmlops-x", 4711, [tmp_path])
    # Each write to the real file adds one; here the last one is left.
    assert (tmp_path / "openmlops-x" / "cgroup.subtree_control").read_text() == "+memory"


def test_empty_cgroups_are_removed_from_the_bottom(tmp_path):
    (tmp_path / "openmlops-x" / "kubepods" / "pod1" / "c1").mkdir(parents=True)
    assert cgroup.remove("openmlops-x", [tmp_path]) == []
    assert not (tmp_path / "openmlops-x").exists()


def test_hierarchies_are_read_from_the_mounts(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "30 1 0:1 / /sys/fs/cgroup/memory rw shared:1 - cgroup cgroup rw,memory\n"
        "31 1 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "32 1 0:3 / /var/lib/elsewhere rw - cgroup cgroup rw,cpu\n"
        "33 1 0:4 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n")
    assert [str(point) for point in cgroup.hierarchies(mounts=mounts)] == ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"]
