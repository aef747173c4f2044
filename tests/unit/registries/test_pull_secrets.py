# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which namespaces and service accounts get the pull secret."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge import plan as plans
from ansible_collections.openmlops.platform.plugins.module_utils.preflight import needs, rights
from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins, pull_secrets
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest

LOGINS = logins.parse([{"server": "registry.example.org", "username": "robot", "password_variable": "secret_word"}])
NAMED = [{"name": "platform-registries"}]


def plan(**raw):
    return plans.parse({"component": "web", "namespace": "web", **raw}, lambda entry: None, lambda name: "")


@pytest.fixture
def whole():
    """A plan with a namespace of its own, one that a Secret leads to, and one that somebody else made."""
    return plan(secrets=[{"name": "db", "namespace": "app", "data": {}}], phases={"stores": {"objects": [
        manifest("Job", "j", "jobs"), manifest("RoleBinding", "r", "elsewhere"), manifest("ServiceAccount", "a", "web"),
        manifest("ServiceAccount", "b", "web", imagePullSecrets=[{"name": "mine"}])]}})


def test_each_namespace_with_pods_gets_a_secret(whole):
    (found,) = pull_secrets.with_secrets([whole], LOGINS)
    made = [secret for secret in found.secrets if secret["name"] == "platform-registries"]
    assert [secret["namespace"] for secret in made] == ["app", "jobs", "web"]
    assert found.secrets[0]["name"] == "db"
    # It is recorded, so that status and a removal know of it.
    assert {member.namespace for member in found.record().members if member.name == "platform-registries"} == {"web", "app", "jobs"}


def test_our_service_accounts_name_it(whole):
    (found,) = pull_secrets.with_secrets([whole], LOGINS)
    accounts = {obj["metadata"]["name"]: obj["imagePullSecrets"] for obj in found.phases["stores"].objects if obj["kind"] == "ServiceAccount"}
    assert accounts == {"a": NAMED, "b": [{"name": "mine"}, *NAMED]}
    assert pull_secrets.with_secrets([found], LOGINS)[0].phases == found.phases


def test_without_registries_nothing_changes(whole):
    assert pull_secrets.with_secrets([whole], []) == [whole]


def test_the_default_account_keeps_what_it_names():
    cluster = FakeCluster("web", "other", "fresh")
    cluster.put(manifest("ServiceAccount", "default", "web"))
    cluster.put(manifest("ServiceAccount", "default", "other", imagePullSecrets=[{"name": "openshift"}]))
    planned = pull_secrets.ensure_accounts(cluster, ["web", "other", "fresh", "nowhere"], check=True)
    assert [outcome.action for outcome in planned] == ["updated", "updated"] and "imagePullSecrets" not in cluster.find(
        "ServiceAccount", "default", "web")
    first = pull_secrets.ensure_accounts(cluster, ["web", "other", "fresh"])
    assert [outcome.action for outcome in first] == ["updated", "updated", "created"]
    assert cluster.find("ServiceAccount", "default", "other")["imagePullSecrets"] == [{"name": "openshift"}, *NAMED]
    assert cluster.find("ServiceAccount", "default", "fresh")["imagePullSecrets"] == NAMED
    cluster.requests.clear()
    again = pull_secrets.ensure_accounts(cluster, ["web", "other", "fresh"])
    assert [outcome.action for outcome in again] == ["unchanged"] * 3 and not cluster.writes()


def test_preflight_asks_for_the_right_to_do_so(whole):
    wanted = needs.collect(pull_secrets.with_secrets([whole], LOGINS), {}, "openmlops")
    found = rights.needed(wanted, "openmlops", lambda version, kind: None)
    assert {right.namespace for right in found if right.resource == "serviceaccounts"} == {"web", "app", "jobs"}
    assert {right.verb for right in found if right.resource == "serviceaccounts"} == {"get", "create", "patch"}
