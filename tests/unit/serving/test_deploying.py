# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole calls against an API server at work: what changes, in which order, and what is told when a model cannot come up."""

from __future__ import annotations

import json

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden, KubeError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest
from ansible_collections.openmlops.platform.tests.unit.serving.world import ROOT

ONE, TWO = {"model_uri": "models:/wine/1"}, {"model_uri": "models:/wine/2"}


@pytest.fixture
def two(reach):
    """Another version of the model."""
    return reach.mlflow.log(2)


def crashed(container="kserve-container", restarts=3, init=False, **more):
    entry = {"name": container, "ready": False, "restartCount": restarts, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
             "lastState": {"terminated": {"exitCode": 1}}, **more}
    return {"phase": "Pending", ("initContainerStatuses" if init else "containerStatuses"): [entry]}


# -- the way of a model ---------------------------------------------------------------------------------------------


def test_the_first_model(world, reach, deploy, told):
    found = deploy(**ONE)
    revision = found["revision"]
    assert found["changed"] and found["ready"] and found["uri"] == f"{ROOT}/7/models/m-1/artifacts" and found["framework"] == "sklearn"
    assert found["weights"] == {revision: 100} and found["previous"] == found["shadow"] == ""
    assert found["predict_url"] == "https://ml.example.org/models/models/wine/v2/models/wine/infer"
    assert [entry["weight"] for entry in world.route()["backendRefs"]] == [100]
    assert world.happened == [("start", revision), ("state", {revision: 100}), ("route", {revision: 100})]
    assert reach.asked == [("wine", "models", revision)] and told == [f"wine: {revision} 100 %"]
    kept = world.state()
    assert kept["url"] == found["url"] and kept["stable"]["given"] == "models:/wine/1" and kept["cluster_url"] == found["cluster_url"]


@pytest.mark.parametrize("call", [ONE, {**ONE, "traffic": 10}, {"model_uri": "runs:/r1/model"}, {"model_uri": f"{ROOT}/7/models/m-1/artifacts"}])
def test_the_same_again_changes_nothing(world, deploy, call):
    deploy(**ONE)
    world.requests.clear()
    found = deploy(**call)
    assert found["changed"] is False and "diff" not in found
    assert [write for write in world.writes() if write[0] not in ("apply",)] == []


def test_an_alias_that_moved_is_a_change(reach, deploy):
    by_alias = {"model_uri": "models:/wine@champion"}
    first = deploy(**by_alias)
    assert not deploy(**by_alias)["changed"]
    reach.mlflow.log(2)
    reach.mlflow.aliases["wine", "champion"] = "2"
    second = deploy(**by_alias)
    assert second["changed"] and second["previous"] == first["revision"] and second["weights"] == {second["revision"]: 100}


def test_a_replacement_never_leaves_nobody(world, deploy, two, clock):
    first = deploy(**ONE)["revision"]
    world.happened.clear()
    began = clock.now
    second = deploy(**TWO)["revision"]
    assert [entry for entry in world.happened if entry[0] != "state"] == [("start", second), ("route", {second: 100}), ("end", first)]
    assert clock.now - began >= 10  # requests under way
    assert world.running() == {second}
    # As long as the platform says (models_drain_seconds).
    began = clock.now
    deploy(**ONE, platform={"drain_seconds": 45})
    assert clock.now - began >= 45


def test_a_canary_then_everything(world, deploy, two):
    first = deploy(**ONE)["revision"]
    found = deploy(**TWO, traffic=10)
    second = found["revision"]
    assert found["weights"] == {first: 90, second: 10} and world.running() == {first, second}
    assert not deploy(**TWO, traffic=10)["changed"]
    assert deploy(**TWO, traffic=50)["weights"] == {first: 50, second: 50}
    found = deploy(**TWO)
    assert found["weights"] == {second: 100} and found["previous"] == first and world.running() == {second}
    assert len(world.route()["backendRefs"]) == 1


def test_a_shadow(world, deploy, two):
    first = deploy(**ONE)["revision"]
    found = deploy(**TWO, shadow=True)
    assert found["weights"] == {first: 100} and found["shadow"] == found["revision"] != first
    assert world.route()["filters"][2]["requestMirror"]["backendRef"]["name"] == f"wine-{found['shadow']}-predictor"
    assert deploy(**ONE)["shadow"] == "" and world.running() == {first} and len(world.route()["filters"]) == 2


def test_rollbacks(world, deploy, two):
    first, second = deploy(**ONE)["revision"], deploy(**TWO)["revision"]
    world.happened.clear()
    found = deploy(state="rolled_back")
    assert found["changed"] and found["revision"] == first and found["previous"] == second and found["uri"].endswith("m-1/artifacts")
    assert [entry for entry in world.happened if entry[0] != "state"] == [("start", first), ("route", {first: 100}), ("end", second)]
    assert not deploy(state="rolled_back")["changed"] and world.running() == {first}


def test_a_canary_is_rolled_back_at_once(world, deploy, two):
    first = deploy(**ONE)["revision"]
    deploy(**TWO, traffic=10)
    world.happened.clear()
    assert deploy(state="rolled_back")["weights"] == {first: 100}
    assert "start" not in [entry[0] for entry in world.happened] and world.running() == {first}
    assert not deploy(state="rolled_back")["changed"]


def test_absent_leaves_nothing(world, deploy, two):
    deploy(**ONE)
    deploy(**TWO, traffic=10)
    found = deploy(state="absent")
    assert found["changed"] and found["weights"] == {} and found["url"] == ""
    assert world.running() == set() and world.route() is None and world.state() is None
    assert not [key for key in world.objects if key[0] == "Pod"]
    assert not deploy(state="absent")["changed"]


def test_more_pods_are_no_new_revision(world, deploy):
    first = deploy(**ONE)
    found = deploy(**ONE, replicas=2)
    assert found["changed"] and found["revision"] == first["revision"] and found["previous"] == ""
    assert world.find("InferenceService", f"wine-{found['revision']}", "models")["spec"]["predictor"]["minReplicas"] == 2
    assert not deploy(**ONE, replicas=2)["changed"]


def test_other_settings_are_a_new_revision(deploy):
    first = deploy(**ONE)["revision"]
    assert deploy(**ONE, env={"LEVEL": "debug"})["previous"] == first


def test_by_seldon_core(world, deploy):
    found = deploy(**ONE, engine="seldon")
    assert found["framework"] == "sklearn" and found["protocol"] == "v2"
    assert world.find("SeldonDeployment", f"wine-{found['revision']}", "models")
    tensorflow = deploy(name="digits", model_uri="gs://b/digits", engine="seldon", framework="tensorflow", platform={"frameworks": {}})
    assert tensorflow["protocol"] == "seldon" and tensorflow["predict_url"].endswith("/models/models/digits/api/v1.0/predictions")


def test_from_one_engine_to_the_other(world, deploy):
    first = deploy(**ONE)["revision"]
    found = deploy(**ONE, engine="seldon")
    assert found["previous"] == first and found["revision"] != first and world.running() == {found["revision"]}


def test_without_a_gateway(world, deploy, two):
    first = deploy(**ONE, platform={"gateway": "none"})
    assert first["url"] == "" and first["predict_url"] == f"{first['cluster_url']}v2/models/wine/infer" and world.route() is None
    assert deploy(**TWO, platform={"gateway": "none"})["previous"] == first["revision"]


def test_a_canarys_mapping_goes_with_it(world, deploy, two):
    ambassador = {"gateway": "ambassador", "route_namespace": "gw"}
    deploy(**ONE, platform=ambassador)
    deploy(**TWO, traffic=10, platform=ambassador)
    assert world.find("Mapping", "model-models.wine.canary", "gw")
    deploy(**TWO, platform=ambassador)
    assert [key[2] for key in world.objects if key[0] == "Mapping"] == ["model-models.wine"]
    deploy(state="absent", platform=ambassador)
    assert not [key for key in world.objects if key[0] == "Mapping"]


# -- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "message"),
    [
        ({"phase": "Pending", "containerStatuses": [{"name": "kserve-container", "image": "x/y:1", "restartCount": 0, "state": {
            "waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}]}, "", "ImagePullBackOff \\(x/y:1\\): not found"),
        (crashed("storage-initializer", init=True), "Traceback\nRuntimeError: no such key models/m-2\n",
         "container storage-initializer: crashed 3 times.*last words: RuntimeError: no such key models/m-2"),
        (crashed(), "INFO\nModuleNotFoundError: No module named 'own'\n\n", "last words: ModuleNotFoundError: No module named 'own'"),
        ({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory"}]}, "",
         "unschedulable: 0/1 nodes: Insufficient memory"),
    ],
)
def test_a_model_that_cannot_come_up(world, deploy, two, status, words, message):
    first = deploy(**ONE)["revision"]
    before = (world.route(), world.state())
    world.stuck["*"] = status
    world.logs = lambda namespace, pod, container=None, lines=20, previous=False: words
    with pytest.raises(ModelError, match=message) as error:
        deploy(**TWO)
    assert "Requests go where they went before" in str(error.value) and str(error.value).startswith("model models/wine: the revision cannot come up")
    assert (world.route(), world.state()) == before and first in world.running()


def test_a_crash_or_two_may_pass(world, deploy, clock):
    world.stuck["*"] = crashed(restarts=1)

    def better(now):
        for key, pod in world.objects.items():
            if key[0] == "Pod" and now > 1010:
                pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

    clock.tick = better
    assert deploy(**ONE)["changed"]


def test_a_model_that_is_not_loaded_in_time(world, deploy, told):
    class Deaf(set):
        def __contains__(self, _revision):
            return True

    world.deaf = Deaf()
    with pytest.raises(ModelError, match="is not ready after 60 s: its pods run, and do not say yet that the model is loaded"):
        deploy(**ONE, wait_timeout=60)
    assert world.state() is None and world.route() is None and told


def test_what_the_engine_refuses(world, deploy):
    world.stuck["*"] = None
    engine_says = {"modelStatus": {"lastFailureInfo": {"reason": "NoSupportingRuntime", "message": "no runtime found"}}}
    old = world.after

    def refuse(obj):
        old(obj)
        if obj["kind"] == "InferenceService":
            obj["status"] = engine_says

    world.after = refuse
    with pytest.raises(ModelError, match="KServe: NoSupportingRuntime: no runtime found"):
        deploy(**ONE)


def test_pods_that_nobody_may_make(world, deploy):
    world.stuck["*"] = None
    old = world.after

    def warn(obj):
        old(obj)
        if obj["kind"] == "InferenceService":
            name = obj["metadata"]["name"]
            world.put(manifest("Event", "e", "models", type="Warning", reason="FailedCreate", message="exceeded quota", involvedObject={
                "kind": "ReplicaSet", "namespace": "models", "name": f"{name}-predictor-5c8"}))

    world.after = warn
    with pytest.raises(ModelError, match="ReplicaSet models/wine-.*FailedCreate: exceeded quota"):
        deploy(**ONE, wait_timeout=30)


def test_after_a_failure_a_rollback_keeps_what_answers(world, deploy, two):
    first = deploy(**ONE)["revision"]
    world.stuck["*"] = crashed()
    with pytest.raises(ModelError):
        deploy(**TWO)
    assert len(world.running()) == 2
    found = deploy(state="rolled_back")
    assert found["changed"] and found["weights"] == {first: 100} and world.running() == {first}
    assert not deploy(state="rolled_back")["changed"]


def test_after_a_failure_the_next_one_clears_it(world, reach, deploy, two):
    deploy(**ONE)
    world.stuck["*"] = crashed()
    with pytest.raises(ModelError):
        deploy(**TWO)
    world.stuck.clear()
    reach.mlflow.log(3)
    third = deploy(model_uri="models:/wine/3")["revision"]
    assert world.running() == {third}


def test_without_waiting(world, deploy, two):
    first = deploy(**ONE)["revision"]
    world.stuck["*"] = {"phase": "Pending"}
    found = deploy(**TWO, wait=False)
    assert found["changed"] and not found["ready"] and found["weights"] == {first: 100} and found["revision"] != first
    assert len(world.running()) == 2
    for key, pod in world.objects.items():
        if key[0] == "Pod":
            pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    world.stuck.clear()
    found = deploy(**TWO, wait=False)
    assert found["ready"] and found["weights"] == {found["revision"]: 100} and world.running() == {found["revision"]}


def test_a_gateway_that_does_not_take_it(world, deploy, two):
    first = deploy(**ONE)["revision"]
    world.answers_route = False
    with pytest.raises(ModelError, match="the gateway does not take up its route: no such listener. Both revisions run on"):
        deploy(**TWO)
    assert first in world.running() and len(world.running()) == 2


def test_a_route_that_is_refused_changes_nothing(world, deploy, two):
    deploy(**ONE)
    before = world.state()
    old = world.before

    def refuse(verb, obj):
        if verb == "apply" and obj["kind"] == "HTTPRoute":
            raise KubeError(422, "Invalid", "only below /models/other/")
        old(verb, obj)

    world.before = refuse
    with pytest.raises(ModelError, match="HTTPRoute models/model-wine: only below /models/other/"):
        deploy(**TWO)
    assert world.state() == before


def test_two_at_once(world, deploy, two):
    deploy(**ONE)
    old, rival = world.before, []

    def meddle(verb, obj):
        if verb == "replace" and not rival:
            rival.append(True)
            kept = world.find("ConfigMap", "model-wine", "models")
            world.put({**kept, "metadata": {**kept["metadata"], "annotations": {"by": "a rival"}}})
        old(verb, obj)

    world.before = meddle
    route = world.route()
    with pytest.raises(ModelError, match="changed by somebody else at the same time; run again"):
        deploy(**TWO)
    assert world.route() == route
    assert deploy(**TWO)["changed"]


class Killed(Exception):
    """Stands in for a signal."""


def kill_between_state_and_route(world, deploy, call):
    """A call that ends after it has written the state, before the route has moved."""
    def after(obj):
        old(obj)
        if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] == "model-wine":
            world.before = end

    def end(verb, obj):
        if verb == "apply" and obj["kind"] == "HTTPRoute":
            raise Killed

    old, world.after = world.after, after
    with pytest.raises(Killed):
        deploy(**call)
    world.after, world.before = old, lambda _verb, _obj: None


def test_a_call_that_was_killed_is_finished_by_the_same_call(world, deploy, two, clock):
    first = deploy(**ONE)["revision"]
    kill_between_state_and_route(world, deploy, TWO)
    assert world.route()["backendRefs"][0]["name"] == f"wine-{first}-predictor" and len(world.running()) == 2
    world.happened.clear()
    began = clock.now
    second = deploy(**TWO)["revision"]
    assert world.happened == [("route", {second: 100}), ("end", first)]
    assert clock.now - began >= 10  # requests under way to the old one, which answered until now
    assert not deploy(**TWO)["changed"]


def test_a_call_that_was_killed_is_undone_by_a_rollback(world, deploy, two):
    """And not finished by it, for the sake of the old revision that still runs."""
    first = deploy(**ONE)["revision"]
    kill_between_state_and_route(world, deploy, TWO)
    found = deploy(state="rolled_back")
    assert found["weights"] == {first: 100} and world.running() == {first}
    assert world.route()["backendRefs"][0]["name"] == f"wine-{first}-predictor"
    assert not deploy(state="rolled_back")["changed"]


def test_a_rollback_that_was_killed_is_finished_by_the_same_call(world, deploy, two):
    first, second = deploy(**ONE)["revision"], deploy(**TWO)["revision"]
    kill_between_state_and_route(world, deploy, {"state": "rolled_back"})
    assert world.running() == {first, second}
    assert deploy(state="rolled_back")["weights"] == {first: 100} and world.running() == {first}


def test_a_repeated_call_takes_nothing_from_a_newer_one(world, deploy, two, clock):
    """The same call again, at the moment at which another one deploys the next version: that one's pods stay."""
    first = deploy(**ONE)["revision"]
    busy = []

    def rival(now):
        if not busy:
            busy.append(now)
            deploy(**TWO)

    world.put(manifest("InferenceService", "wine-00000000", "models", "serving.kserve.io/v1beta1", metadata={
        "labels": {"openmlops.io/model": "wine", "openmlops.io/revision": "00000000"}}, spec={"predictor": {"minReplicas": 1}}))
    clock.tick = rival
    with pytest.raises(ModelError, match="changed by somebody else at the same time; run again"):
        deploy(**ONE)
    second = world.state()["stable"]["revision"]
    assert second != first and second in world.running()
    assert world.route()["backendRefs"][0]["name"] == f"wine-{second}-predictor"


def test_a_model_that_somebody_removes_meanwhile(world, deploy, two, clock):
    deploy(**ONE)
    world.stuck["*"] = {"phase": "Pending"}
    clock.tick = lambda now: deploy(state="absent", wait=False) if now > 1020 and world.running() else None
    with pytest.raises(ModelError, match="is gone: another call for this model has removed it"):
        deploy(**TWO)
    assert clock.now < 1060 and world.route() is None


def test_another_address_of_the_platform_is_written_down(world, deploy):
    deploy(**ONE)
    moved = {"hostname": "new.example.org", "public_url": "https://new.example.org"}
    assert deploy(check=True, **ONE, platform=moved)["changed"]
    assert deploy(**ONE, platform=moved)["changed"] and world.state()["url"].startswith("https://new.example.org/")
    assert not deploy(**ONE, platform=moved)["changed"] and not deploy(check=True, **ONE, platform=moved)["changed"]


def test_what_somebody_changed_is_put_right(world, deploy):
    found = deploy(**ONE)
    route = world.find("HTTPRoute", "model-wine", "models")
    route["spec"]["rules"][0]["backendRefs"][0]["weight"] = 7
    again = deploy(**ONE)
    assert again["changed"] and again["weights"] == found["weights"] and world.route()["backendRefs"][0]["weight"] == 100
    assert again["diff"][0]["after"] == "HTTPRoute models/model-wine: updated\n"


@pytest.mark.parametrize(("missing", "message"), [("InferenceService", "kserve is not installed in this cluster")])
def test_what_is_not_installed(world, deploy, missing, message):
    world.served.discard(missing)
    with pytest.raises(ModelError, match=message):
        deploy(**ONE)


def test_without_rights(world, deploy):
    old = world.before

    def refuse(verb, obj):
        if obj["kind"] == "Pod" and verb == "list":
            raise Forbidden(403, "Forbidden", "pods is forbidden")
        old(verb, obj)

    world.before = refuse
    with pytest.raises(ModelError, match="pods is forbidden. Deploying models needs the rights of the Role model-deployer in namespace models"):
        deploy(**ONE)


def test_nothing_is_written_for_a_wrong_uri(world, deploy):
    world.requests.clear()
    with pytest.raises(ModelError, match="no version 9"):
        deploy(model_uri="models:/wine/9")
    assert world.writes() == []


def test_one_that_is_on_its_way_out_is_waited_for(world, deploy, two, clock):
    first = deploy(**ONE)["revision"]
    deploy(**TWO)
    name = f"wine-{first}"
    world.put(manifest("InferenceService", name, "models", "serving.kserve.io/v1beta1", metadata={
        "deletionTimestamp": "2026-01-01T00:00:00Z", "labels": {"openmlops.io/revision": first}}, spec={"predictor": {"minReplicas": 0}}))
    with pytest.raises(ModelError, match=f"InferenceService models/{name} has been deleted and does not go away"):
        deploy(state="rolled_back")

    def gone(now):
        if now > began + 3:
            world.objects.pop(("InferenceService", "models", name), None)
            clock.tick = lambda _now: None

    began, clock.tick = clock.now, gone
    assert deploy(state="rolled_back")["weights"] == {first: 100} and clock.now > began + 3


# -- what is shown --------------------------------------------------------------------------------------------------


def test_a_check_changes_nothing(world, deploy, two):
    for call in (ONE, {"state": "absent"}):
        world.requests.clear()
        found = deploy(check=True, **call)
        assert found["changed"] == (call is ONE) and world.writes() == []
    deploy(**ONE)
    for call in (TWO, {**TWO, "traffic": 10}, {"state": "absent"}):
        world.requests.clear()
        before = json.dumps(sorted(map(str, world.objects.items())))
        found = deploy(check=True, **call)
        assert found["changed"] and found["diff"] and world.writes() == []
        assert json.dumps(sorted(map(str, world.objects.items()))) == before
    assert not deploy(check=True, **ONE)["changed"]
    with pytest.raises(ModelError, match="no earlier revision"):
        deploy(check=True, state="rolled_back")


def test_a_check_before_the_engine_is_there(world, deploy):
    world.served.discard("InferenceService")
    with pytest.raises(ModelError, match="not installed"):
        deploy(check=True, **ONE)


def test_no_secret_in_a_diff(deploy):
    found = deploy(**ONE, env={"API_TOKEN": "s3cr3t", "LEVEL": "debug", "FROM": {"secret": "keys", "key": "password"}})
    text = json.dumps(found["diff"])
    assert "s3cr3t" not in text and "debug" in text
