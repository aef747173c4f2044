# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little network between host and node: a veth pair, whose host end dies with the node's network namespace."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.files import read_json
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.process import SEARCH_PATH
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import Addresses

RANGE = "10.201.0.0/16"


def ip(*arguments: str, check: bool = True) -> str:
    """Run ``ip`` with *arguments* and return what it prints.

    Raises:
        NodeError: it failed and *check* is set.
    """
    done = subprocess.run(  # pylint: disable=ansible-bad-function  # run on the controller
        ["ip", *arguments], check=False, capture_output=True, text=True, env={"PATH": SEARCH_PATH, "LANG": "C"})
    if check and done.returncode:
        raise NodeError(f"'ip {' '.join(arguments)}' failed: {done.stderr.strip()}")
    return done.stdout


def used(except_link: str = "") -> list[ipaddress.IPv4Network]:
    """Networks that the host has a route to, the default route and those by *except_link* left out."""
    networks = []
    for route in json.loads(ip("-json", "-4", "route", "show", "table", "all") or "[]"):
        target = route.get("dst", "default")
        if target == "default" or route.get("dev") in (except_link, "lo") or route.get("type") == "broadcast":
            continue
        try:
            networks.append(ipaddress.IPv4Network(target, strict=False))
        except ValueError:
            continue
    return networks


def choose(wanted: str, earlier: str, link: str, siblings: list[str], taken: list[ipaddress.IPv4Network] | None = None) -> Addresses:
    """The network between host and node.

    Args:
        wanted: what the user asked for, or "".
        earlier: what the cluster had last time, or "".
        link: name of the host's end, whose own routes do not count as taken.
        siblings: the networks of other clusters, running or not.
        taken: networks in use on the host; looked up by default.

    Raises:
        NodeError: *wanted* is in use, or nothing is free.
    """
    taken = used(link) if taken is None else taken
    others = taken + [ipaddress.IPv4Network(text) for text in siblings]
    if wanted:
        clash = [network for network in taken if network.overlaps(ipaddress.IPv4Network(wanted))]
        if clash:
            raise NodeError(f"local_cluster_node_cidr {wanted} is in use on this machine ({clash[0]}): choose another.")
        return Addresses(wanted)
    if earlier and not any(network.overlaps(ipaddress.IPv4Network(earlier)) for network in others):
        return Addresses(earlier)
    for candidate in ipaddress.IPv4Network(RANGE).subnets(new_prefix=24):
        if not any(network.overlaps(candidate) for network in others):
            return Addresses(str(candidate))
    raise NodeError(f"No /24 of {RANGE} is free on this machine: set local_cluster_node_cidr.")


def siblings(base: Path, name: str) -> list[str]:
    """Networks that other clusters in the same state folder have kept for themselves."""
    found = [read_json(path).get("node_cidr", "") for path in base.glob("*/cluster.json") if path.parent.name != name]
    return [text for text in found if text]


def attach(link: str, pid: int, addresses: Addresses) -> None:
    """Make the veth pair: *link* on the host, ``eth0`` in the network namespace of *pid*. May be called again."""
    if not exists(link):
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    ip("address", "replace", f"{addresses.host}/{addresses.prefix}", "dev", link)
    ip("link", "set", link, "up")


def detach(link: str) -> None:
    """Remove *link*, and so its other end. It goes by itself some time after its namespace; this does not wait."""
    while exists(link):
        ip("link", "delete", link, check=False)


def exists(link: str) -> bool:
    """Whether the host has the network interface *link*; in this process' network namespace, which /sys may not show."""
    return any(name == link for _index, name in socket.if_nameindex())


def route(link: str, addresses: Addresses, targets: list[str]) -> list[str]:
    """Let the host reach *targets* by way of the node, unless it reaches them some other way already.

    Returns:
        Those that the host reaches by way of the node now.
    """
    done = []
    taken = used(link)
    for target in targets:
        if any(network.overlaps(ipaddress.IPv4Network(target)) for network in taken):
            continue
        ip("route", "replace", target, "via", addresses.node, "dev", link)
        done.append(target)
    return done
