# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights are asked for, which are missing, and what gives them."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.preflight import asking, rights
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.rights import Right
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest


def test_an_administrator_is_asked_once(judge, wants):
    told, needed = asking.about_rights(judge, wants(manifest("ConfigMap", "c", "ml"), manifest("ClusterRole", "r")), "openmlops")
    assert len(judge.asked) == 1 and Right("", "configmaps", "ml", "patch") in needed
    assert [entry.level for entry in told] == ["ok"]
    assert not judge.writes()


def served(api_version, kind):
    return None if kind == "Widget" else (api_version.rpartition("/")[0], kind.lower() + "s", kind not in ("ClusterRole", "ClusterRoleBinding"))


def test_what_is_needed():
    wanted = Needs((manifest("Deployment", "d", "ml"), manifest("ClusterRole", "r"), manifest("Widget", "w", "ml")), namespaces=("ml",),
                   definitions=("widgets.example.org",), accounts=("ml",))
    found = rights.needed(wanted, "openmlops", served)
    assert Right("apps", "deployments", "ml", "patch") in found
    assert Right("rbac.authorization.k8s.io", "clusterroles", "", "create") in found
    assert Right("apiextensions.k8s.io", "customresourcedefinitions", "", "list") in found
    # The lock and Secrets are replaced, which is another verb than patch.
    assert {Right("coordination.k8s.io", "leases", "openmlops", "update"), Right("", "secrets", "ml", "update")} <= found
    assert Right("", "pods/log", "ml", "get") in found and Right("", "pods", "ml", "delete") in found
    # Where the account default is not there yet, it is made.
    assert {right.verb for right in found if right.resource == "serviceaccounts"} == {"get", "create", "patch"}
    assert not any(right.resource in ("widgets", "pods/portforward", "services/proxy") for right in found)


def test_what_components_do_beside_their_objects():
    found = rights.needed(Needs(components=(("ory", "people"), ("backup", "safe"))), "openmlops", served)
    assert {Right("", "pods/portforward", space, verb) for space in ("people", "safe") for verb in ("get", "create")} <= found
    assert {Right("", "services/proxy", "people", verb) for verb in ("get", "create", "update", "patch", "delete")} <= found
    assert {Right("batch", "jobs", "safe", "create"), Right("", "pods", "safe", "create")} <= found


def test_what_is_given_to_others_must_be_had():
    role = manifest("Role", "r", "ml", api_version="rbac.authorization.k8s.io/v1", rules=[
        {"apiGroups": ["example.org"], "resources": ["widgets", "widgets/status"], "verbs": ["watch", "use"], "resourceNames": ["one"]}])
    wide = manifest("ClusterRole", "w", rules=[{"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
                                               {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}])
    gathered = manifest("ClusterRole", "g", aggregationRule={"clusterRoleSelectors": []})
    bindings = [manifest("RoleBinding", name, "ml", api_version="rbac.authorization.k8s.io/v1", roleRef={"kind": kind, "name": of})
                for name, kind, of in [("own", "Role", "r"), ("own-wide", "ClusterRole", "w"), ("other", "ClusterRole", "view")]]
    found = rights.needed(Needs((role, wide, gathered, *bindings)), "openmlops", served)
    assert {Right("example.org", "widgets/status", "ml", "use", "one"), Right("", "/metrics", "", "get"), Right("", "nodes", "", "list")} <= found
    bound = {right for right in found if right.verb in ("bind", "escalate")}
    assert bound == {Right("rbac.authorization.k8s.io", "clusterroles", "ml", "bind", "view"),
                     Right("rbac.authorization.k8s.io", "clusterroles", "", "escalate", "g")}
    rules = {obj["kind"]: obj["rules"] for obj in rights.roles(found, {}) if "rules" in obj and obj["metadata"].get("namespace") != "openmlops"}
    assert {"nonResourceURLs": ["/metrics"], "verbs": ["get"]} in rules["ClusterRole"]
    assert {"apiGroups": ["example.org"], "resources": ["widgets", "widgets/status"], "resourceNames": ["one"],
            "verbs": ["watch", "use"]} in rules["Role"]


def test_names_and_paths_are_asked_for(judge):
    judge.may = lambda attributes: False
    rights.lacking(judge, {Right("", "/metrics", "", "get"), Right("apps", "deployments/scale", "ml", "get", "one")})
    assert {"path": "/metrics", "verb": "get"} in judge.asked
    assert {"group": "apps", "resource": "deployments", "subresource": "scale", "name": "one", "verb": "get", "namespace": "ml"} in judge.asked


def test_hooks_of_charts_are_watched():
    job = manifest("Job", "h", "ml", metadata={"annotations": {"helm.sh/hook": "pre-install"}})
    found = rights.needed(Needs((job, manifest("Deployment", "d", "ml"))), "openmlops", served)
    assert Right("batch", "jobs", "ml", "watch") in found and Right("apps", "deployments", "ml", "watch") not in found


def test_kinds_that_come_with_the_platform_are_asked_for(judge, wants):
    widget = manifest("Widget", "w")  # of a chart, so that it lies in the release's namespace
    needs = wants(widget, defined={("example.org", "Widget"): ("widgets", True)}, release_of={("Widget", "", "w"): "ml/r"},
                  offspring=({"api_version": "example.org/v1", "kind": "Widget", "namespace": "", "finalizer": "x"},))
    judge.may = lambda attributes: False
    told, needed = asking.about_rights(judge, needs, "openmlops")
    assert {(right.namespace, right.verb) for right in needed if right.resource == "widgets"} == {
        *(("ml", verb) for verb in ("get", "create", "patch", "delete")), *(("", verb) for verb in ("get", "list", "patch", "delete"))}
    assert not any("not asked for" in entry.cause for entry in told)


@pytest.mark.parametrize(
    ("may", "missing"),
    [
        # Somebody with one namespace: what concerns the whole cluster is missing, and nothing else.
        (lambda a: a["namespace"] in ("ml", "openmlops"), {("clusterroles", "")}),
        # Somebody who reads everything.
        (lambda a: a["verb"] in ("get", "list"), {
            ("clusterroles", ""), ("configmaps", "ml"), ("configmaps", "openmlops"), ("leases", "openmlops"),
            *((name, space) for name in ("secrets", "pods") for space in ("ml", "openmlops"))}),
        # A right in the whole cluster is not asked for in each namespace.
        (lambda a: (a["namespace"] == "" and a["group"] == "") or a["resource"] == "leases",
         {("clusterroles", ""), ("replicasets", "ml"), ("replicasets", "openmlops")}),
    ],
)
def test_what_is_missing(judge, wants, may, missing):
    judge.may = lambda a: a["resource"] != "*" and may(a)
    wanted = wants(manifest("ConfigMap", "c", "ml"), manifest("ClusterRole", "r"), namespaces=("ml", "openmlops"))
    told, needed = asking.about_rights(judge, wanted, "openmlops")
    assert {(right.resource, right.namespace) for right in rights.lacking(judge, needed)} == missing
    assert {entry.level for entry in told} == {"error"} and all("platform_preflight_rights_file" in entry.cure for entry in told)


def test_causes_are_grouped():
    missing = {Right("", name, "ml", verb) for name in ("secrets", "configmaps") for verb in ("create", "patch")} | {
        Right("rbac.authorization.k8s.io", "clusterroles", "", "get")}
    wide, narrow = rights.findings(missing, 40)
    assert wide.cause == "the account may not get clusterroles.rbac.authorization.k8s.io in the whole cluster"
    assert narrow.cause == "the account may not create, patch configmaps, secrets in namespace ml"


def test_roles():
    wanted = {Right("", "secrets", "ml", "create"), Right("", "secrets", "ml", "get"), Right("", "pods", "ml", "get"),
              Right("apps", "deployments", "", "patch")}
    found = rights.roles(wanted, {"username": "system:serviceaccount:ci:installer"})
    assert [obj["kind"] for obj in found] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    assert found[0]["rules"] == [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}]
    assert found[2]["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                                 {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"]}]
    assert found[3]["metadata"]["namespace"] == "ml"
    assert found[3]["subjects"] == [{"kind": "ServiceAccount", "name": "installer", "namespace": "ci"}]
    assert rights.roles(wanted, {"username": "ann@example.org"})[1]["subjects"][0]["kind"] == "User"
    assert rights.roles(wanted, {})[1]["subjects"][0]["name"] == "FILL-IN"


def test_constraints_of_openshift(judge, wants):
    needs = wants(manifest("Deployment", "d", "ml"), manifest("StatefulSet", "s", "db"), manifest("ConfigMap", "c", "other"))
    assert asking.about_constraints(judge, needs) == []
    judge.openshift = True
    assert [entry.level for entry in asking.about_constraints(judge, needs)] == ["ok"]
    judge.may = lambda attributes: attributes["namespace"] == "db"
    (found,) = asking.about_constraints(judge, needs)
    assert found.level == "error" and found.cure.endswith("oc adm policy add-scc-to-group nonroot-v2 system:serviceaccounts:ml")
    assert "system:serviceaccounts:ml" in judge.asked[-1]["groups"]
