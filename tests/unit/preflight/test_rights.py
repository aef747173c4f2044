# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights are asked for, which are missing, and what gives them."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.preflight import asking, rights
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.rights import Right
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest


def test_an_administrator_is_asked_once(judge, wants):
    told, missing = asking.about_rights(judge, wants(manifest("ConfigMap", "c", "ml"), manifest("ClusterRole", "r")), "openmlops")
    assert len(judge.asked) == 1 and not missing
    assert [entry.level for entry in told] == ["ok"]
    assert not judge.writes()


def test_what_is_needed():
    def resource(api_version, kind):
        return None if kind == "Widget" else (api_version.rpartition("/")[0], kind.lower() + "s", kind != "ClusterRole")

    from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs

    wanted = Needs((manifest("Deployment", "d", "ml"), manifest("ClusterRole", "r"), manifest("Widget", "w", "ml")), namespaces=("ml",),
                   definitions=("widgets.example.org",))
    found = rights.needed(wanted, "openmlops", resource)
    assert Right("apps", "deployments", "ml", "patch") in found
    assert Right("rbac.authorization.k8s.io", "clusterroles", "", "create") in found
    assert Right("apiextensions.k8s.io", "customresourcedefinitions", "", "list") in found
    assert Right("coordination.k8s.io", "leases", "openmlops", "patch") in found
    assert Right("", "pods/log", "ml", "get") in found
    assert not any(right.resource == "widgets" for right in found)


@pytest.mark.parametrize(
    ("may", "missing"),
    [
        # Somebody with one namespace: what concerns the whole cluster is missing, and nothing else.
        (lambda a: a["namespace"] in ("ml", "openmlops"), {("clusterroles", "")}),
        # Somebody who reads everything.
        (lambda a: a["verb"] in ("get", "list"), {("clusterroles", ""), ("configmaps", "ml"), ("configmaps", "openmlops"),
                                                  ("secrets", "ml"), ("secrets", "openmlops"), ("leases", "openmlops")}),
        # A right in the whole cluster is not asked for in each namespace.
        (lambda a: (a["namespace"] == "" and a["group"] == "") or a["resource"] == "leases",
         {("clusterroles", ""), ("replicasets", "ml"), ("replicasets", "openmlops")}),
    ],
)
def test_what_is_missing(judge, wants, may, missing):
    judge.may = lambda a: a["resource"] != "*" and may(a)
    wanted = wants(manifest("ConfigMap", "c", "ml"), manifest("ClusterRole", "r"), namespaces=("ml", "openmlops"))
    told, found = asking.about_rights(judge, wanted, "openmlops")
    assert {(right.resource, right.namespace) for right in found} == missing
    assert {entry.level for entry in told} == {"error"} and all("platform_preflight_rights_file" in entry.cure for entry in told)


def test_causes_are_grouped():
    missing = {Right("", name, "ml", verb) for name in ("secrets", "configmaps") for verb in ("create", "patch")} | {
        Right("rbac.authorization.k8s.io", "clusterroles", "", "get")}
    wide, narrow = rights.findings(missing, 40)
    assert wide.cause == "the account may not get clusterroles.rbac.authorization.k8s.io in the whole cluster"
    assert narrow.cause == "the account may not create, patch configmaps, secrets in namespace ml"


def test_roles_give_what_is_missing():
    missing = {Right("", "secrets", "ml", "create"), Right("", "secrets", "ml", "get"), Right("", "pods", "ml", "get"),
               Right("apps", "deployments", "", "patch")}
    found = rights.roles(missing, {"username": "system:serviceaccount:ci:installer"})
    assert [obj["kind"] for obj in found] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]
    assert found[0]["rules"] == [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}]
    assert found[2]["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
                                 {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"]}]
    assert found[3]["metadata"]["namespace"] == "ml"
    assert found[3]["subjects"] == [{"kind": "ServiceAccount", "name": "installer", "namespace": "ci"}]
    assert rights.roles(missing, {"username": "ann@example.org"})[1]["subjects"][0]["kind"] == "User"
    assert rights.roles(missing, {})[1]["subjects"][0]["name"] == "FILL-IN"


def test_constraints_of_openshift(judge, wants):
    needs = wants(manifest("Deployment", "d", "ml"), manifest("StatefulSet", "s", "db"), manifest("ConfigMap", "c", "other"))
    assert asking.about_constraints(judge, needs) == []
    judge.openshift = True
    assert [entry.level for entry in asking.about_constraints(judge, needs)] == ["ok"]
    judge.may = lambda attributes: attributes["namespace"] == "db"
    (found,) = asking.about_constraints(judge, needs)
    assert found.level == "error" and found.cure.endswith("oc adm policy add-scc-to-group nonroot-v2 system:serviceaccounts:ml")
    assert "system:serviceaccounts:ml" in judge.asked[-1]["groups"]
