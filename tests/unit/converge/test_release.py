# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helm is started only when it has something to do, and whatever a killed run or a person left is put right."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge.helm_state import LIVE_ANNOTATION, WANTED_ANNOTATION
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError, Release, Releases
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest, revision_secret

RELEASE = Release("web", "ml", "web-chart", "digest-1", {"replicas": 1, "auth": {"password": "s3cret"}})


def render(values):
    spec = {"replicas": values["replicas"], "template": {"spec": {"containers": [{"name": "main", "image": "x:1"}]}}}
    return [
        manifest("Deployment", "web", spec=spec), manifest("Service", "web", spec={"ports": [{"name": "http", "port": 80}]}),
        manifest("Secret", "web", stringData={"password": "s3cret"}), manifest("ClusterRole", "web", rules=[{"verbs": ["get"]}]),
    ]


@pytest.fixture
def releases(cluster, helm, told, clock):
    helm.charts["web-chart"] = ("1.0.0", render)
    return Releases(cluster, helm, told.append, show=True)


@pytest.fixture
def check(cluster, helm, told, clock):
    helm.charts["web-chart"] = ("1.0.0", render)
    return Releases(cluster, helm, told.append, check=True, show=True)


def actions(outcomes):
    return [(outcome.ref.kind, outcome.action) for outcome in outcomes]


def newest(cluster, release="web"):
    found = cluster.list("v1", "Secret", "ml", label_selector=f"owner=helm,name={release}")
    return max(found, key=lambda secret: int(secret["metadata"]["labels"]["version"]), default=None)


def wanted(**changes):
    return dataclasses.replace(RELEASE, **changes)


def pending(cluster, status, age, number=1):
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age)
    cluster.put(revision_secret("web", "ml", number, status, {"config": {}, "manifest": ""}, labels={"createdAt": str(int(at.timestamp()))}))


# -- install, then nothing ------------------------------------------------------------------------------------------


def test_install_then_nothing(releases, cluster, helm, told):
    assert actions(releases.ensure(RELEASE)) == [("Release", "created")]
    notes = newest(cluster)["metadata"]["annotations"]
    assert notes[WANTED_ANNOTATION] == RELEASE.wanted_digest and notes[LIVE_ANNOTATION]
    assert told == ["release ml/web: installing web-chart"]
    helm.calls.clear(), cluster.requests.clear()
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")]
    assert not helm.calls and not cluster.writes()


@pytest.mark.parametrize("changes", [{"values": {"replicas": 2}}, {"chart_digest": "digest-2", "values": {"replicas": 1, "more": 1}}])
def test_upgrade(releases, cluster, helm, changes):
    releases.ensure(RELEASE)
    found = releases.ensure(wanted(**changes))
    assert actions(found) == [("Release", "updated")]
    assert newest(cluster)["metadata"]["labels"]["version"] == "2"
    helm.calls.clear()
    assert actions(releases.ensure(wanted(**changes))) == [("Release", "unchanged")]
    assert not helm.calls


def test_new_version_of_the_chart(releases, cluster, helm):
    releases.ensure(RELEASE)
    helm.charts["web-chart"] = ("1.1.0", render)
    assert actions(releases.ensure(wanted(chart_digest="digest-2"))) == [("Release", "updated")]


def test_release_that_failed_is_tried_again(releases, cluster, helm):
    cluster.put(revision_secret("web", "ml", 1, "failed", {"config": {}, "manifest": "", "chart": {"metadata": {"version": "1"}}},
                                annotations={WANTED_ANNOTATION: RELEASE.wanted_digest}))
    assert actions(releases.ensure(RELEASE)) == [("Release", "updated")]
    assert newest(cluster)["metadata"]["labels"]["status"] == "deployed"


def test_upgrade_by_somebody_else_is_noticed(releases, cluster, helm):
    releases.ensure(RELEASE)
    helm("helm", {"release_name": "web", "release_namespace": "ml", "chart_ref": "web-chart", "release_values": {"replicas": 7}})
    assert actions(releases.ensure(RELEASE)) == [("Release", "updated")]
    assert cluster.find("Deployment", "web", "ml")["spec"]["replicas"] == 1


def test_release_that_somebody_else_made_is_taken_over(releases, cluster, helm):
    helm("helm", {"release_name": "web", "release_namespace": "ml", "chart_ref": "web-chart", "release_values": RELEASE.values})
    releases.ensure(RELEASE)
    helm.calls.clear()
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")] and not helm.calls


# -- what a killed run left -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"])
def test_pending_revision_is_made_again(releases, cluster, told, clock, status):
    pending(cluster, status, age=120)
    assert actions(releases.ensure(RELEASE)) == [("Release", "created")]
    assert newest(cluster)["metadata"]["labels"]["status"] == "deployed"
    assert status in told[0] and "interrupted" in told[0]
    assert clock.now == 1000


def test_pending_upgrade_goes_on_from_the_last_finished_one(releases, cluster, helm):
    releases.ensure(RELEASE)
    pending(cluster, "pending-upgrade", age=120, number=2)
    assert actions(releases.ensure(wanted(values={"replicas": 3}))) == [("Release", "updated")]
    assert newest(cluster)["metadata"]["labels"]["version"] == "2"
    assert cluster.find("Deployment", "web", "ml")["spec"]["replicas"] == 3


def test_helm_that_is_still_at_work_may_finish(releases, cluster, helm, clock):
    releases.ensure(RELEASE)
    done = newest(cluster)
    cluster.patch_merge(done, {"metadata": {"labels": {"status": "pending-upgrade", "createdAt": str(
        int(datetime.datetime.now(datetime.UTC).timestamp()))}}})
    clock.tick = lambda now: now > 1005 and cluster.patch_merge(done, {"metadata": {"labels": {"status": "deployed"}}})
    helm.calls.clear()
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")]
    assert not helm.calls and 1005 < clock.now < 1010


def test_run_killed_before_the_note_starts_helm_again(releases, cluster, helm):
    releases.ensure(RELEASE)
    cluster.patch_merge(newest(cluster), {"metadata": {"annotations": None}})
    helm.calls.clear()
    releases.ensure(RELEASE)
    assert ("helm", "present") in helm.calls
    helm.calls.clear()
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")] and not helm.calls


# -- drift ----------------------------------------------------------------------------------------------------------


def test_changed_object_is_put_back_without_helm(releases, cluster, helm):
    releases.ensure(RELEASE)
    cluster.patch_merge(manifest("Deployment", "web", "ml"), {"spec": {"replicas": 9}})
    helm.calls.clear()
    assert actions(releases.ensure(RELEASE)) == [("Deployment", "updated")]
    assert cluster.find("Deployment", "web", "ml")["spec"]["replicas"] == 1
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")]
    assert not helm.calls


@pytest.mark.parametrize("kind", ["Deployment", "Service", "Secret"])
def test_removed_object_is_made_again_without_helm(releases, cluster, helm, kind):
    releases.ensure(RELEASE)
    cluster.delete(manifest(kind, "web", "ml"))
    helm.calls.clear()
    outcomes = releases.ensure(RELEASE)
    assert actions(outcomes) == [(kind, "created")]
    assert cluster.find(kind, "web", "ml")
    assert "s3cret" not in json.dumps([outcome.diff for outcome in outcomes])
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")] and not helm.calls


def test_what_others_add_is_no_drift(releases, cluster):
    releases.ensure(RELEASE)
    cluster.patch_merge(manifest("Deployment", "web", "ml"), {
        "metadata": {"annotations": {"theirs": "1"}}, "spec": {"paused": False}, "status": {"replicas": 1}})
    cluster.requests.clear()
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")] and not cluster.writes()


@pytest.mark.parametrize(
    ("obj", "patch"),
    [
        (manifest("ValidatingWebhookConfiguration", "hook", webhooks=[{"name": "a.example.org", "clientConfig": {"caBundle": "Cg=="}}]),
         {"webhooks": [{"name": "a.example.org", "clientConfig": {"caBundle": "cmVhbA=="}}]}),
        (manifest("ClusterRole", "all", rules=[], aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}),
         {"rules": [{"verbs": ["get"]}]}),
        (manifest("CustomResourceDefinition", "things.example.org", spec={"group": "example.org"}, status={"conditions": []}),
         {"status": {"conditions": [{"type": "Established", "status": "True"}]}}),
    ],
    ids=["caBundle", "aggregated rules", "status"],
)
def test_what_controllers_fill_in_is_no_drift(releases, cluster, helm, obj, patch):
    helm.charts["web-chart"] = ("1.0.0", lambda values: [obj])
    releases.ensure(RELEASE)
    cluster.patch_merge(obj, patch)
    cluster.requests.clear()
    assert actions(releases.ensure(RELEASE)) == [("Release", "unchanged")] and not cluster.writes()


def test_healing_leaves_what_controllers_filled_in(releases, cluster, helm):
    hook = manifest("ValidatingWebhookConfiguration", "hook", webhooks=[
        {"name": "a.example.org", "failurePolicy": "Fail", "clientConfig": {"caBundle": "Cg=="}}])
    helm.charts["web-chart"] = ("1.0.0", lambda values: [hook])
    releases.ensure(RELEASE)
    cluster.patch_merge(hook, {"webhooks": [{"name": "a.example.org", "failurePolicy": "Ignore", "clientConfig": {"caBundle": "cmVhbA=="}}]})
    releases.ensure(RELEASE)
    (live,) = cluster.find("ValidatingWebhookConfiguration", "hook")["webhooks"]
    assert live["failurePolicy"] == "Fail" and live["clientConfig"]["caBundle"] == "cmVhbA=="


def test_healing_keeps_helms_marks(releases, cluster):
    """Helm adds them when it applies, so the recorded manifest lacks them; without them it takes no object over."""
    releases.ensure(RELEASE)
    cluster.delete(manifest("Service", "web", "ml"))
    cluster.patch_merge(manifest("Deployment", "web", "ml"), {"spec": {"replicas": 9}})
    assert sorted(actions(releases.ensure(RELEASE))) == [("Deployment", "updated"), ("Service", "created")]
    for kind, space in [("Deployment", "ml"), ("Service", "ml"), ("ClusterRole", "")]:
        meta = cluster.find(kind, "web", space)["metadata"]
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert (meta["annotations"]["meta.helm.sh/release-name"], meta["annotations"]["meta.helm.sh/release-namespace"]) == ("web", "ml")


def test_conflicts_with_others_are_forced(cluster, helm, told, clock):
    """Helm 4 applies on the server's side, and gives up where somebody else wrote a field that the chart speaks of."""
    helm.charts["web-chart"] = ("1.0.0", render)
    forced = []

    def run_helm(module, args):
        forced.append(args.get("force_conflicts", False))
        if len(forced) > 1 and not forced[-1]:
            raise HelmError('UPGRADE FAILED: conflict occurred while applying object ml/web apps/v1, Kind=Deployment: Apply failed '
                            'with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas')
        return helm(module, args)

    releases = Releases(cluster, run_helm, told.append)
    releases.ensure(RELEASE)
    assert actions(releases.ensure(wanted(values={"replicas": 2}))) == [("Release", "updated")]
    assert forced == [False, False, True]
    assert cluster.find("Deployment", "web", "ml")["spec"]["replicas"] == 2


def test_other_failures_are_not_tried_again(cluster, helm, told):
    calls = []

    def run_helm(module, args):
        calls.append(module)
        raise HelmError("release ml/web: Error: no chart")

    with pytest.raises(HelmError, match="no chart"):
        Releases(cluster, run_helm, told.append).ensure(RELEASE)
    assert calls == ["helm"]


# -- errors ---------------------------------------------------------------------------------------------------------


def test_chart_that_changed_in_place(releases, helm):
    releases.ensure(RELEASE)
    with pytest.raises(HelmError, match=r"release ml/web: .*content.*changed.*not its version"):
        releases.ensure(wanted(chart_digest="digest-2"))


def test_same_chart_from_another_repository(releases, helm):
    first = wanted(version="1.0.0", repository="https://charts.example.org", chart_digest="web@1.0.0")
    releases.ensure(first)
    helm.charts["oci://mirror.example.org/web"] = helm.charts["web-chart"]
    second = dataclasses.replace(first, chart="oci://mirror.example.org/web", repository=None)
    assert actions(releases.ensure(second)) == [("Release", "unchanged")]


def test_same_chart_from_a_folder(releases, helm):
    """For a machine without a network: the archive of the same version as installed from the repository."""
    releases.ensure(wanted(version="1.0.0", repository="https://charts.example.org", chart_digest="web@1.0.0"))
    helm.charts["/charts/web-1.0.0.tgz"] = helm.charts["web-chart"]
    releases.ensure(wanted(chart="/charts/web-1.0.0.tgz", chart_digest="digest of the archive"))


def test_message_of_helm(releases, helm):
    helm.fails = "values don't meet the specifications of the schema"
    with pytest.raises(HelmError, match="schema"):
        releases.ensure(RELEASE)


def test_release_that_is_not_deployed_after_helm(cluster, told):
    with pytest.raises(HelmError, match="release ml/web is 'absent' after Helm ended: odd"):
        Releases(cluster, lambda module, args: {"changed": True, "stderr": "odd"}, told.append).ensure(RELEASE)


# -- check mode, diffs ----------------------------------------------------------------------------------------------


def test_check_mode_changes_nothing(releases, check, cluster, helm):
    assert actions(check.ensure(RELEASE)) == [("Release", "created")]
    assert not cluster.writes()
    releases.ensure(RELEASE)
    cluster.requests.clear()
    assert actions(check.ensure(RELEASE)) == [("Release", "unchanged")]
    assert actions(check.ensure(wanted(values={"replicas": 2}))) == [("Release", "updated")]
    cluster.patch_merge(manifest("Deployment", "web", "ml"), {"spec": {"replicas": 9}})
    cluster.requests.clear()
    assert actions(check.ensure(RELEASE)) == [("Deployment", "updated")]
    assert not cluster.writes()
    assert all(module == "helm_template" for module, _state in helm.calls[1:])


def test_check_mode_leaves_a_pending_revision(check, cluster, clock):
    pending(cluster, "pending-install", age=120)
    assert actions(check.ensure(RELEASE)) == [("Release", "updated")]
    assert newest(cluster)["metadata"]["labels"]["status"] == "pending-install" and clock.now == 1000


def test_diff_of_an_upgrade_shows_what_changes_and_no_secret(releases, check, helm):
    releases.ensure(RELEASE)
    (outcome,) = check.ensure(wanted(values={"replicas": 2, "auth": {"password": "s3cret"}}))
    assert "replicas: 1" in outcome.diff["before"] and "replicas: 2" in outcome.diff["after"]
    assert "kind: Service" not in outcome.diff["before"] + outcome.diff["after"]
    assert "s3cret" not in json.dumps(outcome.diff)


def test_diff_without_a_template_shows_the_values(releases, check, helm):
    releases.ensure(RELEASE)
    helm.fails = "no network"
    for found in (check.ensure(wanted(values={"replicas": 2, "password": "s3cret"})), check.ensure(wanted(name="new"))):
        assert "s3cret" not in json.dumps(found[0].diff)
        assert "replicas" in found[0].diff["after"]


def test_without_a_wish_for_a_diff_no_template_is_rendered(cluster, helm, told, clock):
    helm.charts["web-chart"] = ("1.0.0", render)
    plain = Releases(cluster, helm, told.append)
    plain.ensure(RELEASE)
    plain.ensure(wanted(values={"replicas": 2}))
    assert {module for module, _state in helm.calls} == {"helm"}


# -- removal, workloads ---------------------------------------------------------------------------------------------


def test_remove(releases, check, cluster, helm):
    assert releases.remove("web", "ml").action == "unchanged" and not helm.calls
    releases.ensure(RELEASE)
    cluster.requests.clear()
    assert check.remove("web", "ml").action == "deleted" and not cluster.writes()
    assert releases.remove("web", "ml").action == "deleted"
    assert newest(cluster) is None and cluster.find("Deployment", "web", "ml") is None
    assert releases.remove("web", "ml").action == "unchanged"


def test_workloads(releases):
    assert releases.workloads("web", "ml") == []
    releases.ensure(RELEASE)
    found = {(obj["kind"], obj["metadata"].get("namespace")) for obj in releases.workloads("web", "ml")}
    assert found == {("Deployment", "ml"), ("Service", "ml"), ("Secret", "ml"), ("ClusterRole", None)}


# -- drift ----------------------------------------------------------------------------------------------------------


def test_drift_of_a_release(releases, cluster):
    assert releases.drift("web", "ml") == "release ml/web is gone"
    releases.ensure(RELEASE)
    cluster.requests.clear()
    assert releases.drift("web", "ml") == "" and not cluster.writes()
    del cluster.objects["Service", "ml", "web"]
    assert releases.drift("web", "ml") == "release ml/web: Service ml/web gone"
    releases.ensure(RELEASE)
    assert releases.drift("web", "ml") == ""
    changed = cluster.find("Deployment", "web", "ml")
    changed["spec"]["replicas"] = 5
    cluster.put(changed)
    assert releases.drift("web", "ml") == "release ml/web: its objects were changed since"


def test_drift_by_another_helm(releases, cluster):
    releases.ensure(RELEASE)
    cluster.put(revision_secret("web", "ml", 2, "deployed", {"config": {}, "manifest": ""}))
    assert "revision 2 (deployed) was made by another Helm" in releases.drift("web", "ml")
    pending(cluster, "pending-upgrade", 600, 3)
    assert releases.drift("web", "ml") == "release ml/web is stuck in pending-upgrade"
    pending(cluster, "pending-upgrade", 1, 3)
    assert releases.drift("web", "ml") == ""
