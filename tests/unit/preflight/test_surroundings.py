# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, clocks, programs and licences."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.preflight import asking, surroundings
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

NOW = datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("resolved", "gateway", "level", "said"),
    [
        ({"ml.example": ["192.0.2.1"]}, ["192.0.2.1"], "ok", "leads to an address"),
        ({"ml.example": ["192.0.2.1"]}, [], "ok", "leads to an address"),
        ({"ml.example": ["192.0.2.9"]}, ["192.0.2.1"], "warning", "leads to 192.0.2.9, the gateway is at 192.0.2.1"),
        ({"ml.example": []}, ["192.0.2.1"], "warning", "has no address here"),
        ({}, [], "warning", "has no address here"),
    ],
)
def test_names(resolved, gateway, level, said):
    (found,) = surroundings.names(["ml.example", "", "*.ml.example", "192.0.2.7", "2001:db8::1"], resolved, gateway)
    assert found.level == level and said in found.cause


def test_no_names():
    assert [entry.level for entry in surroundings.names(["192.0.2.7"], {}, [])] == ["ok"]


def later(seconds):
    return NOW + datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("skew", "beats", "levels"),
    [(0, {"n": -5}, ["ok"]), (9, {}, ["ok"]), (30, {}, ["warning"]), (-30, {}, ["warning"]), (-500, {}, ["error"]),
     (0, {"n": 60}, ["warning"]), (0, {"n": -60}, ["warning"]), (0, {"a": -20, "b": 90}, ["warning"]), (200, {"n": 60}, ["error", "warning"])],
)
def test_clocks(skew, beats, levels):
    told = surroundings.clocks(later(skew), NOW, {name: later(seconds) for name, seconds in beats.items()})
    assert [entry.level for entry in told] == levels


def test_clock_of_a_silent_server():
    assert [entry.level for entry in surroundings.clocks(NOW, None, {})] == ["note"]


def test_clocks_are_read(judge):
    judge.put(manifest("Namespace", "kube-node-lease"))
    stamp = (judge.now + datetime.timedelta(seconds=300)).isoformat().replace("+00:00", "Z")
    judge.put(manifest("Lease", "node-1", "kube-node-lease", spec={"renewTime": stamp}))
    (found,) = asking.about_clocks(judge)
    assert found.level == "warning" and "node-1" in found.cause


@pytest.mark.parametrize(
    ("licence", "image", "accepted", "level"),
    [("Apache-2.0", "MIT", [], "ok"), ("AGPL-3.0-only", "MIT", [], "error"), ("AGPL-3.0-only", "MIT", ["AGPL-3.0-only"], "note"),
     ("Apache-2.0", "BUSL-1.1", ["AGPL-3.0-only"], "error"), ("GPL-3.0-or-later", "MIT", [], "ok")],
)
def test_licences(licence, image, accepted, level):
    (found,) = surroundings.licences({"x": {"licence": licence, "images": {"server": {"licence": image}}}}, accepted)
    assert found.level == level
    if level == "error":
        assert "platform_accepted_licences" in found.cure


GOOD = {"python": (3, 13, 1), "packages": {"ansible-core": "2.21.1", "kubernetes": "36.0.0"}, "needed": ["kubernetes"], "core": "6.6.0",
        "helm": "v4.3.1", "wants_helm": True}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "Python 3.13.1, ansible-core 2.21.1, kubernetes.core 6.6.0, Helm v4.3.1"),
        ({"helm": "v3.22.0+g1", "wants_helm": False}, "Helm v3.22.0"),
        ({"helm": None, "wants_helm": False}, "kubernetes.core 6.6.0"),
        ({"python": (3, 11, 2)}, "Python 3.11.2 is too old"),
        ({"packages": {"ansible-core": "2.19.4", "kubernetes": "36.0.0"}}, "ansible-core 2.19.4 is too old"),
        ({"needed": ["interegular"]}, "the Python package interegular is missing"),
        ({"core": "5.4.0"}, "kubernetes.core is 5.4.0"),
        ({"core": ""}, "kubernetes.core is missing"),
        ({"helm": None}, "there is no program helm"),
        ({"helm": "v2.17.0"}, "Helm v2.17.0 is not one that"),
    ],
)
def test_tools(change, said):
    (found,) = surroundings.tools(**{**GOOD, **change})
    assert said in found.cause and (found.level == "error") == bool(change and found.cure)


def test_this_controller_is_good_enough(root_requirements):
    found = asking.packages([*root_requirements, "ansible-core"])
    assert set(root_requirements) <= set(found)
    assert asking.packages(["no-such-package-here"]) == {}


@pytest.fixture
def root_requirements():
    return ["kubernetes", "jsonpatch", "jsonschema", "PyYAML", "cryptography", "bcrypt", "interegular"]


def test_helm_that_is_not_there(tmp_path):
    assert asking.helm_version(str(tmp_path / "helm")) is None
    assert asking.collection_version(tmp_path) == ""


def test_addresses():
    assert "127.0.0.1" in asking.addresses("localhost") and asking.addresses("no-such-host.invalid") == []


def test_addresses_of_load_balancers(judge):
    judge.put(manifest("Service", "gateway", "ml", spec={"type": "LoadBalancer"},
                       status={"loadBalancer": {"ingress": [{"ip": "192.0.2.4"}, {"hostname": "localhost"}]}}))
    judge.put(manifest("Service", "inside", "ml", spec={"type": "ClusterIP"}))
    assert {"192.0.2.4", "127.0.0.1"} <= set(asking.gateway_addresses(judge, ["ml", "none"]))
