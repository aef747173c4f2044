# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a native cluster, and what follows from them."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import Addresses, Settings

BINARIES = {"kubernetes": "/cache/bin/kubernetes-0123456789ab", "kube-router": "/cache/bin/kube-router-0123456789ab"}


@pytest.mark.parametrize("name", ["", "-a", "a-", "Local", "a_b", "a" * 33, "a/b", "../a"])
def test_a_name_that_cannot_be_a_folder_and_a_node_is_refused(name):
    with pytest.raises(NodeError, match="cannot name a cluster"):
        Settings(name)


@pytest.mark.parametrize(("values", "words"), [
    ({"pod_cidr": "10.244.0.0"}, "pod_cidr 10.244.0.0/32 is too small"),
    ({"pod_cidr": "pods"}, "pod_cidr: 'pods' is no IPv4 network"),
    ({"pod_cidr": "10.244.0.1/16"}, "host bits"),
    ({"service_cidr": "10.244.128.0/17"}, "pod_cidr 10.244.0.0/16 and service_cidr 10.244.128.0/17 overlap"),
    ({"node_cidr": "10.96.3.0/24"}, "service_cidr 10.96.0.0/16 and node_cidr 10.96.3.0/24 overlap"),
    ({"node_cidr": "10.1.0.0/31"}, "too small"),
])
def test_networks_that_cannot_work_are_refused(values, words):
    with pytest.raises(NodeError, match=words):
        Settings("local", **values)


def test_addresses_follow_from_the_networks():
    settings = Settings("local", service_cidr="172.30.0.0/16")
    assert (settings.service_address(1), settings.service_address(10)) == ("172.30.0.1", "172.30.0.10")
    addresses = Addresses("10.201.7.0/24")
    assert (addresses.host, addresses.node, addresses.prefix) == ("10.201.7.1", "10.201.7.2", 24)


@pytest.mark.parametrize("name", ["a", "local", "test-2", "ci-" + "x" * 29])
def test_the_name_of_a_link_fits_into_the_kernel(name):
    assert len(Settings(name).link) <= 15


def test_links_of_long_names_differ():
    assert Settings("pipeline-one").link != Settings("pipeline-two").link


def test_a_node_starts_again_for_its_own_programs_only():
    digest = Settings("local", BINARIES, "pause:1").digest()
    assert Settings("local", {**BINARIES, "helm": "/cache/bin/helm-1"}, "pause:1").digest() == digest
    # The same program in another cache is the same program.
    moved = {name: path.replace("/cache", "/elsewhere") for name, path in BINARIES.items()}
    assert Settings("local", moved, "pause:1").digest() == digest
    assert Settings("local", {**BINARIES, "kubernetes": "/cache/bin/kubernetes-2"}, "pause:1").digest() != digest
    assert Settings("local", BINARIES, "pause:1", max_pods=50).digest() != digest
