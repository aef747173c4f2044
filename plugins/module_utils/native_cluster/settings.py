# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes up one native cluster, and the values that follow from it."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError

# Raised when the files that are rendered from the same settings change, so that a running node takes them over.
RECIPE = 2
# The programs that the node itself runs. Others that were built (for images, for the controller) do not concern it.
PROGRAMS = ("kubernetes", "kube-router")
NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")
DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Settings:
    """Settings of one cluster; the defaults are those of the role local_cluster.

    Args:
        name: name of the cluster, a DNS label of at most 32 characters.
        binaries: absolute paths of the programs: ``kubernetes``, and ``kube-router`` for network policies.
        sandbox_image: reference of the image that holds a pod's namespaces.
        pod_cidr: addresses of the pods.
        service_cidr: addresses of the Services.
        node_cidr: the little network between host and node; "" takes the first free 10.201.N.0/24.
        node_port_range: ports of NodePort Services, first-last.
        max_pods: how many pods the node takes.
    """

    name: str
    binaries: dict[str, str] = field(default_factory=dict)
    sandbox_image: str = ""
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    node_cidr: str = ""
    node_port_range: str = "30000-32767"
    max_pods: int = 110

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise NodeError(f"'{self.name}' cannot name a cluster: use at most 32 lower-case letters, digits and dashes.")
        networks = {}
        for option in ("pod_cidr", "service_cidr", "node_cidr"):
            text = getattr(self, option)
            if option == "node_cidr" and not text:
                continue
            try:
                networks[option] = ipaddress.IPv4Network(text)
            except ValueError as error:
                raise NodeError(f"{option}: '{text}' is no IPv4 network: {error}") from error
        named = list(networks.items())
        for index, (option, network) in enumerate(named):
            for other, other_network in named[index + 1:]:
                if network.overlaps(other_network):
                    raise NodeError(f"{option} {network} and {other} {other_network} overlap.")
        for option, least in (("pod_cidr", 24), ("service_cidr", 24), ("node_cidr", 30)):
            if option in networks and networks[option].prefixlen > least:
                raise NodeError(f"{option} {networks[option]} is too small: /{least} or larger is needed.")

    @property
    def node_name(self) -> str:
        """Name of the Node object."""
        return f"openmlops-{self.name}"

    @property
    def context(self) -> str:
        """Name of the kubeconfig's context."""
        return f"openmlops-{self.name}"

    @property
    def cgroup(self) -> str:
        """The cgroup of everything that belongs to the cluster, below the root of each hierarchy."""
        return f"openmlops-{self.name}"

    @property
    def link(self) -> str:
        """Name of the host's network interface, at most 15 characters."""
        return f"om-{self.name[:6].strip('-')}-{hashlib.sha256(self.name.encode()).hexdigest()[:4]}"

    def service_address(self, index: int) -> str:
        """The *index*-th address of the Services: 1 is the API server, 10 the DNS server."""
        return str(ipaddress.IPv4Network(self.service_cidr)[index])

    def digest(self) -> str:
        """Changes exactly when a running node must be started again to take over the settings."""
        values = asdict(self)
        values["binaries"] = {name: Path(path).name for name, path in self.binaries.items() if name in PROGRAMS}
        return hashlib.sha256(json.dumps([RECIPE, values], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Addresses:
    """The two ends of the little network between host and node.

    Args:
        cidr: the network, for instance ``10.201.0.0/24``.
    """

    cidr: str

    @property
    def host(self) -> str:
        """Address of the host in it."""
        return str(ipaddress.IPv4Network(self.cidr)[1])

    @property
    def node(self) -> str:
        """Address of the node in it."""
        return str(ipaddress.IPv4Network(self.cidr)[2])

    @property
    def prefix(self) -> int:
        """Length of the network's prefix, in bits."""
        return ipaddress.IPv4Network(self.cidr).prefixlen
