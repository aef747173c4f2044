# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of examples/story on a running platform: each step for real, told with the address where it can be seen."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object, labelled
from ansible_collections.openmlops.platform.plugins.module_utils.converge.pods import trouble
from ansible_collections.openmlops.platform.plugins.module_utils.demo.asking import Client, DemoError, Load, predictions, question, share
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.serving.client import deploy
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError

NEEDED = ("mlflow", "prefect", "dask", "feast", "models")
NAME = "story"
_FILES = ("flow.py", "training.py", "prefect.yaml")
_FLOW_SECONDS = 900.0
_POD_SECONDS = 300.0
FIRST, BETTER = [1.0], [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001]
# Of 300 requests at ten percent, so few or many come once in some ten thousand times.
_SHARE = (0.03, 0.2)


class Demo:
    """One showing.

    Args:
        folder: examples/story.
        data: a CSV file of the user's, or None for scikit-learn's.
        space: the platform's own namespace. models: the namespace of models. ory: of the machine's Secret.
        machine: whose token is used.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, data: Path | None, say: t.Callable[[str], None], *,
        space: str = "openmlops", models: str = "models", ory: str = "ory", machine: str = "demo",
    ) -> None:
        self._cluster, self._folder, self._data, self._say, self._models = cluster, folder, data, say, models
        self._known = record.read_all(cluster, space)
        self._check()
        self.client, self._nobody = self._clients(ory, machine)
        self._step = 0

    def run(self) -> dict[str, t.Any]:
        """Shows everything and returns what came of it.

        Raises:
            DemoError: when something is not as it should be.
        """
        self._tell("The flow goes to Prefect", f"{self._page('prefect')}deployments")
        self._send()
        self._tell("Features, training on Dask, a first model: the flow runs", "")
        first = self._flow({"alphas": FIRST, "traffic": 100})
        self._tell(f"Features in Feast: view {first['view']}", f"{self._page('feast')}p/platform/feature-view/{first['view']}")
        self._tell(f"Run and model in MLflow: R² {first['r2']:.3f}, version {first['version']} of {NAME}",
                   f"{self._page('mlflow')}#/experiments/{first['experiment']}/runs/{first['run']}")
        self._answers(first)
        with Load(self.client, first["url"], first["row"]) as load:
            load.more(20)
            self._tell("A better model, while requests go on: the flow runs again", "")
            better = self._flow({"alphas": BETTER, "traffic": 10})
            self._canary(first, better, load)
            self._replaced(better, load)
            self._back(first, load)
        load.check()
        self._tell(f"{len(load.answers)} predictions meanwhile, none failed", first["url"])
        return {"first": first, "better": better, "predictions": len(load.answers), "url": first["url"]}

    def absent(self) -> bool:
        """Takes the deployed model and the flow away; returns whether there were any. Features, runs and models stay."""
        changed = bool(self._deploy(state="absent")["changed"])
        status, found = self.client.ask("GET", f"{self._api()}/deployments/name/{NAME}/{NAME}")
        if status == 200:
            self.client.need("DELETE", f"{self._api()}/deployments/{found['id']}")
        return changed or status == 200

    # -- what it stands on ------------------------------------------------------------------------------------------

    def _check(self) -> None:
        missing = [name for name in NEEDED if name not in self._known or self._known[name].about.get("removed")]
        if missing:
            raise DemoError(f"The demonstration needs {', '.join(missing)}, which this platform does not have: add kserve (or seldon), "
                            "mlflow, prefect, dask and feast to platform_components and run the platform's playbook")
        if not self._page("prefect"):
            raise DemoError("The demonstration goes through the gateway, and there is none: platform_gateway is none")
        if self._data and not self._data.is_file():
            raise DemoError(f"platform_demo_data: there is no file {self._data}")
        lacking = [name for name in _FILES if not (self._folder / name).is_file()]
        if lacking:
            raise DemoError(f"There is no {self._folder / lacking[0]}: the demonstration lies in examples/story of the collection")

    def _page(self, component: str) -> str:
        return str(self._known[component].about.get("url") or "")

    def _api(self) -> str:
        return f"{self._page('prefect')}api"

    def _clients(self, ory: str, machine: str) -> tuple[Client, Client]:
        token = self._secret(ory, f"machine-{machine}", "token")
        if not token:
            raise DemoError(f"There is no token of the machine {machine} (Secret {ory}/machine-{machine}): run playbooks/demo.yml, which makes it")
        authorities = ""
        for found in self._known.values():
            gateway = found.catalogue.get("gateway") or {}
            if gateway.get("gateway_namespace"):
                authorities = authorities or self._secret(str(gateway["gateway_namespace"]), "platform-ca-certificate", "ca.crt")
        return Client("", authorities, token), Client("", authorities)

    def _secret(self, namespace: str, name: str, key: str) -> str:
        found = self._cluster.get("v1", "Secret", name, namespace) or {}
        return base64.b64decode((found.get("data") or {}).get(key, "")).decode()

    # -- steps ------------------------------------------------------------------------------------------------------

    def _tell(self, what: str, where: str) -> None:
        self._step += 1
        self._say(f"{self._step}  {what}" + (f"\n       {where}" if where else ""))

    def _send(self) -> None:
        """Deploys the flow from a pod that is as those of flows are."""
        spec = self._pod_spec()
        container = spec["containers"][0]
        container["command"] = ["sh", "-euc", "cp /story/* /work/; cd /work; exec prefect --no-prompt deploy --all"]
        container["env"] = [entry for entry in container["env"] if entry["name"] != "PREFECT_API_URL"]
        container["env"].append({"name": "PREFECT_API_URL", "value": f"{self._known['prefect'].about['cluster_url']}"})
        container["volumeMounts"] = [*container["volumeMounts"], {"name": "story", "mountPath": "/story", "readOnly": True}]
        spec["volumes"] = [*spec["volumes"], {"name": "story", "configMap": {"name": "story"}}]
        space = self._flow_namespace()
        texts = {name: (self._folder / name).read_text(encoding="utf-8") for name in _FILES}
        if self._data:
            texts[self._data.name] = self._data.read_text(encoding="utf-8")
        files: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "story", "namespace": space}, "data": texts}
        pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "story", "namespace": space, "labels": dict(LABELS)}, "spec": spec}
        self._remove(pod)
        self._cluster.apply(labelled(files))
        try:
            self._cluster.create(pod)
            self._finished(pod)
        finally:
            self._remove(pod)
            self._cluster.delete(files)

    def _template(self) -> dict[str, t.Any]:
        space = self._known["prefect"].namespace
        found = self._cluster.get("v1", "ConfigMap", "prefect-pool-default", space)
        if found is None:
            raise DemoError(f"There is no work pool default (ConfigMap {space}/prefect-pool-default): the flow names that one (prefect_work_pools)")
        return json.loads(found["data"]["baseJobTemplate.json"])

    def _flow_namespace(self) -> str:
        return str(self._template()["variables"]["properties"]["namespace"]["default"])

    def _pod_spec(self) -> Object:
        """Returns the pod's spec of a flow, with the values that a flow has by default."""
        template = self._template()
        values = {key: entry.get("default") for key, entry in template["variables"]["properties"].items()}
        return _filled(template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"], values)

    def _finished(self, pod: Object) -> None:
        meta, end = pod["metadata"], time.monotonic() + _POD_SECONDS
        while True:
            live = self._cluster.live(pod) or {}
            phase = (live.get("status") or {}).get("phase")
            if phase == "Succeeded":
                return
            if phase == "Failed" or time.monotonic() > end:
                words = self._cluster.logs(meta["namespace"], meta["name"], lines=15).strip()
                found = trouble(live) if live else None
                raise DemoError(f"The flow could not be sent to Prefect (pod {meta['namespace']}/{meta['name']}, {phase}): "
                                f"{words or (found.reason if found else 'it says nothing')}")
            time.sleep(1.0)

    def _remove(self, pod: Object) -> None:
        self._cluster.delete(pod)
        end = time.monotonic() + 60.0
        while self._cluster.live(pod) is not None and time.monotonic() < end:
            time.sleep(0.5)

    def _flow(self, parameters: dict[str, t.Any]) -> dict[str, t.Any]:
        """Runs the flow and returns what it tells."""
        deployment = self.client.need("GET", f"{self._api()}/deployments/name/{NAME}/{NAME}")
        more = {"name": NAME, "data": self._data.name} if self._data else {"name": NAME}
        run = self.client.need("POST", f"{self._api()}/deployments/{deployment['id']}/create_flow_run",
                               {"parameters": {**parameters, **more}, "state": {"type": "SCHEDULED"}})
        self._say(f"   {self._page('prefect')}runs/flow-run/{run['id']}")
        end = time.monotonic() + _FLOW_SECONDS
        while run["state_type"] not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            if time.monotonic() > end:
                raise DemoError(f"The flow run {run['name']} has not ended after {_FLOW_SECONDS:.0f} s; it is {run['state_type']}")
            time.sleep(2.0)
            run = self.client.need("GET", f"{self._api()}/flow_runs/{run['id']}")
        return self._told(run)

    def _told(self, run: dict[str, t.Any]) -> dict[str, t.Any]:
        """Returns what a run printed as its result; its last words arrive a little after its state."""
        end = time.monotonic() + 60.0
        while True:
            entries = self.client.need("POST", f"{self._api()}/logs/filter", {
                "logs": {"flow_run_id": {"any_": [run["id"]]}}, "sort": "TIMESTAMP_ASC", "limit": 200})
            lines = [str(entry["message"]) for entry in entries]
            if run["state_type"] != "COMPLETED":
                raise DemoError(f"The flow run {run['name']} is {run['state_type']}: {' | '.join(lines[-8:])[-2500:]}")
            for line in lines:
                if line.startswith("story: {"):
                    return json.loads(line.removeprefix("story: "))
            if time.monotonic() > end:
                raise DemoError(f"The flow run {run['name']} does not tell what came of it")
            time.sleep(1.0)

    def _answers(self, first: dict[str, t.Any]) -> None:
        """Asks the model with a token, and without."""
        found = predictions(*self.client.ask("POST", first["url"], question([first["row"]])))[0]
        if share([found], first["prediction"]) != 1:
            raise DemoError(f"The deployed model predicts {found}; the flow predicted {first['prediction']}")
        status, _answer = self._nobody.ask("POST", first["url"], question([first["row"]]))
        if status != 401:
            raise DemoError(f"Without a token the model answers HTTP {status}, not 401: see `make probe`")
        self._tell(f"The deployed model answers through the gateway: {found:.1f}; without a token: 401", first["url"])

    def _canary(self, first: dict[str, t.Any], better: dict[str, t.Any], load: Load) -> None:
        part = share(load.more(300), better["prediction"])
        if not _SHARE[0] < part < _SHARE[1]:
            raise DemoError(f"The better model answers {part:.0%} of the requests; it should be about 10 %")
        self._tell(f"R² {better['r2']:.3f} in place of {first['r2']:.3f}: it answers {part:.0%} of the requests", better["url"])

    def _replaced(self, better: dict[str, t.Any], load: Load) -> None:
        self._deploy(model_uri=f"models:/{NAME}/{better['version']}")
        if share(load.more(50), better["prediction"]) != 1:
            raise DemoError("The better model does not answer all requests")
        self._tell("It answers all of them", better["url"])

    def _back(self, first: dict[str, t.Any], load: Load) -> None:
        self._deploy(state="rolled_back")
        if share(load.more(50), first["prediction"]) != 1:
            raise DemoError("After the rollback the first model does not answer all requests")
        self._tell("And back: the first model answers again", first["url"])

    def _deploy(self, **args: t.Any) -> dict[str, t.Any]:
        quiet: t.Callable[[str], None] = lambda _line: None
        try:
            return deploy(self._cluster, {"name": NAME, **args}, inside=False, say=quiet, check=False, home=self._models)
        except ModelError as error:
            raise DemoError(str(error)) from None


def _filled(value: t.Any, values: dict[str, t.Any]) -> t.Any:
    """Returns a part of a job template with the values of its placeholders; what has none is left out."""
    if isinstance(value, dict):
        found = {key: _filled(entry, values) for key, entry in value.items()}
        # These stand in the wrong place for the worker's sake.
        return {key: entry for key, entry in found.items() if entry is not None and key not in ("parallelism", "completions")}
    if isinstance(value, list):
        return [_filled(entry, values) for entry in value]
    if isinstance(value, str) and value.startswith("{{ ") and value.endswith(" }}"):
        with contextlib.suppress(KeyError):
            return values[value[3:-3]]
        return None
    return value
