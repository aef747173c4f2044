# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a model to the state that a call asks for, so that no request fails on the way.

The order is what makes that so: a new revision is up and has its model before anything is sent to it; the gateway has taken
up its new way before an old revision ends; and the old one goes on for a while for requests that are under way.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import masking
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import ApplyError, Outcome, apply_objects, delete_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, Ref, labelled
from ansible_collections.openmlops.platform.plugins.module_utils.converge.readiness import state_of
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Conflict, Forbidden, NotFound
from ansible_collections.openmlops.platform.plugins.module_utils.serving import engines, routes, state as states, watching
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.frameworks import detect
from ansible_collections.openmlops.platform.plugins.module_utils.serving.mlflow import Mlflow
from ansible_collections.openmlops.platform.plugins.module_utils.serving.reach import Reach
from ansible_collections.openmlops.platform.plugins.module_utils.serving.request import Request
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import REVISION_LABEL, Revision, cluster_url, object_name, predict_path
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import Settings
from ansible_collections.openmlops.platform.plugins.module_utils.serving.state import State
from ansible_collections.openmlops.platform.plugins.module_utils.serving.uris import reader, resolve

_POLL_SECONDS = 0.5
_ROUTE_SECONDS = 60.0
_TELL_SECONDS = 15.0
_END_SECONDS = 60.0


class Deployer:
    """Does one call.

    Args:
        say: prints one line of progress.
        check: change nothing, and tell what would be.
    """

    def __init__(self, cluster: Cluster, settings: Settings, reach: Reach, say: t.Callable[[str], None], check: bool = False) -> None:
        self._cluster, self._settings, self._reach, self._say, self._check = cluster, settings, reach, say, check
        self._outcomes: list[Outcome] = []

    def run(self, request: Request) -> dict[str, t.Any]:
        """Does what is asked for and returns the result.

        Raises:
            ModelError: when the model cannot be deployed; requests go where they went before.
            KubeError: when the API server refuses.
        """
        try:
            return self._absent(request) if request.state == "absent" else self._converge(request)
        except Forbidden as error:
            raise ModelError(watching.warn_rights(error, request.namespace)) from None
        except ApplyError as error:
            raise ModelError(f"model {request.namespace}/{request.name}: {error}") from None

    # -- present, rolled back ---------------------------------------------------------------------------------------

    def _converge(self, request: Request) -> dict[str, t.Any]:
        kept = self._cluster.get("v1", "ConfigMap", states.config_map_name(request.name), request.namespace)
        before = states.of_config_map(kept)
        asked = self._revision(request) if request.state == "present" else None
        wanted = self._wanted(request, before, asked)
        self._check_engines(wanted)
        objects = [labelled(engines.engine_object(request.name, request.namespace, one, self._settings)) for one in wanted.running]
        if self._check:
            self._outcomes += apply_objects(self._cluster, objects, check=True)
            return self._previewed(request, before, wanted, asked, kept)
        self._wait_for_namesakes(request, objects)
        self._outcomes += apply_objects(self._cluster, objects)
        if not self._up(request, wanted):
            return self._result(request, before, before, asked, ready=False)
        self._switch(request, wanted, kept, before)
        return self._result(request, before, wanted, asked)

    def _revision(self, request: Request) -> Revision:
        """Returns the revision that a call means, its artifacts found and its framework known."""
        root = self._settings.artifact_root
        mlflow = Mlflow(self._reach.mlflow, self._settings.tracking_path)
        place = resolve(request.model_uri, mlflow, root)
        available = set(self._settings.frameworks)
        if request.engine == "seldon":
            available.discard("tensorflow")  # its server reads another layout than MLflow writes
        protocol = request.protocol or ("seldon" if request.engine == "seldon" and request.framework == "tensorflow" else "v2")
        framework = request.framework or detect(reader(place, root, mlflow), place, protocol, available)
        return Revision(uri=place, given=request.model_uri, framework=framework, protocol=protocol, engine=request.engine,
                        replicas=request.replicas, resources=request.resources, env=request.env)

    def _wanted(self, request: Request, before: State, asked: Revision | None) -> State:
        try:
            if asked is not None:
                return states.deployed(before, asked, request.traffic, request.shadow)
            return states.rolled_back(before, self._unfinished(request, before))
        except ModelError as error:
            raise ModelError(f"model {request.namespace}/{request.name}: {error}") from None

    def _check_engines(self, wanted: State) -> None:
        for engine in sorted({revision.engine for revision in wanted.running}):
            if not self._cluster.serves(*engines.KINDS[engine]):
                raise ModelError(f"engine: {engine} is not installed in this cluster; add it to platform_components")

    def _unfinished(self, request: Request, before: State) -> bool:
        """Tells whether there is a revision that was started and never got a request.

        The previous one is none: a call that was killed while it sent requests elsewhere left it running.
        """
        previous = object_name(request.name, before.previous) if before.previous else ""
        return any(obj["metadata"]["name"] != previous for obj in self._leftovers(request, before))

    def _leftovers(self, request: Request, wanted: State) -> list[Object]:
        """Returns the engines' objects of a model that no revision of a state needs."""
        needed = {(one.engine, object_name(request.name, one)) for one in wanted.running}
        return [
            obj for engine, (api_version, kind) in engines.KINDS.items() if self._cluster.serves(api_version, kind)
            for obj in self._list(api_version, kind, request)
            if (engine, obj["metadata"]["name"]) not in needed and not obj["metadata"].get("deletionTimestamp")
        ]

    def _list(self, api_version: str, kind: str, request: Request) -> list[Object]:
        try:
            return self._cluster.list(api_version, kind, request.namespace, label_selector=engines.selector(request.name))
        except Forbidden:
            # The rights are those of the engine that is chosen; the other one's objects are not there.
            if engines.KINDS[request.engine] == (api_version, kind):
                raise
            return []

    def _wait_for_namesakes(self, request: Request, objects: list[Object]) -> None:
        """Waits for objects of the same name that an earlier call deleted and that are still on their way out."""
        end = time.monotonic() + _END_SECONDS
        for obj in objects:
            while ((self._cluster.live(obj) or {}).get("metadata") or {}).get("deletionTimestamp"):
                if time.monotonic() > end:
                    raise ModelError(f"{obj['kind']} {request.namespace}/{obj['metadata']['name']} has been deleted and does not go away: "
                                     f"is the engine's controller running? (kubectl describe -n {request.namespace} {obj['kind'].lower()})")
                time.sleep(_POLL_SECONDS)

    def _up(self, request: Request, wanted: State) -> bool:
        """Waits until all revisions that get requests have their models; returns whether they do.

        Raises:
            ModelError: when one of them cannot come up, or does not in time.
        """
        started, told = time.monotonic(), ""
        since: dict[str, tuple[str, float]] = {}
        last_told = started
        while True:
            missing = ""
            for revision in wanted.running:
                missing = self._missing(request, revision, since)
                if missing:
                    break
            if not missing or not request.wait:
                return not missing
            now = time.monotonic()
            if now - started > request.wait_timeout:
                raise ModelError(self._failure(request, missing, f"is not ready after {request.wait_timeout:.0f} s"))
            if missing != told and now - last_told >= _TELL_SECONDS:
                self._say(f"{request.name}: waiting: {missing}")
                told, last_told = missing, now
            time.sleep(_POLL_SECONDS)

    def _missing(self, request: Request, revision: Revision, since: dict[str, tuple[str, float]]) -> str:
        """Returns what a revision waits for, or an empty text."""
        sight = watching.look(self._cluster, request.name, request.namespace, revision)
        if sight.up:
            since.pop(revision.id, None)
            return "" if self._reach.ready(request.name, request.namespace, revision) else "its pods run, and do not say yet that the model is loaded"
        if sight.patience is None:
            since.pop(revision.id, None)
        else:
            # By place and kind of trouble: the count of crashes in the text goes on.
            kind = sight.reason.partition(":")[0]
            first = since.setdefault(revision.id, (kind, time.monotonic()))
            if first[0] != kind:
                first = since[revision.id] = (kind, time.monotonic())
            if time.monotonic() - first[1] >= sight.patience:
                raise ModelError(self._failure(request, sight.reason, "cannot come up"))
        return sight.reason

    def _failure(self, request: Request, reason: str, what: str) -> str:
        return (f"model {request.namespace}/{request.name}: the revision {what}: {reason}. Requests go where they went before. "
                "What was started gets none; the next deployment, state: rolled_back or state: absent removes it.")

    def _switch(self, request: Request, wanted: State, kept: Object | None, before: State) -> None:
        """Sends requests where they shall go, and ends what gets none any more."""
        ways = [labelled(obj) for obj in routes.routes(request.name, request.namespace, wanted, self._settings)]
        fresh = states.config_map(request.name, request.namespace, wanted, self._about(request, wanted))
        if written := _written(kept, fresh):
            # What would refuse the route refuses it now, before anything is written down.
            apply_objects(self._cluster, ways, check=True)
            kept = self._keep(request, fresh, kept)
            self._outcomes.append(written)
        moved = apply_objects(self._cluster, ways)
        self._outcomes += moved
        old_ways = self._old_ways(request, ways)
        if any(outcome.changed for outcome in moved) or before != wanted:
            self._taken_up(request, ways)
        self._outcomes += delete_objects(self._cluster, old_ways)
        leftovers = self._leftovers(request, wanted)
        gone = {object_name(request.name, one) for one in before.running}
        # Without a change of state: a call before this one was killed here, and nobody knows since when they get no requests.
        if leftovers and (before == wanted or any(obj["metadata"]["name"] in gone for obj in leftovers)):
            time.sleep(self._settings.drain_seconds)
        if leftovers:
            # Another call at the same time may need them, or have sent requests to them.
            self._not_changed(request, kept)
            self._outcomes += [outcome for outcome in apply_objects(self._cluster, ways) if outcome.changed]
        self._outcomes += delete_objects(self._cluster, leftovers)
        # A rollback at once would take pods for its own that are about to end.
        end = time.monotonic() + _END_SECONDS
        while any(self._pods_of(request, obj, ending=False) for obj in leftovers) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)

    def _old_ways(self, request: Request, ways: list[Object]) -> list[Object]:
        """Returns the objects of a route that are needed no more: a Mapping of a canary that is none."""
        if self._settings.gateway == "none":
            return []
        names = {obj["metadata"]["name"] for obj in ways}
        return [obj for obj in self._live_ways(request) if obj["metadata"]["name"] not in names]

    def _live_ways(self, request: Request) -> list[Object]:
        api_version, kind = routes.KINDS[self._settings.gateway]
        if not self._cluster.serves(api_version, kind):
            return []
        home = routes.place(request.namespace, self._settings)
        selector = f"{engines.selector(request.name)},openmlops.io/model-namespace={request.namespace}"
        return self._cluster.list(api_version, kind, home, label_selector=selector)

    def _keep(self, request: Request, fresh: Object, kept: Object | None) -> Object:
        """Writes the state down and returns what is kept now."""
        try:
            if kept is None:
                return self._cluster.create(fresh)
            version = kept["metadata"]["resourceVersion"]
            return self._cluster.replace({**fresh, "metadata": {**fresh["metadata"], "resourceVersion": version}})
        except (Conflict, NotFound):
            raise self._rivalled(request) from None

    def _not_changed(self, request: Request, kept: Object | None) -> None:
        """Raises ModelError when another call has written the model's state since this one did, or read it."""
        live = self._cluster.get("v1", "ConfigMap", states.config_map_name(request.name), request.namespace)
        versions = [(obj or {}).get("metadata", {}).get("resourceVersion") for obj in (kept, live)]
        if versions[0] != versions[1]:
            raise self._rivalled(request)

    @staticmethod
    def _rivalled(request: Request) -> ModelError:
        return ModelError(f"model {request.namespace}/{request.name} was changed by somebody else at the same time; run again")

    def _about(self, request: Request, wanted: State) -> dict[str, t.Any]:
        stable = wanted.stable
        address = routes.url(request.name, request.namespace, self._settings)
        inside = cluster_url(request.name, request.namespace, stable) if stable else ""
        path = predict_path(request.name, stable) if stable else ""
        return {"engine": stable.engine if stable else "", "url": address, "cluster_url": inside, "predict_url": f"{address or inside}{path}"}

    def _taken_up(self, request: Request, ways: list[Object]) -> None:
        """Waits until the gateway says that it has taken up the routes, where its kind of route can say so."""
        end = time.monotonic() + _ROUTE_SECONDS
        for way in ways:
            while not (found := state_of(self._cluster.live(way))).ready:
                if time.monotonic() > end:
                    raise ModelError(f"model {request.namespace}/{request.name}: the gateway does not take up its route: {found.reason}. "
                                     "Both revisions run on.")
                time.sleep(_POLL_SECONDS)

    # -- absent -----------------------------------------------------------------------------------------------------

    def _absent(self, request: Request) -> dict[str, t.Any]:
        """Removes a model with all that belongs to it: first the way, so that requests are refused and do not fail."""
        kept = self._cluster.get("v1", "ConfigMap", states.config_map_name(request.name), request.namespace)
        ways = self._live_ways(request) if self._settings.gateway != "none" else []
        leftovers = self._leftovers(request, State())
        self._outcomes += delete_objects(self._cluster, ways, check=self._check)
        self._outcomes += delete_objects(self._cluster, leftovers, check=self._check)
        self._outcomes += delete_objects(self._cluster, [kept] if kept else [], check=self._check)
        if request.wait and not self._check:
            self._gone(request, leftovers)
        before = _readable(kept)
        return self._result(request, before, State(), None)

    def _gone(self, request: Request, leftovers: list[Object]) -> None:
        """Waits until the pods of deleted revisions are gone."""
        ended = time.monotonic() + request.wait_timeout
        names = {str((obj["metadata"].get("labels") or {}).get(REVISION_LABEL, "")): obj for obj in leftovers}
        while left := [name for name, obj in names.items() if self._pods_of(request, obj, ending=True)]:
            if time.monotonic() > ended:
                raise ModelError(f"model {request.namespace}/{request.name}: pods of {', '.join(left)} do not end "
                                 f"(kubectl get pods -n {request.namespace})")
            time.sleep(_POLL_SECONDS)

    def _pods_of(self, request: Request, obj: Object, ending: bool) -> list[Object]:
        """Returns the pods of an engine's object; with those that are ending, or without."""
        key = "serving.kserve.io/inferenceservice" if obj["kind"] == "InferenceService" else "seldon-deployment-id"
        found = self._cluster.list("v1", "Pod", request.namespace, label_selector=f"{key}={obj['metadata']['name']}")
        return [pod for pod in found if ending or not pod["metadata"].get("deletionTimestamp")]

    # -- what is told -----------------------------------------------------------------------------------------------

    def _previewed(
        self, request: Request, before: State, wanted: State, asked: Revision | None, kept: Object | None
    ) -> dict[str, t.Any]:
        ways = [labelled(obj) for obj in routes.routes(request.name, request.namespace, wanted, self._settings)]
        self._outcomes += apply_objects(self._cluster, ways, check=True)
        self._outcomes += delete_objects(self._cluster, [*self._old_ways(request, ways), *self._leftovers(request, wanted)], check=True)
        if written := _written(kept, states.config_map(request.name, request.namespace, wanted, self._about(request, wanted))):
            self._outcomes.append(written)
        return self._result(request, before, wanted, asked)

    def _result(self, request: Request, before: State, after: State, asked: Revision | None, ready: bool = True) -> dict[str, t.Any]:
        changed = before != after or any(outcome.changed for outcome in self._outcomes)
        here = next((one for one in after.running if asked and one.id == asked.id), None) or asked or after.stable
        about = self._about(request, after) if after.stable else {"url": "", "cluster_url": "", "predict_url": "", "engine": ""}
        result = {
            "changed": changed, "name": request.name, "namespace": request.namespace, "state": request.state, "ready": ready, **about,
            "revision": here.id if here else "", "uri": here.uri if here else "", "framework": here.framework if here else "",
            "protocol": here.protocol if here else "", "weights": after.weights,
            "shadow": after.shadow.id if after.shadow else "", "previous": after.previous.id if after.previous else "",
        }
        if changed:
            result["diff"] = [self._diff(request, before, after)]
            self._tell(request, after, ready)
        return result

    def _diff(self, request: Request, before: State, after: State) -> dict[str, str]:
        """Returns the states, from which all objects follow; when they are equal, the objects that somebody else had changed."""
        name = f"model {request.namespace}/{request.name}"
        shown = [masking.as_yaml(masking.masked_values(state.to_dict())) if state.stable else "" for state in (before, after)]
        if before == after:
            shown = ["", "".join(f"{outcome.ref}: {outcome.action}\n" for outcome in self._outcomes if outcome.changed)]
        return {"before_header": name, "after_header": name, "before": shown[0], "after": shown[1]}

    def _tell(self, request: Request, after: State, ready: bool) -> None:
        if not ready:
            self._say(f"{request.name}: started; requests go where they went before")
        elif after.stable is None:
            self._say(f"{request.name}: removed")
        else:
            shares = ", ".join(f"{revision} {weight} %" for revision, weight in after.weights.items())
            shadow = f", {after.shadow.id} as shadow" if after.shadow else ""
            self._say(f"{request.name}: {shares}{shadow}")


def _written(kept: Object | None, fresh: Object) -> Outcome | None:
    """Returns what writing a state down changes: the state, or the addresses beside it when the platform's name is another one."""
    if kept is not None and kept.get("data") == fresh["data"]:
        return None
    meta = fresh["metadata"]
    return Outcome(Ref("ConfigMap", meta["namespace"], meta["name"]), "updated" if kept else "created")


def _readable(kept: Object | None) -> State:
    """Returns the state for the diff of a removal, which must go on whatever the state looks like."""
    try:
        return states.of_config_map(kept)
    except ModelError:
        return State()
