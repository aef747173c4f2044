# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue's entries: defaults, and errors that name the service, the key and the cure."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.access.services import CHECKS, AccessError, normalise

LEAST = {"name": "a", "prefix": "/a/", "service": "a", "namespace": "x", "port": 80, "allow": "authenticated"}


def one(**more):
    return normalise([{**LEAST, **more}], "ml.example")[0]


def problems(*services, hostname="ml.example"):
    with pytest.raises(AccessError) as error:
        normalise(list(services), hostname)
    return str(error.value).splitlines()


def test_defaults():
    assert one() == {
        "name": "a", "title": "a", "description": "", "section": "", "host": "ml.example", "prefix": "/a", "service": "a", "namespace": "x",
        "port": 80, "target_port": 80, "selector": {}, "clients": [],
        "methods": ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"], "allow": "authenticated", "api": False,
        "identity": "none", "strip_prefix": False, "websocket": False, "timeout": 300, "idle_timeout": 3600, "landing": True,
    }


def test_every_key_is_filled_in_and_known():
    assert set(one()) == set(CHECKS)


def test_normalised_entries_stay_as_they_are():
    made = normalise([LEAST, {**LEAST, "name": "root", "prefix": "/", "allow": ["g", "f", "g"], "title": "T"}], "ml.example")
    assert normalise(made, "another.example") == made


def test_null_counts_as_not_given():
    assert one(**{key: None for key in CHECKS if key not in LEAST}) == one()


def test_an_empty_host_is_the_platforms():
    assert one(host="") == one()


@pytest.mark.parametrize(("more", "landing"), [
    ({}, True), ({"api": True}, False), ({"allow": "public"}, False), ({"allow": "nobody"}, False), ({"allow": ["g"]}, True),
    ({"api": True, "landing": True}, True), ({"landing": False}, False),
])
def test_landing(more, landing):
    assert one(**more)["landing"] is landing


@pytest.mark.parametrize("hostname", ["ml.example", "10.0.0.1", "localhost", "a-b.c-d.example"])
def test_hosts(hostname):
    assert normalise([LEAST], hostname)[0]["host"] == hostname


@pytest.mark.parametrize("hostname", [
    "ml.example:443", "10.0.0.1:30443", "https://ml.example", "ML.example", "256.1.1.1", "1.2.3", "", None, "a..b", "a<.*>", "[::1]",
])
def test_no_hosts(hostname):
    assert problems(LEAST, hostname=hostname)[0].startswith("hostname: must be")
    if hostname:
        assert problems({**LEAST, "host": hostname})[0].startswith("service 'a': host: must be")


@pytest.mark.parametrize(("key", "wrong"), [
    ("title", "a\nb"), ("description", 1), ("prefix", "a"), ("prefix", "/a//b"), ("prefix", "/../"), ("prefix", "/a%20b/"),
    ("service", "A"), ("namespace", ""), ("port", 0), ("port", "80"), ("port", True), ("target_port", 65536),
    ("selector", ["app"]), ("selector", {"app": 1}), ("selector", {"a b": "c"}), ("clients", "x"), ("clients", ["X"]),
    ("methods", []), ("methods", ["get"]), ("methods", [["GET"]]), ("allow", "everybody"), ("allow", []), ("allow", ["A"]),
    ("allow", True), ("api", 1), ("identity", "cookie"), ("strip_prefix", "no"), ("websocket", "yes"), ("timeout", -1),
    ("timeout", "300s"), ("idle_timeout", 1.5), ("landing", "x"), ("name", "A"),
])
def test_wrong_values(key, wrong):
    [found] = problems({**LEAST, key: wrong})
    assert found.startswith(f"service {'number 1' if key == 'name' else repr('a')}: {key}: must be ") and repr(wrong) in found


@pytest.mark.parametrize("key", sorted(LEAST))
def test_missing_keys(key):
    [found] = problems({other: value for other, value in LEAST.items() if other != key})
    assert f": {key}: is missing; it must be " in found


@pytest.mark.parametrize("allow", ["public", "nobody"])
def test_identity_needs_somebody(allow):
    [found] = problems({**LEAST, "allow": allow, "identity": "headers"})
    assert found.startswith("service 'a': identity: nobody is known where")


def test_all_problems_at_once():
    found = problems(LEAST, {**LEAST, "prefix": "/a"}, {**LEAST, "name": "b"}, "x", {**LEAST, "name": "c", "prot": 1, "port": 0})
    assert [line.split(";")[0] for line in found] == [
        "service 'a': name: is used twice",
        "service 'b': prefix: service 'a' answers the same https://ml.example/a/",
        "service number 4: must be a mapping with name, prefix, service, namespace, port, allow",
        found[3].split(";")[0],
        "service 'c': port: must be a number from 1 to 65535",
    ]
    assert found[3].startswith("service 'c': prot: unknown key; take it out")


def test_the_catalogue_is_a_list():
    with pytest.raises(AccessError, match="must be a list"):
        normalise({}, "ml.example")
