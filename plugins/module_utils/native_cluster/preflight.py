# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine must have before a node is started on it. Reads a few files; runs no program when all is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.config import CNI_PLUGINS
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.process import SEARCH_PATH

# Program or file -> Debian package.
PACKAGES = {
    "containerd": "containerd", "containerd-shim-runc-v2": "containerd", "ctr": "containerd", "runc": "runc",
    "nft": "nftables", "iptables": "iptables", "ipset": "ipset", "conntrack": "conntrack",
    "ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "hostname": "hostname",
    f"{CNI_PLUGINS}/bridge": "containernetworking-plugins", f"{CNI_PLUGINS}/portmap": "containernetworking-plugins",
    f"{CNI_PLUGINS}/host-local": "containernetworking-plugins", f"{CNI_PLUGINS}/loopback": "containernetworking-plugins",
}
LEAST_FREE_BYTES = 2 * 1024**3
# Below this the kubelet of a running node evicts pods (see evictionHard in config.py) and nothing can become ready.
TIGHT_BYTES = 600 * 1024**2
# File systems that overlayfs cannot keep its layers on.
UNSUITABLE = ("overlay", "nfs", "nfs4", "9p", "fuse", "fuseblk", "vfat", "squashfs", "aufs", "cifs")


def missing_packages() -> list[str]:
    """Debian packages that this machine lacks."""
    missing = set()
    for program, package in PACKAGES.items():
        found = Path(program).exists() if "/" in program else shutil.which(program, path=SEARCH_PATH)
        if not found:
            missing.add(package)
    return sorted(missing)


def problems(state_dir: Path, mounts: Path = Path("/proc/self/mounts")) -> list[str]:
    """What stands in the way of a node whose files lie in *state_dir*, each with its cure; packages left out.

    Args:
        state_dir: folder of all clusters; need not exist yet.
        mounts: the table of mounts, for tests.
    """
    found = []
    if os.geteuid() != 0:
        found.append("The native cluster makes namespaces and control groups: run as root, or choose "
                     "local_cluster_provider kind or minikube.")
    if not state_dir.is_absolute():
        found.append(f"local_cluster_state_dir '{state_dir}' must be an absolute path.")
        return found
    for hidden in ("/run", "/var/run", "/var/log", "/proc", "/sys"):
        if Path(hidden) in (state_dir, *state_dir.parents):
            found.append(f"local_cluster_state_dir {state_dir} lies below {hidden}, which the node has for itself: set "
                         "OPENMLOPS_STATE to another folder.")
    folder = next(parent for parent in (state_dir, *state_dir.parents) if parent.exists())
    kind = filesystem(folder, mounts)
    if kind.startswith(UNSUITABLE):
        found.append(f"{state_dir} lies on a file system of the type {kind}, which containers cannot be kept on: set OPENMLOPS_STATE "
                     "to a folder on a local disk (ext4, xfs, btrfs) or on a volume.")
    found += disk_problems(state_dir, LEAST_FREE_BYTES)
    if not _kernel_has("overlay"):
        found.append("This kernel has no overlayfs: 'modprobe overlay', or use a kernel that has it.")
    return found


def disk_problems(state_dir: Path, least: int) -> list[str]:
    """What is wrong when fewer than *least* bytes are free where *state_dir* is or will be."""
    folder = next(parent for parent in (state_dir, *state_dir.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free >= least:
        return []
    return [f"The disk of {state_dir} is full: {free / 1024**2:.0f} MiB are free, {least / 1024**2:.0f} MiB are needed. "
            "Make room, or set OPENMLOPS_STATE to another disk."]


def filesystem(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Type of the file system that *folder* lies on."""
    best, kind = -1, ""
    folder = folder.resolve()
    for line in mounts.read_text().splitlines():
        fields = line.split()
        point = Path(fields[1].replace("\\040", " "))
        if (point == folder or point in folder.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


def _kernel_has(name: str) -> bool:
    """Whether the kernel has the file system *name*, loaded already or as a module that the mount loads."""
    if any(line.split()[-1] == name for line in Path("/proc/filesystems").read_text().splitlines()):
        return True
    release = os.uname().release
    return any(Path("/lib/modules", release).rglob(f"{name}.ko*"))
