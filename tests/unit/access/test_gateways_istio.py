# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects for Istio's ingress gateway: what they are, which route a path takes, and that the definitions take them."""

from __future__ import annotations

import functools

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import common, dispatch, istio
from ansible_collections.openmlops.platform.tests.unit.access.gateways import CATALOGUES, PATHS, UPSTREAM, closed, entry, settings, specs

HOME = "istio-ingress"
LABELS = {"istio": "openmlops"}
DEFINITIONS = UPSTREAM / "istio" / "crds" / "crd-all.gen.yaml"


def made(*entries, **given_keys):
    """By kind and name, the specs of the objects for these entries."""
    return specs(settings("istio", HOME, **{"proxy_labels": LABELS, **given_keys}), entries)


def chosen(objects, host, path):
    """The route that Istio takes: the first one that matches."""
    for route in objects.get(("VirtualService", host), {"http": []})["http"]:
        for match in route["match"]:
            uri = match["uri"]
            if path == uri.get("exact") or ("prefix" in uri and path.startswith(uri["prefix"])):
                return route["name"]
    return None


def manager(objects):
    """What is merged into the HTTP connection manager."""
    return objects["EnvoyFilter", "platform"]["configPatches"][0]["patch"]["value"]["typed_config"]


def test_what_refuses_comes_before_what_opens():
    kinds = [obj["kind"] for obj in dispatch.objects([entry(), entry("hub", host="hub.example.org")], settings("istio", HOME, proxy_labels=LABELS))["routes"]]
    assert kinds == ["AuthorizationPolicy", "EnvoyFilter", "VirtualService", "VirtualService", "Gateway"]


def test_a_service_behind_a_prefix():
    objects = made(entry(namespace="ml", service="tracking", port=5000, timeout=0))
    service = objects["VirtualService", "ml.example.org"]
    assert (service["hosts"], service["gateways"], service["exportTo"]) == (["ml.example.org"], ["platform"], ["."])
    (route,) = service["http"]
    assert route["match"] == [{"uri": {"prefix": "/mlflow/"}}, {"uri": {"exact": "/mlflow"}}]
    assert route["route"] == [{"destination": {"host": "tracking.ml.svc.cluster.local", "port": {"number": 5000}}}]
    assert "timeout" not in route and route["retries"] == {"attempts": 0} and "rewrite" not in route


@pytest.mark.parametrize(("prefix", "strip", "rewrite"), [("/a/b", True, {"uri": "/"}), ("/a/b", False, None), ("", True, None)])
def test_a_prefix_is_taken_off_only_where_asked(prefix, strip, rewrite):
    (route,) = made(entry(prefix=prefix, strip_prefix=strip))["VirtualService", "ml.example.org"]["http"]
    assert route.get("rewrite") == rewrite and len(route["match"]) == (2 if prefix else 1)


@pytest.mark.parametrize(("host", "path", "name"), [
    ("ml.example.org", "/a", "a"), ("ml.example.org", "/a/", "a"), ("ml.example.org", "/ab", "root"), ("ml.example.org", "/a/b", "ab"),
    ("ml.example.org", "/a/b/x", "ab"), ("ml.example.org", "/a/bc", "a"), ("ml.example.org", "/A", "root"), ("hub.example.org", "/a", "hub"),
    ("10.201.0.2", "/a/x", "address"), ("10.201.0.2", "/", None), ("other.example.org", "/a", None),
])
def test_which_service_a_path_leads_to(host, path, name):
    objects = made(entry("root", prefix=""), entry("a", prefix="/a"), entry("ab", prefix="/a/b"),
                   entry("hub", prefix="", host="hub.example.org"), entry("address", prefix="/a", host="10.201.0.2"))
    assert chosen(objects, host, path) == name


def test_timeouts():
    (route,) = made(entry(timeout=2))["VirtualService", "ml.example.org"]["http"]
    assert route["timeout"] == "2s"


def test_what_nobody_may_enter_has_no_route():
    assert not [name for kind, name in made(entry("admin", allow="nobody")) if kind == "VirtualService"]


def test_with_tls_the_plain_port_only_redirects_and_nobody_looks_at_the_session():
    objects = made(entry(), options={"tls_min_version": "1.3"})
    plain, secure = objects["Gateway", "platform"]["servers"]
    assert plain["port"]["number"] == 80 and plain["tls"] == {"httpsRedirect": True}
    assert secure["tls"] == {"mode": "SIMPLE", "credentialName": "platform-tls", "minProtocolVersion": "TLSV1_3"}
    assert objects["AuthorizationPolicy", "platform"]["rules"] == [{"to": [{"operation": {"notPorts": ["80"]}}]}]


def test_without_tls_everything_is_decided():
    objects = made(entry(), tls_secret="")
    (plain,) = objects["Gateway", "platform"]["servers"]
    assert "tls" not in plain
    assert objects["AuthorizationPolicy", "platform"]["rules"] == [{}]


def test_only_this_namespace_may_attach_and_only_these_pods_serve():
    objects = made(entry())
    assert all(server["hosts"] == ["./*"] for server in objects["Gateway", "platform"]["servers"])
    assert objects["Gateway", "platform"]["selector"] == LABELS
    assert objects["AuthorizationPolicy", "platform"]["selector"] == {"matchLabels": LABELS}
    assert objects["EnvoyFilter", "platform"]["workloadSelector"] == {"labels": LABELS}


def test_the_decision_is_another_ones():
    policy = made(entry())["AuthorizationPolicy", "platform"]
    assert policy["action"] == "CUSTOM" and policy["provider"] == {"name": istio.PROVIDER}


def test_a_client_cannot_say_who_it_is():
    config = manager(made(entry()))
    (early,) = config["early_header_mutation_extensions"]
    mutations = early["typed_config"]["mutations"]
    names = {one["remove"] for one in mutations if "remove" in one}
    prefixes = tuple(one["remove_on_match"]["key_matcher"]["prefix"] for one in mutations if "remove_on_match" in one)
    for header in (*common.FORBIDDEN, *common.CLIENT_ADDRESS, *common.IDENTITY, "x-original-url", "x-envoy-original-path"):
        assert header in names or header.startswith(prefixes), header
    assert config["path_with_escaped_slashes_action"] == "REJECT_REQUEST" and config["merge_slashes"] and config["normalize_path"]
    assert config["common_http_protocol_options"]["headers_with_underscores_action"] == "DROP_HEADER"
    believed = manager(made(entry(), options={"trusted_hops": 1}))["early_header_mutation_extensions"][0]["typed_config"]["mutations"]
    assert not {one.get("remove") for one in believed} & set(common.CLIENT_ADDRESS)


def test_idle_timeouts_of_single_routes():
    patches = made(entry(), entry("hub", prefix="/hub", idle_timeout=5))["EnvoyFilter", "platform"]["configPatches"]
    (own,) = patches[1:]
    assert own["match"]["routeConfiguration"]["vhost"]["route"]["name"] == "hub"
    assert own["patch"]["value"] == {"route": {"idle_timeout": "5s"}}


@runs(deadline=None)
@given(CATALOGUES, st.booleans(), PATHS)
def test_each_path_leads_to_the_longest_prefix_of_whole_segments(entries, tls, path):
    unique = {(one["host"], one["prefix"]): one for one in entries}.values()
    objects = made(*unique, tls_secret="platform-tls" if tls else "")
    open_ones = [one for one in unique if one["allow"] != "nobody"]
    for host in {one["host"] for one in unique}:
        for asked in {path, *(one["prefix"] + path for one in unique)}:
            expected = [one for one in open_ones if one["host"] == host and (asked + "/").startswith(one["prefix"] + "/")]
            assert chosen(objects, host, asked) == max(expected, key=lambda one: len(one["prefix"]), default={"name": None})["name"]


@functools.cache
def schema(api_version, kind):
    """The schema of a kind, closed: a field that it does not have is an error, as with the API server."""
    group, _slash, version = api_version.partition("/")
    for found in yaml.load_all(DEFINITIONS.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
        if found and (found["spec"]["group"], found["spec"]["names"]["kind"]) == (group, kind):
            (served,) = [one for one in found["spec"]["versions"] if one["name"] == version and one["served"]]
            whole = served["schema"]["openAPIV3Schema"]
            whole["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}  # these stand in no definition of Istio's
            return closed(whole)
    raise AssertionError(f"no definition of {kind}.{group}")


@pytest.mark.parametrize("tls", ["platform-tls", ""])
def test_the_definitions_take_them(tls):
    if not DEFINITIONS.is_file():
        pytest.skip(f"no file {DEFINITIONS}")
    entries = [entry(), entry("kratos", strip_prefix=True, prefix="/.ory/kratos/public", idle_timeout=60), entry("hub", host="10.201.0.2", timeout=0)]
    for obj in dispatch.objects(entries, settings("istio", HOME, proxy_labels=LABELS, tls_secret=tls))["routes"]:
        jsonschema.validate(obj, schema(obj["apiVersion"], obj["kind"]))


def test_a_thousand_services_are_quick():
    objects = made(*[entry(f"s{number}", prefix=f"/s{number}") for number in range(1000)])
    assert len(objects["VirtualService", "ml.example.org"]["http"]) == 1000


def test_routes_of_models_come_before_the_list_of_models():
    objects = made(entry("models", prefix="/models"), entry("hub", prefix="/hub"), shared_namespaces=["models"], shared_prefixes=["/models"])
    assert chosen(objects, "ml.example.org", "/models/") == chosen(objects, "ml.example.org", "/models") == "models"
    # Istio leaves the order of several VirtualServices open, so this one must not match what leads to a model.
    assert chosen(objects, "ml.example.org", "/models/models/wine/v2") is None
    assert chosen(objects, "ml.example.org", "/hub/x") == "hub"
    assert all(server["hosts"] == ["./*", "models/*"] for server in objects["Gateway", "platform"]["servers"])
