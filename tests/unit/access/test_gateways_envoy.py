# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects for Envoy Gateway: what they are, and that the definitions of their kinds take them."""

from __future__ import annotations

import functools

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import common, dispatch, envoy_gateway
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError
from ansible_collections.openmlops.platform.tests.unit.access.gateways import CATALOGUES, UPSTREAM, closed, entry, settings

HOME = "envoy-gateway"
DEFINITIONS = UPSTREAM / "gateway"


def made(*entries, **given_keys):
    """By kind and name (with the namespace where it is not the gateway's), the objects for these entries."""
    found = dispatch.objects(list(entries), settings("envoy_gateway", HOME, **given_keys))["routes"]
    result = {}
    for obj in found:
        meta = obj["metadata"]
        away = "" if meta["namespace"] == HOME else f"{meta['namespace']}/"
        result[obj["kind"], f"{away}{meta['name']}"] = obj
    assert len(result) == len(found)
    return result


def test_a_gateway_must_be_known():
    assert dispatch.objects([entry()], settings("none", HOME)) == {"routes": []}
    assert dispatch.objects([entry()], settings("envoy_gateway", "")) == {"routes": []}
    with pytest.raises(AccessError, match="no gateway 'traefik'.*none, .*envoy_gateway"):
        dispatch.objects([entry()], settings("traefik", HOME))


def test_what_refuses_comes_before_what_opens():
    kinds = [obj["kind"] for obj in dispatch.objects([entry(), entry("kratos", idle_timeout=60)], settings("envoy_gateway", HOME))["routes"]]
    assert kinds == [
        "ReferenceGrant", "ReferenceGrant", "ReferenceGrant", "SecurityPolicy", "ClientTrafficPolicy", "BackendTrafficPolicy",
        "BackendTrafficPolicy", "Gateway", "HTTPRoute", "HTTPRoute", "HTTPRoute",
    ]


def test_a_service_behind_a_prefix():
    route = made(entry(namespace="ml", service="tracking", port=5000))["HTTPRoute", "mlflow"]
    assert route["metadata"]["namespace"] == HOME
    assert route["spec"]["hostnames"] == ["ml.example.org"]
    assert [parent["sectionName"] for parent in route["spec"]["parentRefs"]] == ["https"]
    (rule,) = route["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/mlflow"}}]
    assert (rule["backendRefs"][0]["namespace"], rule["backendRefs"][0]["name"], rule["backendRefs"][0]["port"]) == ("ml", "tracking", 5000)
    assert rule["timeouts"] == {"request": "5m"} and "filters" not in rule


def test_the_root_has_a_prefix_of_its_own():
    objects = made(entry(prefix="", strip_prefix=True))
    (rule,) = objects["HTTPRoute", "mlflow"]["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}] and "filters" not in rule


def test_a_prefix_is_taken_off():
    (rule,) = made(entry("kratos", prefix="/.ory/kratos/public", strip_prefix=True))["HTTPRoute", "kratos"]["spec"]["rules"]
    assert rule["filters"] == [{
        "type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }]


def test_an_address_is_no_name():
    route = made(entry(host="10.201.0.2"))["HTTPRoute", "mlflow"]
    assert "hostnames" not in route["spec"]
    assert all("hostname" not in listener for listener in made(entry())["Gateway", "platform"]["spec"]["listeners"])


def test_what_nobody_may_enter_has_no_route():
    assert ("HTTPRoute", "admin") not in made(entry(), entry("admin", prefix="/mlflow/admin", allow="nobody"))


@pytest.mark.parametrize(("seconds", "written"), [
    (0, "0s"), (5, "5s"), (60, "1m"), (300, "5m"), (3600, "1h"), (3661, "1h1m1s"), (10_000_000, "2777h46m40s"),
])
def test_timeouts(seconds, written):
    objects = made(entry(timeout=seconds, idle_timeout=seconds))
    assert objects["HTTPRoute", "mlflow"]["spec"]["rules"][0]["timeouts"]["request"] == written
    if seconds == envoy_gateway.IDLE_TIMEOUT:
        assert ("BackendTrafficPolicy", "mlflow") not in objects
    else:
        own = objects["BackendTrafficPolicy", "mlflow"]["spec"]
        assert own["timeout"]["http"]["streamIdleTimeout"] == written
        assert own["targetRefs"] == [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "mlflow"}]


def test_with_tls_the_plain_listener_only_redirects():
    objects = made(entry(), port=8443)
    assert [listener["name"] for listener in objects["Gateway", "platform"]["spec"]["listeners"]] == ["http", "https"]
    redirect = objects["HTTPRoute", "platform.https"]["spec"]
    assert [parent["sectionName"] for parent in redirect["parentRefs"]] == ["http"]
    assert "backendRefs" not in redirect["rules"][0]
    assert redirect["rules"][0]["filters"][0]["requestRedirect"] == {"scheme": "https", "port": 8443, "statusCode": 301}
    assert objects["SecurityPolicy", "platform"]["spec"]["targetRefs"][0]["sectionName"] == "https"
    plain = [obj for obj in objects.values() if obj["kind"] == "HTTPRoute"
             and any(parent["sectionName"] == "http" for parent in obj["spec"]["parentRefs"])]
    assert plain == [objects["HTTPRoute", "platform.https"]]


def test_without_tls_the_whole_gateway_asks():
    objects = made(entry(), tls_secret="")
    assert [listener["name"] for listener in objects["Gateway", "platform"]["spec"]["listeners"]] == ["http"]
    assert ("HTTPRoute", "platform.https") not in objects
    assert "sectionName" not in objects["SecurityPolicy", "platform"]["spec"]["targetRefs"][0]
    assert [parent["sectionName"] for parent in objects["HTTPRoute", "mlflow"]["spec"]["parentRefs"]] == ["http"]


def test_the_decision_is_closed_and_sees_no_other_request():
    ext = made(entry())["SecurityPolicy", "platform"]["spec"]["extAuth"]
    assert ext["failOpen"] is False and ext["statusOnError"] == 503
    assert ext["http"]["path"] == "/decisions"
    seen = {name.lower() for name in ext["headersToExtAuth"]}
    assert {"cookie", "authorization", "accept"} <= seen
    assert not seen & set(common.FORBIDDEN) and not any(name.startswith(common.FORBIDDEN_PREFIXES) for name in seen)


def test_only_one_policy_decides():
    policies = [name for kind, name in made(entry(), entry("hub", idle_timeout=5)) if kind == "SecurityPolicy"]
    assert policies == ["platform"]


def test_a_client_cannot_say_who_it_is():
    spec = made(entry())["ClientTrafficPolicy", "platform"]["spec"]
    early = spec["headers"]["earlyRequestHeaders"]
    prefixes = tuple(match["value"] for match in early["removeOnMatch"])
    for header in ("x-forwarded-host", "x-forwarded-uri", "x-forwarded-method", "x-original-url", "x-user-id", "x-user-groups",
                   "x-user", "x-http-method-override", "forwarded", "x-forwarded-for"):
        assert header in early["remove"] or header.startswith(prefixes), header
    told = {name for name in common.FROM_AUTHORISER if name != "authorization"}
    assert all(name.startswith(prefixes) or name in early["remove"] for name in told)
    assert spec["path"]["escapedSlashesAction"] == "RejectRequest" and spec["path"]["disableMergeSlashes"] is False
    assert spec["headers"]["withUnderscoresAction"] != "Allow"


def test_options():
    options = {"proxy_protocol": True, "trusted_hops": 2, "tls_min_version": "1.3", "gateway_class": "own", "client_traffic": {"http3": {}}}
    objects = made(entry(), options=options)
    traffic = objects["ClientTrafficPolicy", "platform"]["spec"]
    assert traffic["proxyProtocol"] == {"optional": False}
    assert "x-forwarded-for" not in traffic["headers"]["earlyRequestHeaders"]["remove"]
    assert traffic["clientIPDetection"] == {"xForwardedFor": {"numTrustedHops": 2}}
    assert traffic["tls"]["minVersion"] == "1.3" and traffic["http3"] == {}
    gateway = objects["Gateway", "platform"]["spec"]
    assert gateway["gatewayClassName"] == "own"
    plain = made(entry())["ClientTrafficPolicy", "platform"]["spec"]
    assert "proxyProtocol" not in plain and "clientIPDetection" not in plain


def test_each_namespace_lets_in_only_what_is_declared():
    many = [entry(f"s{number:02}", namespace="team", service=f"s{number:02}") for number in range(20)]
    objects = made(*many, entry("here", namespace=HOME))
    grants = [obj for (kind, _name), obj in objects.items() if kind == "ReferenceGrant"]
    assert {grant["metadata"]["namespace"] for grant in grants} == {"team", "ory"}
    assert all(grant["spec"]["from"][0]["namespace"] == HOME for grant in grants)
    team = [to["name"] for grant in grants if grant["metadata"]["namespace"] == "team" for to in grant["spec"]["to"]]
    assert sorted(team) == [f"s{number:02}" for number in range(20)]
    assert all(1 <= len(grant["spec"]["to"]) <= 16 for grant in grants)


@runs(deadline=None)
@given(CATALOGUES, st.booleans())
def test_each_entry_has_one_route_and_every_route_is_judged(entries, tls):
    objects = made(*entries, tls_secret="platform-tls" if tls else "")
    section = "https" if tls else "http"
    routes = {name: obj for (kind, name), obj in objects.items() if kind == "HTTPRoute" and name != "platform.https"}
    assert set(routes) == {one["name"] for one in entries if one["allow"] != "nobody"}
    judged = objects["SecurityPolicy", "platform"]["spec"]["targetRefs"][0].get("sectionName", section)
    granted = {(grant["metadata"]["namespace"], to["name"]) for (kind, _n), grant in objects.items() if kind == "ReferenceGrant"
               for to in grant["spec"]["to"]}
    for route in routes.values():
        assert [parent["sectionName"] for parent in route["spec"]["parentRefs"]] == [section] == [judged]
        backend = route["spec"]["rules"][0]["backendRefs"][0]
        assert backend["namespace"] == HOME or (backend["namespace"], backend["name"]) in granted
    assert all(obj["metadata"]["namespace"] == HOME for (kind, _n), obj in objects.items() if kind != "ReferenceGrant")


@functools.cache
def schema(api_version, kind):
    """The schema of a kind from its definition, closed: a field that it does not have is an error, as with the API server."""
    group, _slash, version = api_version.partition("/")
    for path in [*DEFINITIONS.glob("gateway-api/standard/*.yaml"), *DEFINITIONS.glob("envoy-gateway/crds/*.yaml")]:
        if path.name.startswith(f"{group}_{kind.lower()}") or path.name.startswith(f"{group}_{kind.lower()[:-1]}ies"):
            found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
            if found["spec"]["names"]["kind"] == kind:
                (served,) = [v for v in found["spec"]["versions"] if v["name"] == version and v["served"]]
                return closed(served["schema"]["openAPIV3Schema"])
    raise AssertionError(f"no definition of {kind}.{group}")


@pytest.mark.parametrize("tls", ["platform-tls", ""])
@pytest.mark.parametrize("options", [{}, {"proxy_protocol": True, "trusted_hops": 1}])
def test_the_definitions_take_them(tls, options):
    if not DEFINITIONS.is_dir():
        pytest.skip(f"no folder {DEFINITIONS}")
    entries = [entry(), entry("kratos", strip_prefix=True, prefix="/.ory/kratos/public", idle_timeout=60),
               entry("hub", host="10.201.0.2", timeout=0)]
    for obj in made(*entries, tls_secret=tls, options=options).values():
        jsonschema.validate(obj, schema(obj["apiVersion"], obj["kind"]))


def test_a_thousand_services_are_quick():
    entries = [entry(f"s{number}", namespace=f"n{number % 20}") for number in range(1000)]
    assert len(made(*entries)) > 1000


@pytest.mark.parametrize("tls", ["platform-tls", ""])
def test_routes_of_models_are_taken_from_their_namespaces_by_the_listener_that_asks(tls):
    def taken(**more):
        listeners = made(entry(), tls_secret=tls, **more)["Gateway", "platform"]["spec"]["listeners"]
        return {listener["name"]: listener["allowedRoutes"]["namespaces"] for listener in listeners}

    carrying = "https" if tls else "http"
    found = taken(shared_namespaces=["models", "team-a"])
    assert found.pop(carrying) == {"from": "Selector", "selector": {"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["envoy-gateway", "models", "team-a"]}]}}
    # The plain listener of a gateway with TLS asks nobody: it takes no route of theirs.
    assert found == ({"http": {"from": "Same"}} if tls else {})
    assert set(map(str, taken().values())) == {"{'from': 'Same'}"}
