# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from all entries of the service catalogue, whichever components a run touches."""

from __future__ import annotations

import json

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError
from ansible_collections.openmlops.platform.plugins.module_utils.converge import routes
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import COMPONENT_LABEL, ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import Phase, Plan
from ansible_collections.openmlops.platform.plugins.module_utils.converge.refresh import REFRESHED_ANNOTATION, refresh

ACCESS = {
    "gateway": "envoy_gateway", "url": "https://ml.example.org", "hostname": "ml.example.org", "scheme": "https", "port": 443,
    "login_url": "https://ml.example.org/auth/login", "check_url": "http://keto-read.ory/relation-tuples/check",
    "oathkeeper": {"namespace": "ory", "service": "oathkeeper-api", "port": 4456}, "namespace": "openmlops", "portal_namespace": "portal",
}
GATEWAY = {
    "gateway_namespace": "envoy-gateway", "proxy_namespace": "envoy-gateway", "proxy_labels": {"a": "proxy"}, "tls_secret": "platform-tls",
    "options": {},
}


def service(name, **more):
    return {"name": name, "prefix": f"/{name}/", "service": name, "namespace": name, "port": 80, "allow": "authenticated", **more}


def plan(component, about=None, **catalogue):
    return Plan(component, component, about or {}, (), {}, catalogue)


def rules(plans):
    """Returns the ids of Oathkeeper's rules that the plans hold."""
    found = [obj for entry in plans for obj in entry.phases.get("preparation", Phase()).objects if obj["metadata"]["name"] == routes.RULES]
    return [rule["id"] for rule in json.loads(found[0]["data"]["access-rules.json"])] if found else None


WAY_IN = [plan("access", access=ACCESS), plan("envoy_gateway", gateway=GATEWAY)]


def test_nothing_without_a_way_in():
    wanted = [plan("mlflow", services=[service("mlflow")])]
    assert routes.derived(wanted, {}) == wanted


def test_everything_of_one_run():
    found = routes.derived([plan("mlflow", services=[service("mlflow")]), *WAY_IN], {})
    assert rules(found) == ["service:mlflow"]
    access = next(entry for entry in found if entry.component == "access")
    objects = [obj for phase in access.phases.values() for obj in phase.objects]
    assert all(obj["metadata"]["labels"][COMPONENT_LABEL] == "access" for obj in objects)
    catalogues = {str(ref(obj)): json.loads(obj["data"]["catalogue.json"]) for obj in objects if obj["metadata"]["name"] == routes.CATALOGUE}
    assert set(catalogues) == {"ConfigMap openmlops/service-catalogue", "ConfigMap portal/service-catalogue"}
    assert all(entry["url"] == ACCESS["url"] and [one["name"] for one in entry["services"]] == ["mlflow"] for entry in catalogues.values())
    assert "routes" in access.phases


@pytest.mark.parametrize(("groups", "allow", "right"), [
    ([], ["typo"], True), (["team"], ["team"], True), (["team"], "authenticated", True), (["team"], ["team", "typo"], False),
])
def test_a_group_that_the_inventory_does_not_name_is_refused_when_it_names_any(groups, allow, right):
    plans = [plan("mlflow", services=[service("mlflow", allow=allow)]), plan("access", access={**ACCESS, "groups": groups}), WAY_IN[1]]
    if right:
        assert rules(routes.derived(plans, {})) == ["service:mlflow"]
    else:
        with pytest.raises(AccessError, match="service 'mlflow': allow: platform_groups has no typo"):
            routes.derived(plans, {})


def test_one_role_alone_derives_the_same_whole():
    plans = [plan("mlflow", services=[service("mlflow")]), plan("hub", services=[service("hub")]), *WAY_IN]
    whole = routes.derived(plans, {})
    known = {entry.component: entry.record() for entry in plans}
    alone = routes.derived([plans[1]], known)
    assert {entry.component for entry in alone} == {"hub", "access"}
    assert alone[-1].phases == whole[-1].phases


def test_the_plan_stands_for_the_component_and_not_its_record():
    known = {entry.component: entry.record() for entry in [plan("mlflow", services=[service("old")]), *WAY_IN]}
    assert rules(routes.derived([plan("mlflow", services=[service("new")])], known)) == ["service:new"]


def test_no_way_to_what_was_removed():
    known = {entry.component: entry.record() for entry in [
        plan("mlflow", {"removed": True}, services=[service("mlflow")]), plan("hub", services=[service("hub")]), *WAY_IN]}
    assert rules(routes.derived([], known)) == ["service:hub"]


def test_services_of_the_user_are_among_them():
    access = plan("access", access={**ACCESS, "services": [service("own")]})
    assert rules(routes.derived([access, WAY_IN[1]], {})) == ["service:own"]


def test_contradictions_are_told():
    twice = [plan("mlflow", services=[service("a", prefix="/x/")]), plan("hub", services=[service("b", prefix="/x/")]), *WAY_IN]
    with pytest.raises(AccessError, match="'b'.*'a'|'a'.*'b'"):
        routes.derived(twice, {})


def test_refresh_touches_those_who_read(cluster):
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ory"}})
    for name, labels in {"reader": {"a": "b"}, "other": {}}.items():
        cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ory", "labels": labels}})
    config = {
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "1"},
        "metadata": {"name": "c", "namespace": "ory", "annotations": {"openmlops.io/refresh": '{"namespace": "ory", "selector": "a=b"}'}},
    }
    assert refresh(cluster, config) == 1
    marks = [(cluster.get("v1", "Pod", name, "ory")["metadata"].get("annotations") or {}).get(REFRESHED_ANNOTATION)
             for name in ("reader", "other")]
    assert marks[0] and marks[1] is None
    assert refresh(cluster, {**config, "metadata": {"name": "c", "namespace": "ory"}}) == 0


def test_ways_that_people_make_themselves():
    """The gateway takes them from there, in a run of that component alone and in one of another."""
    shared = {"namespaces": ["models", "team-a"], "prefix": "/models/"}
    models = plan("models", services=[service("models")], shared=shared)

    def namespaces(plans):
        (gateway,) = [obj for entry in plans for obj in entry.phases.get("routes", Phase()).objects if obj["kind"] == "Gateway"]
        return gateway["spec"]["listeners"][1]["allowedRoutes"]["namespaces"]

    wanted = routes.derived([*WAY_IN, models], {})
    assert namespaces(wanted)["selector"]["matchExpressions"][0]["values"] == ["envoy-gateway", "models", "team-a"]
    known = {entry.component: entry.record() for entry in [*WAY_IN, models]}
    assert namespaces(routes.derived([plan("mlflow", services=[service("mlflow")])], known)) == namespaces(wanted)
    assert namespaces(routes.derived(WAY_IN, {})) == {"from": "Same"}
