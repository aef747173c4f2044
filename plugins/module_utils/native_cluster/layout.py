# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of a native cluster lie, seen from the host and seen from inside its namespaces."""

from __future__ import annotations

from pathlib import Path

# The state folder as the node sees it. Short, since the path of a Unix socket has at most 107 characters, and always
# the same, so that the paths of volumes stay right when the state folder is moved.
NODE = Path("/run/node")


class Layout:
    """Paths of one cluster.

    Args:
        base: folder of all clusters, for instance ``~/.local/state/openmlops``.
        name: name of the cluster.
    """

    def __init__(self, base: Path, name: str) -> None:
        self.base = Path(base).resolve()
        self.name = name
        self.root = self.base / name
        self.facts = self.root / "cluster.json"
        self.kubeconfig = self.root / "kubeconfig"
        self.etc = self.root / "etc"
        self.pki = self.root / "pki"
        self.bin = self.root / "bin"
        self.logs = self.root / "logs"
        self.init = self.etc / "init"
        self.supervisor_socket = self.root / "run" / "supervisor.sock"
        self.lock = self.base / f".{name}.lock"

    def folders(self) -> list[Path]:
        """Every folder that a node needs before it starts."""
        names = ("etc/programs", "etc/cni", "pki", "bin", "logs/pods", "logs/containers", "run",
                 "etcd", "containerd", "kubelet", "volumes")
        return [self.root / name for name in names]
