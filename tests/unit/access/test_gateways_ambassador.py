# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects for Emissary: what they are, which of them Envoy would choose, and that the definitions take them."""

from __future__ import annotations

import functools
import re

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import common, dispatch
from ansible_collections.openmlops.platform.tests.unit.access.gateways import CATALOGUES, PATHS, UPSTREAM, closed, entry, settings, specs

HOME = "emissary"
DEFINITIONS = UPSTREAM / "ambassador" / "crds" / "getambassador.io_crds.yaml"


def made(*entries, **given_keys):
    """By kind and name, the specs of the objects for these entries."""
    return specs(settings("ambassador", HOME, **given_keys), entries)


def mappings(objects):
    return {name: spec for (kind, name), spec in objects.items() if kind == "Mapping"}


def chosen(objects, host, path):
    """The Mapping that Emissary's routes lead to: by precedence, then the longer prefix (irhttpmapping.py, _route_weight)."""
    fitting = [
        (spec.get("precedence", 0), len(spec["prefix"]), name) for name, spec in mappings(objects).items()
        if spec["hostname"] in ("*", host)
        and (path == spec["prefix"] if spec.get("prefix_exact") else path.startswith(spec["prefix"]))
    ]
    return max(fitting)[2] if fitting else None


def test_what_refuses_comes_before_what_opens():
    objects = dispatch.objects([entry(), entry("root", prefix="")], settings("ambassador", HOME))["routes"]
    assert {obj["apiVersion"] for obj in objects} == {"getambassador.io/v3alpha1"}
    kinds = [obj["kind"] for obj in objects]
    assert kinds == ["AuthService", "Module", "Host", "Host", "Mapping", "Mapping", "Mapping", "Listener", "Listener"]


def test_no_other_emissary_takes_them_up():
    assert all(spec["ambassador_id"] == ["openmlops"] for spec in made(entry()).values())
    assert all(spec["ambassador_id"] == ["mine"] for spec in made(entry(), options={"ambassador_id": "mine"}).values())


def test_a_service_behind_a_prefix():
    found = mappings(made(entry(namespace="ml", service="tracking", port=5000, timeout=2, idle_timeout=60)))
    assert set(found) == {"mlflow", "mlflow.exact"}
    for spec in found.values():
        assert (spec["hostname"], spec["service"]) == ("ml.example.org", "tracking.ml:5000")
        assert (spec["timeout_ms"], spec["idle_timeout_ms"]) == (2000, 60000)
        assert spec["rewrite"] == "" and spec["case_sensitive"] is True and spec["allow_upgrade"] == ["websocket"]
        assert "bypass_auth" not in spec
    assert found["mlflow"]["prefix"] == "/mlflow/"
    assert (found["mlflow.exact"]["prefix"], found["mlflow.exact"]["prefix_exact"]) == ("/mlflow", True)


def test_no_limit_is_not_the_default_limit():
    (spec,) = mappings(made(entry(prefix="", timeout=0, idle_timeout=0))).values()
    assert (spec["timeout_ms"], spec["idle_timeout_ms"]) == (0, 0)


@pytest.mark.parametrize(("prefix", "strip", "rewrite"), [("/a/b", True, "/"), ("/a/b", False, ""), ("", True, ""), ("", False, "")])
def test_a_prefix_is_taken_off_only_where_asked(prefix, strip, rewrite):
    found = mappings(made(entry(prefix=prefix, strip_prefix=strip)))
    assert {spec["rewrite"] for spec in found.values()} == {rewrite}
    assert len(found) == (2 if prefix else 1)


@pytest.mark.parametrize(("host", "path", "name"), [
    ("ml.example.org", "/a", "a.exact"), ("ml.example.org", "/a/", "a"), ("ml.example.org", "/a/x", "a"), ("ml.example.org", "/ab", "root"),
    ("ml.example.org", "/a/b", "ab.exact"), ("ml.example.org", "/a/b/x", "ab"), ("ml.example.org", "/a/bc", "a"),
    ("ml.example.org", "/A/x", "root"), ("ml.example.org", "/", "root"), ("hub.example.org", "/a/x", "hub"), ("other.example.org", "/a", None),
    ("ml.example.org:8443", "/a/x", None),
])
def test_which_service_a_path_leads_to(host, path, name):
    objects = made(entry("root", prefix=""), entry("a", prefix="/a"), entry("ab", prefix="/a/b"),
                   entry("hub", prefix="", host="hub.example.org"))
    assert chosen(objects, host, path) == name


def test_another_port_is_part_of_the_name():
    objects = made(entry("a", prefix="/a"), port=8443)
    assert chosen(objects, "ml.example.org:8443", "/a") == "a.8443.exact"
    assert chosen(objects, "ml.example.org", "/a/x") == "a"
    assert chosen(objects, "ml.example.org:9443", "/a/x") is None


def test_what_nobody_may_enter_has_no_route():
    assert set(mappings(made(entry("admin", prefix="/mlflow/admin", allow="nobody")))) == set()


def test_with_tls_the_plain_port_only_redirects():
    objects = made(entry(), options={"tls_min_version": "1.3"})
    hosts = {name: spec for (kind, name), spec in objects.items() if kind == "Host"}
    assert {spec["requestPolicy"]["insecure"]["action"] for spec in hosts.values()} == {"Redirect"}
    # The one without a certificate: Emissary makes one of its own that serves in the clear when there is no other.
    assert [name for name, spec in hosts.items() if "tlsSecret" not in spec] == ["platform.redirect"]
    assert hosts["platform"]["tlsSecret"] == {"name": "platform-tls"} and hosts["platform"]["tls"]["min_tls_version"] == "v1.3"
    assert {spec["port"]: spec["protocolStack"] for (kind, _n), spec in objects.items() if kind == "Listener"} == {
        8080: ["HTTP", "TCP"], 8443: ["TLS", "HTTP", "TCP"]}


def test_without_tls_the_plain_port_serves():
    objects = made(entry(), tls_secret="")
    assert objects["Host", "platform"]["requestPolicy"]["insecure"]["action"] == "Route"
    assert [spec["port"] for (kind, _n), spec in objects.items() if kind == "Listener"] == [8080]


def test_the_decision_is_closed_and_sees_no_other_request():
    auth = made(entry())["AuthService", "platform"]
    assert auth["auth_service"] == "oathkeeper-api.ory:4456" and auth["path_prefix"] == "/decisions" and auth["proto"] == "http"
    assert auth["failure_mode_allow"] is False and auth["status_on_error"] == {"code": 503} and auth["timeout_ms"] == 10000
    assert auth["allowed_request_headers"] == list(common.TO_AUTHORISER)
    assert set(auth["allowed_authorization_headers"]) == {*common.FROM_AUTHORISER, *common.TO_CLIENT}
    # Emissary adds x-forwarded-host to what the authoriser sees; the script must take it away.
    assert "x-forwarded-host" in removed(made(entry()))[0]


def removed(objects):
    """Names and prefixes of headers that the script takes away."""
    script = objects["Module", "ambassador"]["config"]["lua_scripts"]
    prefixes = re.search(r"^local prefixes = \{(.*)\}$", script, re.MULTILINE)[1]
    return set(re.findall(r'^  \["([a-z0-9-]+)"\] = true,$', script, re.MULTILINE)), tuple(re.findall(r'"([a-z0-9-]+)"', prefixes))


def test_a_client_cannot_say_who_it_is():
    names, prefixes = removed(made(entry()))
    for header in (*common.FORBIDDEN, *common.CLIENT_ADDRESS, *common.IDENTITY, "x-original-url", "x-envoy-original-path"):
        assert header in names or header.startswith(prefixes) or header == "x-forwarded-for", header
    # These Emissary needs: the first two it writes itself, the third is the decision's.
    assert not names & {"x-forwarded-proto", "x-request-id", "authorization"}
    config = made(entry())["Module", "ambassador"]["config"]
    assert 'headers:replace("x-forwarded-for"' in config["lua_scripts"]
    assert config["merge_slashes"] is True and config["reject_requests_with_escaped_slashes"] is True
    assert config["headers_with_underscores_action"] == "DROP_HEADER" and config["use_remote_address"] is True
    assert not any(config[kind]["enabled"] for kind in ("diagnostics", "liveness_probe", "readiness_probe"))


def test_options():
    objects = made(entry(), options={"proxy_protocol": True, "trusted_hops": 2, "decision_timeout": 3, "module": {"server_name": "ml"}})
    listeners = [spec for (kind, _n), spec in objects.items() if kind == "Listener"]
    assert all(spec["protocolStack"][0] == "PROXY" and spec["l7Depth"] == 2 for spec in listeners)
    config = objects["Module", "ambassador"]["config"]
    assert "x-forwarded-for" not in config["lua_scripts"] and not set(common.CLIENT_ADDRESS) & removed(objects)[0]
    assert config["server_name"] == "ml" and objects["AuthService", "platform"]["timeout_ms"] == 3000
    assert all(spec["l7Depth"] == 0 for (kind, _n), spec in made(entry()).items() if kind == "Listener")


def test_mappings_of_the_user():
    own = {"name": "canary", "hostname": "ml.example.org", "prefix": "/mlflow/", "service": "canary.ml:80", "weight": 10}
    objects = made(entry(), options={"mappings": [own]})
    assert objects["Mapping", "canary.extra"] == {
        "ambassador_id": ["openmlops"], "hostname": "ml.example.org", "prefix": "/mlflow/", "service": "canary.ml:80", "weight": 10}


@runs(deadline=None)
@given(CATALOGUES, st.booleans(), PATHS)
def test_each_path_leads_to_the_longest_prefix_of_whole_segments(entries, tls, path):
    unique = {(one["host"], one["prefix"]): one for one in entries}.values()
    objects = made(*unique, tls_secret="platform-tls" if tls else "")
    open_ones = [one for one in unique if one["allow"] != "nobody"]
    assert {name.partition(".")[0] for name in mappings(objects)} == {one["name"] for one in open_ones}
    assert not any(spec.get("bypass_auth") for spec in mappings(objects).values())
    for host in {one["host"] for one in unique}:
        for asked in {path, *(one["prefix"] + path for one in unique)}:
            expected = [one for one in open_ones if one["host"] == host and (asked + "/").startswith(one["prefix"] + "/")]
            best = max(expected, key=lambda one: len(one["prefix"]), default={"name": ""})["name"]
            assert (chosen(objects, host, asked) or "").partition(".")[0] == best


@functools.cache
def schema(kind):
    """The schema of a kind of v3alpha1, closed: a field that it does not have is an error, as with the API server."""
    for found in yaml.load_all(DEFINITIONS.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
        if found and found["spec"]["names"]["kind"] == kind:
            (served,) = [version for version in found["spec"]["versions"] if version["name"] == "v3alpha1"]
            return closed(served["schema"]["openAPIV3Schema"])
    raise AssertionError(f"no definition of {kind}")


@pytest.mark.parametrize("tls", ["platform-tls", ""])
@pytest.mark.parametrize("options", [{}, {"proxy_protocol": True, "trusted_hops": 1}])
def test_the_definitions_take_them(tls, options):
    if not DEFINITIONS.is_file():
        pytest.skip(f"no file {DEFINITIONS}")
    entries = [entry(), entry("kratos", strip_prefix=True, prefix="/.ory/kratos/public"), entry("hub", host="10.201.0.2", prefix="", timeout=0)]
    for obj in dispatch.objects(entries, settings("ambassador", HOME, tls_secret=tls, options=options, port=8443))["routes"]:
        jsonschema.validate(obj, schema(obj["kind"]))


def test_a_thousand_services_are_quick():
    assert len(made(*[entry(f"s{number}", namespace=f"n{number % 20}") for number in range(1000)])) > 2000
