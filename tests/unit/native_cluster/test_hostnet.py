# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of the network between host and node."""

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import hostnet
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError


def networks(*texts: str) -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(text) for text in texts]


def choose(wanted="", earlier="", siblings=(), taken=()):
    return hostnet.choose(wanted, earlier, "om-local", list(siblings), networks(*taken)).cidr


def test_the_first_free_network_is_taken():
    assert choose() == "10.201.0.0/24"
    assert choose(taken=["10.201.0.0/24", "10.201.1.128/25"]) == "10.201.2.0/24"


def test_other_clusters_keep_their_network_while_they_are_stopped():
    assert choose(siblings=["10.201.0.0/24"]) == "10.201.1.0/24"


def test_a_cluster_keeps_its_network():
    assert choose(earlier="10.201.5.0/24") == "10.201.5.0/24"


def test_a_cluster_moves_when_somebody_else_took_its_network():
    assert choose(earlier="10.201.5.0/24", taken=["10.201.0.0/16", "10.201.5.7/32"][1:]) == "10.201.0.0/24"


def test_a_network_that_is_asked_for_must_be_free():
    assert choose(wanted="192.168.77.0/24") == "192.168.77.0/24"
    with pytest.raises(NodeError, match="local_cluster_node_cidr 192.168.77.0/24 is in use"):
        choose(wanted="192.168.77.0/24", taken=["192.168.0.0/16"])


def test_no_free_network_names_the_variable():
    with pytest.raises(NodeError, match="local_cluster_node_cidr"):
        choose(taken=["10.0.0.0/8"])
