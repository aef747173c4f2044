# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of a cluster. They are the host's: they outlive namespaces, so they are made and removed here."""

from __future__ import annotations

import errno
import time
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError

ROOT = Path("/sys/fs/cgroup")


def hierarchies(root: Path = ROOT, mounts: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """Mount points of all cgroup hierarchies: one with cgroup v2, one for each controller with v1."""
    found = []
    for line in mounts.read_text().splitlines():
        left, _separator, right = line.partition(" - ")
        point = Path(left.split()[4])
        if right.split()[0] in ("cgroup", "cgroup2") and (point == root or root in point.parents) and point not in found:
            found.append(point)
    if not found:
        raise NodeError(f"No control groups are mounted below {root}; containers cannot be limited without them.")
    return found


def is_v2(root: Path = ROOT) -> bool:
    """Whether the machine has the single hierarchy of cgroup v2."""
    return (root / "cgroup.controllers").exists()


def create(name: str, pid: int, points: list[Path]) -> None:
    """Make the cgroup *name* in each hierarchy and put the process *pid* into its child ``node``.

    Raises:
        NodeError: a hierarchy cannot be written to.
    """
    for point in points:
        group = point / name
        try:
            if (point / "cgroup.controllers").exists():
                _delegate(point)
                group.mkdir(exist_ok=True)
                _delegate(group)
            else:
                group.mkdir(exist_ok=True)
                _copy_cpuset(point, group)
            node = group / "node"
            node.mkdir(exist_ok=True)
            _copy_cpuset(group, node)
            (node / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise NodeError(f"The control group {group} cannot be used: {error}. Inside a container, give it a cgroup "
                            "hierarchy of its own that may be written to.") from error


def _delegate(group: Path) -> None:
    """Hand every controller of *group* on to its children (cgroup v2)."""
    have = set((group / "cgroup.controllers").read_text().split())
    given = set((group / "cgroup.subtree_control").read_text().split())
    for controller in sorted(have - given):
        try:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError as error:
            # A hierarchy beside cgroup v1 has controllers in use there; kubelet then does not look for them here.
            if error.errno not in (errno.EBUSY, errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP):
                raise


def _copy_cpuset(parent: Path, group: Path) -> None:
    """A new cpuset of cgroup v1 is empty and takes no process until it names its processors and memory."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        source, target = parent / name, group / name
        if source.exists() and target.exists() and not (parent / "cgroup.controllers").exists():
            if not target.read_text().strip():
                target.write_text(source.read_text())


def processes(name: str, points: list[Path], below: str = "") -> set[int]:
    """Host pids of everything in the cgroup *name* (or in its child *below*) of any hierarchy."""
    found: set[int] = set()
    for point in points:
        top = point / name / below if below else point / name
        for members in top.rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in members.read_text().split())
            except OSError:
                continue
    return found - {0}


def remove(name: str, points: list[Path], seconds: float = 5.0) -> list[Path]:
    """Remove the cgroup *name* with all below it; a cgroup is busy until its last process is reaped.

    Returns:
        What could not be removed in time.
    """
    end = time.monotonic() + seconds
    while True:
        left = [point / name for point in points if not _remove_tree(point / name)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def _remove_tree(top: Path) -> bool:
    """Remove the cgroup *top* with all below it, once; returns whether it is gone."""
    if not top.exists():
        return True
    folders = sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
    for folder in [*folders, top]:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
