# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network policies from the service catalogue."""

from __future__ import annotations

from ansible_collections.openmlops.platform.plugins.module_utils.access.network import policies
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import normalise

SETTINGS = {"proxy_namespace": "gateway", "proxy_labels": {"part": "proxy"}}


def made(*entries):
    full = [{"prefix": f"/{entry['name']}/", "service": "s", "namespace": "ml", "port": 80, "allow": "public", **entry} for entry in entries]
    return policies(normalise(full, "ml.example"), SETTINGS)


def test_pods_without_a_selector_stay_as_they_are():
    assert made({"name": "a"}) == []


def test_only_the_gateway_the_own_namespace_and_the_clients_come_in():
    (policy,) = made({"name": "a", "selector": {"app": "x"}, "target_port": 8080, "clients": ["jupyterhub"]})
    assert policy["metadata"]["namespace"] == "ml" and policy["spec"]["podSelector"] == {"matchLabels": {"app": "x"}}
    gateway, inside = policy["spec"]["ingress"]
    assert gateway == {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}},
                  "podSelector": {"matchLabels": {"part": "proxy"}}}],
        "ports": [{"protocol": "TCP", "port": 8080}]}
    assert inside == {"from": [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "jupyterhub"}}}]}


def test_entries_with_the_same_pods_share_a_policy():
    first, second = {"selector": {"app": "x"}, "clients": ["c1"]}, {"selector": {"app": "x"}, "port": 81, "clients": ["c2"]}
    (policy,) = made({"name": "a", **first}, {"name": "b", **second})
    assert [port["port"] for port in policy["spec"]["ingress"][0]["ports"]] == [80, 81]
    assert len(policy["spec"]["ingress"][1]["from"]) == 3
    assert len(made({"name": "a", **first}, {"name": "b", **second, "namespace": "other"})) == 2
