# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import ApplyError, apply_objects, delete_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Ref
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Conflict, Forbidden, KubeError
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

CONFIG = manifest("ConfigMap", "c", "ml", data={"a": "1"})
SECRET = manifest("Secret", "s", "ml", stringData={"password": "s3cret"})


def actions(outcomes):
    return [(str(outcome.ref), outcome.action) for outcome in outcomes]


def test_created_unchanged_updated(cluster):
    assert actions(apply_objects(cluster, [CONFIG])) == [("ConfigMap ml/c", "created")]
    assert actions(apply_objects(cluster, [CONFIG])) == [("ConfigMap ml/c", "unchanged")]
    (outcome,) = apply_objects(cluster, [{**CONFIG, "data": {"a": "2"}}])
    assert outcome.action == "updated" and outcome.changed
    assert "a: '1'" in outcome.diff["before"] and "a: '2'" in outcome.diff["after"]


def test_fields_of_others_stay_and_ours_go(cluster):
    apply_objects(cluster, [{**CONFIG, "data": {"a": "1", "b": "2"}}])
    cluster.patch_merge(CONFIG, {"data": {"theirs": "3"}})
    apply_objects(cluster, [CONFIG])
    assert cluster.find("ConfigMap", "c", "ml")["data"] == {"a": "1", "theirs": "3"}


def test_order(cluster):
    apply_objects(cluster, [manifest("Deployment", "d", "new"), manifest("Secret", "s", "new"), manifest("Namespace", "new")])
    assert [kind for verb, kind, _name in cluster.requests if verb == "apply"] == ["Namespace", "Secret", "Deployment"]


def test_delete_in_the_reverse_order(cluster):
    objects = [manifest("Namespace", "new"), manifest("Secret", "s", "new"), manifest("Deployment", "d", "new")]
    apply_objects(cluster, objects)
    outcomes = delete_objects(cluster, objects)
    assert [kind for verb, kind, _name in cluster.requests if verb == "delete"] == ["Deployment", "Secret", "Namespace"]
    assert {outcome.action for outcome in outcomes} == {"deleted"}
    assert {outcome.action for outcome in delete_objects(cluster, objects)} == {"unchanged"}


def test_every_refusal_is_named(cluster):
    def refuse(verb, obj):
        if verb == "apply" and obj["metadata"]["name"] in ("one", "two"):
            raise Forbidden(403, "Forbidden", f"no right to {obj['metadata']['name']}")

    cluster.before = refuse
    with pytest.raises(ApplyError) as error:
        apply_objects(cluster, [manifest("ConfigMap", name, "ml") for name in ("one", "fine", "two")])
    assert "ConfigMap ml/one: no right to one" in str(error.value) and "ConfigMap ml/two: no right to two" in str(error.value)
    assert cluster.find("ConfigMap", "fine", "ml")


def test_malformed_objects_are_refused_before_anything_is_sent(cluster):
    with pytest.raises(ApplyError, match="ConfigMap x: missing .*apiVersion"):
        apply_objects(cluster, [CONFIG, {"kind": "ConfigMap", "metadata": {"name": "x"}}])
    assert not cluster.requests


def test_values_of_secrets_are_in_no_diff(cluster):
    told = json.dumps([outcome.diff for outcome in (
        *apply_objects(cluster, [SECRET], check=True), *apply_objects(cluster, [SECRET]),
        *apply_objects(cluster, [{**SECRET, "stringData": {"password": "s3cret2"}}]), *delete_objects(cluster, [SECRET]))])
    assert "s3cret" not in told and "czNjcmV0" not in told and "changed" in told


@pytest.mark.parametrize("fields", [{"stringData": {"p": 98765432}}, {"stringData": {"p": "98765432"}}, {"data": {"p": "OTg3NjU0MzI="}}])
def test_refusal_that_shows_a_value_is_withheld(cluster, fields):
    def refuse(verb, obj):
        if verb == "apply":
            raise KubeError(500, "x", "failed: .stringData.p: expected string, got &value.valueUnstructured{Value:98765432}")

    cluster.before = refuse
    with pytest.raises(ApplyError, match="Secret ml/s") as error:
        apply_objects(cluster, [manifest("Secret", "s", "ml", **fields)])
    assert "98765432" not in str(error.value)
    with pytest.raises(ApplyError, match="expected string"):
        apply_objects(cluster, [manifest("Secret", "other", "ml", stringData={"p": "x-other"})])


# -- webhooks that are not there yet --------------------------------------------------------------------------------


def test_webhook_that_does_not_answer_yet(cluster, clock):
    def fault(verb, obj):
        if verb == "apply" and clock.now < 1020:
            raise KubeError(500, "InternalError", 'failed calling webhook "x": connection refused')

    cluster.before = fault
    assert actions(apply_objects(cluster, [CONFIG])) == [("ConfigMap ml/c", "created")]
    assert clock.now == 1020


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(KubeError(500, "x", 'failed calling webhook "x"'), 60), (KubeError(500, "x", "etcd is broken"), 0),
     (KubeError(422, "Invalid", "spec.x: webhook is no field"), 0), (Forbidden(403, "x", "a webhook denied it"), 0)],
)
def test_how_long_a_fault_is_borne(cluster, clock, error, seconds):
    def fault(verb, obj):
        if verb == "apply":
            raise error

    cluster.before = fault
    with pytest.raises(ApplyError):
        apply_objects(cluster, [CONFIG])
    assert seconds <= clock.now - 1000 <= seconds + 2


# -- jobs -----------------------------------------------------------------------------------------------------------


def test_job_whose_template_changed_is_made_anew(cluster, clock):
    job = manifest("Job", "setup", "ml", spec={"template": {"a": 1}})
    apply_objects(cluster, [job])
    first = cluster.find("Job", "setup", "ml")["metadata"]["uid"]
    changed = {**job, "spec": {"template": {"a": 2}}}
    assert actions(apply_objects(cluster, [changed], check=True)) == [("Job ml/setup", "updated")]
    assert cluster.find("Job", "setup", "ml")["metadata"]["uid"] == first
    assert actions(apply_objects(cluster, [changed])) == [("Job ml/setup", "updated")]
    live = cluster.find("Job", "setup", "ml")
    assert live["metadata"]["uid"] != first and live["spec"] == {"template": {"a": 2}}
    assert actions(apply_objects(cluster, [changed])) == [("Job ml/setup", "unchanged")]


def test_job_that_failed_is_made_anew(cluster, clock):
    job = manifest("Job", "setup", "ml", spec={"template": {"a": 1}})
    apply_objects(cluster, [job])
    first = cluster.find("Job", "setup", "ml")["metadata"]["uid"]
    cluster.patch_merge(job, {"status": {"conditions": [{"type": "Failed", "status": "True"}]}})
    assert actions(apply_objects(cluster, [job], check=True)) == [("Job ml/setup", "updated")]
    assert cluster.find("Job", "setup", "ml")["metadata"]["uid"] == first
    assert actions(apply_objects(cluster, [job])) == [("Job ml/setup", "updated")]
    assert cluster.find("Job", "setup", "ml")["metadata"]["uid"] != first
    cluster.patch_merge(job, {"status": {"conditions": [{"type": "Complete", "status": "True"}]}})
    assert actions(apply_objects(cluster, [job])) == [("Job ml/setup", "unchanged")]


def test_job_that_will_not_go(cluster, clock):
    job = manifest("Job", "setup", "ml", spec={"template": {"a": 1}}, metadata={"finalizers": ["example.org/f"]})
    apply_objects(cluster, [job])
    with pytest.raises(ApplyError, match="Job ml/setup"):
        apply_objects(cluster, [{**job, "spec": {"template": {"a": 2}}}])
    assert clock.now < 1100


# -- check mode -----------------------------------------------------------------------------------------------------


def test_check_mode_writes_nothing(cluster):
    apply_objects(cluster, [CONFIG])
    cluster.requests.clear()
    outcomes = apply_objects(cluster, [{**CONFIG, "data": {"a": "2"}}, SECRET], check=True)
    assert sorted(actions(outcomes)) == [("ConfigMap ml/c", "updated"), ("Secret ml/s", "created")]
    assert [outcome.action for outcome in delete_objects(cluster, [CONFIG], check=True)] == ["deleted"]
    assert not cluster.writes() and cluster.find("ConfigMap", "c", "ml")


def test_check_mode_with_a_namespace_and_a_kind_to_come(cluster):
    objects = [manifest("Namespace", "new"), manifest("ConfigMap", "c", "new"), manifest("Widget", "w", "ml")]
    outcomes = apply_objects(cluster, objects, check=True, assume={Ref("Namespace", "", "new")})
    assert [outcome.action for outcome in outcomes] == ["created"] * 3
    with pytest.raises(ApplyError, match='namespaces "new" not found'):
        apply_objects(cluster, objects[1:2], check=True)
    with pytest.raises(ApplyError, match="Widget ml/w"):
        apply_objects(cluster, objects[2:])


# -- deletion -------------------------------------------------------------------------------------------------------


def test_object_that_was_made_again_meanwhile_is_not_deleted(cluster):
    apply_objects(cluster, [CONFIG])

    def rival(verb, obj):
        if verb == "delete":
            cluster.put({**CONFIG, "metadata": {**CONFIG["metadata"], "uid": "another"}})

    cluster.before = rival
    with pytest.raises(ApplyError, match="ConfigMap ml/c"):
        delete_objects(cluster, [CONFIG])
    assert cluster.find("ConfigMap", "c", "ml")["metadata"]["uid"] == "another"


def test_conflict_is_named(cluster):
    def fault(verb, obj):
        raise Conflict(409, "Conflict", "modified")

    cluster.before = fault
    with pytest.raises(ApplyError, match="ConfigMap ml/c: modified"):
        apply_objects(cluster, [CONFIG])
