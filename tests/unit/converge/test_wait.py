# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge import pods
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter, WaitError
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
WEB = manifest("Deployment", "web", "ml")
DATABASE = manifest("StatefulSet", "db", "ml")


def deployment(name="web", status=None, **meta):
    return manifest("Deployment", name, "ml", metadata={"uid": f"uid-{name}", **meta},
                    spec={"replicas": 1, "selector": {"matchLabels": {"app": name}}}, status=status or {"observedGeneration": 1})


def replica_set(name, revision, owner="uid-web", app="web"):
    return manifest("ReplicaSet", name, "ml", metadata={
        "labels": {"app": app, "pod-template-hash": name}, "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        "ownerReferences": [{"uid": owner, "kind": "Deployment", "controller": True}]})


def pod(name, *states, labels=None, **meta):
    return manifest("Pod", name, "ml", metadata={"labels": labels or {"app": "web"}, **meta}, status={
        "phase": "Running", "containerStatuses": [{"name": "main", "image": "x:1", "restartCount": 0, **state} for state in states]})


CRASHED = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}, "restartCount": 5}
CRASHING = {**CRASHED, "restartCount": 2}
STARTING = {"state": {"running": {}}}
PULLING = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}


@pytest.fixture
def waiter(cluster, clock, told):
    return Waiter(cluster, told.append, 900.0)


def failure(waiter, *wanted):
    with pytest.raises(WaitError) as error:
        waiter.wait(list(wanted))
    return str(error.value)


def test_nothing_to_wait_for(waiter, clock, cluster, told):
    assert waiter.wait([]) == 0
    assert waiter.wait([manifest("ConfigMap", "c", "ml")]) == 0
    assert not told and not cluster.requests and clock.now == 1000


def test_ready_at_once(waiter, cluster, clock):
    cluster.put(deployment(status=READY))
    waiter.wait([WEB])
    assert clock.now == 1000


def test_waits_until_all_are_ready(waiter, cluster, clock, told):
    def later(now):
        if now > 1015:
            cluster.put(deployment(status=READY))
        if now > 1030:
            cluster.put(manifest("StatefulSet", "db", "ml", spec={"replicas": 1}, status={"observedGeneration": 1, "readyReplicas": 1}))

    clock.tick = later
    seconds = waiter.wait([WEB, DATABASE])
    assert 30 < seconds < 33
    assert "0 of 2 ready" in told[0] and "Deployment ml/web: does not exist yet" in told[0]
    assert "1 of 2 ready" in told[-1] and "StatefulSet ml/db" in told[-1] and "web" not in told[-1]
    assert len(told) <= 4


def test_what_is_ready_is_not_asked_again(waiter, cluster, clock):
    cluster.put(deployment(status=READY))
    clock.tick = lambda now: now > 1010 and cluster.put(
        manifest("StatefulSet", "db", "ml", spec={"replicas": 1}, status={"observedGeneration": 1, "readyReplicas": 1}))
    waiter.wait([WEB, DATABASE])
    assert cluster.requests.count(("get", "Deployment", "web")) == 1
    assert cluster.requests.count(("get", "StatefulSet", "db")) > 5


def test_time_is_over(waiter, cluster, clock):
    cluster.put(deployment())
    message = failure(waiter, WEB, DATABASE)
    assert "not ready after 900 s (platform_wait_timeout)" in message
    assert "Deployment ml/web: 0 of 1 pods made" in message and "StatefulSet ml/db: does not exist yet" in message
    assert 900 < clock.now - 1000 < 905


def test_when_time_is_over_the_last_words_of_a_pod_that_is_tried_again_are_told(waiter, cluster, clock):
    cluster.put(deployment())
    cluster.put(pod("web-1", CRASHING))
    cluster.words[("web-1", True)] = "no such host"
    clock.tick = lambda now: cluster.put(pod("web-1", STARTING)) if now > 1500 else None
    message = failure(waiter, WEB)
    assert message.endswith("; earlier, pod web-1: crashed 2 times (exit code 1); its last words: no such host"), message


def test_crash_loop_ends_the_wait_with_the_last_words(waiter, cluster, clock):
    cluster.put(deployment())
    cluster.put(pod("web-1", CRASHED))
    cluster.words[("web-1", True)] = "starting\n\n  psycopg.OperationalError: no password supplied  \n\n"
    message = failure(waiter, WEB)
    assert message == ("Deployment ml/web: 0 of 1 pods made; pod web-1: crashed 5 times (exit code 1); "
                       "its last words: psycopg.OperationalError: no password supplied")
    assert clock.now == 1000


def test_log_of_the_running_container_when_there_is_no_earlier_one(waiter, cluster):
    cluster.put(deployment())
    cluster.put(pod("web-1", CRASHED))
    cluster.words[("web-1", False)] = "now\n"
    assert failure(waiter, WEB).endswith("its last words: now")


def test_log_that_is_gone_is_no_last_word(waiter, cluster):
    """The kubelet answers with this sentence, and no error, once the earlier container was cleaned up."""
    cluster.put(deployment())
    cluster.put(pod("web-1", CRASHED))
    cluster.words[("web-1", True)] = "unable to retrieve container logs for containerd://7dfa85d65aa053b6"
    cluster.words[("web-1", False)] = "now\n"
    assert failure(waiter, WEB).endswith("its last words: now")


def test_crashes_that_may_pass_are_waited_for(waiter, cluster, clock):
    cluster.put(deployment())
    cluster.put(pod("web-1", CRASHING))
    clock.tick = lambda now: now > 1060 and cluster.put(deployment(status=READY))
    assert waiter.wait([WEB]) > 60


@pytest.mark.parametrize(
    ("state", "seconds"),
    [(PULLING, pods.PULL_GRACE), ({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}}}, 20),
     ({"state": {"waiting": {"reason": "ErrImageNeverPull"}}}, 20)],
)
def test_patience(waiter, cluster, clock, state, seconds):
    cluster.put(deployment())
    cluster.put(pod("web-1", state))
    assert "web-1" in failure(waiter, WEB)
    assert seconds <= clock.now - 1000 < seconds + 2


def test_pull_errors_take_turns_and_count_together(waiter, cluster, clock):
    cluster.put(deployment())

    def turn(now):
        reason = "ErrImagePull" if int(now) % 10 < 3 else "ImagePullBackOff"
        cluster.put(pod("web-1", {"state": {"waiting": {"reason": reason, "message": "denied"}}}))

    turn(0)
    clock.tick = turn
    assert "denied" in failure(waiter, WEB)
    assert clock.now - 1000 < pods.PULL_GRACE + 12


@pytest.mark.parametrize("grace", [5.0, 40.0])
def test_unschedulable(cluster, clock, told, grace):
    cluster.put(deployment())
    cluster.put(manifest("Pod", "web-1", "ml", metadata={"labels": {"app": "web"}}, status={"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: Insufficient cpu"}]}))
    message = failure(Waiter(cluster, told.append, 900.0, schedule_grace=grace), WEB)
    assert "unschedulable: 0/1 nodes are available: Insufficient cpu" in message
    assert grace <= clock.now - 1000 < grace + 2


def test_failed_job_tells_its_last_words(waiter, cluster, clock):
    cluster.put(manifest("Job", "setup", "ml", status={"conditions": [{"type": "Failed", "status": "True", "message": "backoff limit"}]}))
    failed = pod("setup-1", {"state": {"terminated": {"exitCode": 1}}}, labels={"batch.kubernetes.io/job-name": "setup"})
    cluster.put(failed)
    cluster.words[("setup-1", False)] = "bucket exists already"
    message = failure(waiter, manifest("Job", "setup", "ml"))
    assert "the job failed: backoff limit" in message and "bucket exists already" in message
    assert clock.now == 1000


def test_failed_job_without_pods(waiter, cluster):
    cluster.put(manifest("Job", "setup", "ml", status={"conditions": [{"type": "Failed", "status": "True", "message": "deadline"}]}))
    assert failure(waiter, manifest("Job", "setup", "ml")) == "Job ml/setup: the job failed: deadline"


def test_hopeless_one_stops_the_wait_for_all(waiter, cluster, clock):
    cluster.put(deployment("slow"))
    cluster.put(deployment())
    cluster.put(pod("web-1", CRASHED))
    message = failure(waiter, manifest("Deployment", "slow", "ml"), WEB)
    assert "web-1" in message and "slow" not in message
    assert clock.now == 1000


def test_worst_pod_is_the_reason(waiter, cluster):
    cluster.put(deployment())
    cluster.put(pod("web-1", STARTING))
    cluster.put(pod("web-2", CRASHING))
    cluster.put(pod("web-3", STARTING))
    assert "pod web-2: crashed 2 times" in waiter.look([WEB])[0].reason


def test_pod_that_crashed_for_good_beside_one_that_pulls(waiter, cluster, clock):
    cluster.put(deployment())
    cluster.put(pod("web-1", PULLING))
    cluster.put(pod("web-2", CRASHED))
    assert "pod web-2: crashed 5 times" in failure(waiter, WEB)
    assert clock.now == 1000


def test_pods_of_the_version_before_are_no_reason_to_stop(waiter, cluster, clock):
    """A broken deployment is repaired: its old pod stays in its crash loop until the new one is ready."""
    cluster.put(deployment())
    cluster.put(replica_set("old", 9))
    cluster.put(replica_set("new", 10))
    cluster.put(replica_set("foreign", 11, owner="uid-other"))
    cluster.put(pod("web-old", CRASHED, labels={"app": "web", "pod-template-hash": "old"}))
    cluster.put(pod("web-new", STARTING, labels={"app": "web", "pod-template-hash": "new"}))
    assert "web-new: running, not ready yet" in waiter.look([WEB])[0].reason
    clock.tick = lambda now: now > 1020 and cluster.put(deployment(status=READY))
    waiter.wait([WEB])


def test_new_version_that_crashes_is_a_reason_to_stop(waiter, cluster):
    cluster.put(deployment())
    cluster.put(replica_set("old", 1))
    cluster.put(replica_set("new", 2))
    cluster.put(pod("web-old", STARTING, labels={"app": "web", "pod-template-hash": "old"}))
    cluster.put(pod("web-new", CRASHED, labels={"app": "web", "pod-template-hash": "new"}))
    assert "web-new" in failure(waiter, WEB)


def test_pods_that_are_ending_are_no_reason_to_stop(waiter, cluster):
    cluster.put(deployment())
    cluster.put(pod("web-1", CRASHED, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert waiter.look([WEB])[0].reason == "0 of 1 pods made"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_pods_from_before_the_change_are_no_reason_to_stop(waiter, cluster, clock, kind):
    """Until the controller has seen the change, the newest revision that it knows of is the one that was repaired."""
    obj = {**deployment(), "kind": kind, "status": {"observedGeneration": 1, "updateRevision": "old", "currentRevision": "old"}}
    cluster.put(obj)
    cluster.put(replica_set("old", 1))
    cluster.put(pod("web-1", CRASHED, labels={"app": "web", "pod-template-hash": "old", "controller-revision-hash": "old"}))
    cluster.put({**obj, "spec": {**obj["spec"], "template": "repaired"}})
    (missing,) = waiter.look([manifest(kind, "web", "ml")])
    assert not missing.failed and missing.reason == "the controller has not seen it yet"


def test_new_version_whose_pods_are_not_made_yet(waiter, cluster, clock):
    cluster.put(deployment())
    cluster.put(replica_set("old", 1))
    cluster.put(replica_set("new", 2))
    cluster.put(pod("web-old", CRASHED, labels={"app": "web", "pod-template-hash": "old"}))
    assert not waiter.look([WEB])[0].failed


def stateful_set():
    return manifest("StatefulSet", "db", "ml", metadata={"uid": "u"}, spec={"replicas": 1, "selector": {"matchLabels": {"app": "db"}}},
                    status={"observedGeneration": 1, "currentRevision": "old", "updateRevision": "new"})


def test_stateful_set_looks_at_its_newest_pods(waiter, cluster):
    cluster.put(stateful_set())
    cluster.put(pod("db-1", CRASHED, labels={"app": "db", "controller-revision-hash": "old"}))
    cluster.put(pod("db-0", PULLING, labels={"app": "db", "controller-revision-hash": "new"}))
    assert "pod db-0: ImagePullBackOff" in waiter.look([DATABASE])[0].reason


def test_stateful_set_whose_old_pod_blocks_the_new_one_says_so(waiter, cluster):
    """Its controller replaces no pod while one is not ready: without a word about the old pod nobody finds the cause."""
    cluster.put(stateful_set())
    cluster.put(pod("db-0", CRASHED, labels={"app": "db", "controller-revision-hash": "old"}))
    assert "db-0" in waiter.look([DATABASE])[0].reason


@pytest.mark.parametrize(
    ("kind", "label"), [("Job", "batch.kubernetes.io/job-name"), ("Cluster", "cnpg.io/cluster")],
)
def test_pods_are_found_by_the_controllers_label(waiter, cluster, kind, label):
    cluster.put(manifest("CustomResourceDefinition", "clusters.postgresql.cnpg.io"))
    cluster.put(manifest(kind, "x", "ml"))
    cluster.put(pod("x-1", PULLING, labels={label: "x"}))
    cluster.put(pod("y-1", CRASHED, labels={label: "y"}))
    assert "pod x-1: ImagePullBackOff" in waiter.look([manifest(kind, "x", "ml")])[0].reason


def test_kind_that_is_not_served_yet(waiter, cluster):
    assert "does not exist yet" in str(waiter.look([manifest("Cluster", "pg", "ml")])[0])


def test_very_long_reasons_are_cut(waiter, cluster):
    cluster.put(deployment())
    cluster.put(pod("web-1", {"state": {"waiting": {"reason": "ErrImagePull", "message": "x" * 5000}}}))
    cluster.words[("web-1", False)] = "y" * 5000
    assert len(waiter.look([WEB])[0].reason) < 800


def test_broken_pod_of_an_older_revision_makes_room(waiter, cluster, clock, told):
    cluster.put(stateful_set())
    cluster.put(pod("db-0", CRASHED, labels={"app": "db", "controller-revision-hash": "old"}))
    cluster.put(pod("db-1", STARTING, labels={"app": "db", "controller-revision-hash": "old"}))

    def controller(now):
        if cluster.find("Pod", "db-0", "ml") is None:
            cluster.put({**stateful_set(), "status": {"observedGeneration": 1, "readyReplicas": 1}})

    clock.tick = controller
    assert waiter.wait([DATABASE]) < 5
    assert any("Pod ml/db-0 is broken and of an older revision" in line for line in told)
    assert cluster.find("Pod", "db-1", "ml")


@pytest.mark.parametrize("change", ["newest revision", "by hand", "not seen", "only looking"])
def test_other_pods_are_not_deleted(waiter, cluster, clock, change):
    obj = stateful_set()
    if change == "by hand":
        obj["spec"]["updateStrategy"] = {"type": "OnDelete"}
    cluster.put(obj)
    if change == "not seen":
        cluster.put({**obj, "spec": {**obj["spec"], "template": "new"}})
    cluster.put(pod("db-0", CRASHED, labels={"app": "db", "controller-revision-hash": "new" if change == "newest revision" else "old"}))
    if change == "only looking":
        waiter.look([DATABASE])
    else:
        failure(waiter, DATABASE)
    assert cluster.find("Pod", "db-0", "ml")
