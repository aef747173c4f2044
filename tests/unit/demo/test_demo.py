# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration against a small platform: what it asks for, what it tells, and that it fails when something is not as it should be."""

from __future__ import annotations

import ast
import base64
import http.server
import json
import threading
from unittest import mock

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import demo as action
from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Record
from ansible_collections.openmlops.platform.plugins.module_utils.demo import running
from ansible_collections.openmlops.platform.plugins.module_utils.demo.asking import Client, DemoError, Load, predictions, question, share
from ansible_collections.openmlops.platform.plugins.module_utils.demo.running import BETTER, Demo, _filled
from ansible_collections.openmlops.platform.plugins.plugin_utils import platform_action
from ansible_collections.openmlops.platform.tests.unit.converge.conftest import Clock
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest

STORY = action._ROOT / "examples" / "story"
TEMPLATE = json.loads((action._ROOT / "roles/prefect/files/base-job-template.json").read_text())
MODEL = "https://ml/models/models/story/v2/models/story/infer"


class Platform(FakeCluster):
    """Prefect, models and the gateway; ``fault`` names what is not as it should be."""

    def __init__(self):
        super().__init__("openmlops", "ory", "flows", "prefect", "gw")
        self.fault, self.runs, self.phase, self.asked = "", [], "Succeeded", []
        self.weights = {"first": 100}
        self.count = 0
        template = json.loads(json.dumps(TEMPLATE))
        template["variables"]["properties"]["namespace"]["default"] = "flows"
        template["variables"]["properties"]["image"]["default"] = "science:1"
        self.put(manifest("ConfigMap", "prefect-pool-default", "prefect", data={"baseJobTemplate.json": json.dumps(template)}))
        self.put(manifest("Secret", "machine-demo", "ory", data={"token": base64.b64encode(b"t0ken").decode()}))
        self.after = self._after
        self.pods = []

    def _after(self, obj):
        if obj["kind"] == "Pod":
            self.pods.append(json.loads(json.dumps(obj)))
            obj["status"] = {"phase": self.phase}

    def deploy(self, _cluster, args, **_options):
        self.weights = {"first": 100} if args.get("state") == "rolled_back" and self.fault != "rollback" else {"better": 100}
        return {"changed": args.get("state") == "absent"}

    def answer(self, token, method, url, body):
        """Answers as Prefect or as the model."""
        self.asked.append((method, url))
        if url == MODEL:
            return self._model(token)
        if url.endswith("/deployments/name/story/story"):
            return 200, {"id": "d1"}
        if url.endswith("/create_flow_run"):
            self.runs.append(body["parameters"])
            return 201, {"id": f"r{len(self.runs)}", "name": "brave-cat", "state_type": "SCHEDULED"}
        if "/flow_runs/" in url:
            if len(self.runs) == 2:
                self.weights = {"first": 90, "better": 10}
            return 200, {"id": f"r{len(self.runs)}", "name": "brave-cat", "state_type": "FAILED" if self.fault == "flow" else "COMPLETED"}
        if url.endswith("/logs/filter"):
            kind = "first" if len(self.runs) == 1 else "better"
            found = {"run": f"run-{kind}", "experiment": "3", "version": str(len(self.runs)), "row": [1.0, 2.0], "r2": 0.1 if kind == "first" else 0.5,
                     "prediction": 1.0 if kind == "first" else 2.0, "url": MODEL, "view": "story_features", "weights": {}, "revision": kind}
            return 200, [{"message": "reading"}, {"message": f"story: {json.dumps(found)}"}]
        if method == "DELETE":
            return 204, ""
        raise AssertionError(url)

    def _model(self, token):
        if not token:
            return (200 if self.fault == "open" else 401), {}
        self.count += 1
        if self.fault == "refused" and self.count > 30:
            return 503, "no healthy upstream"
        better = self.count % 100 < self.weights.get("better", 0)
        if self.fault == "share" and len(self.weights) == 2:
            better = False
        return 200, {"outputs": [{"data": [(2.0 if better else 1.0) + (self.fault == "other")]}]}


class FakeClient(Client):
    def __init__(self, platform, token):
        self.url, self._platform, self._token = "https://ml", platform, token

    def ask(self, method, url, body=None):
        return self._platform.answer(self._token, method, url, body)


@pytest.fixture
def platform(monkeypatch):
    found = Platform()
    clock = Clock()
    monkeypatch.setattr(running, "time", clock)
    about = {"url": "https://ml/NAME/", "cluster_url": "http://prefect:4200/prefect/api"}
    known = {name: Record(name, name, {key: text.replace("NAME", name) for key, text in about.items()}) for name in running.NEEDED}
    monkeypatch.setattr(record, "read_all", lambda cluster, space: known)
    monkeypatch.setattr(running, "deploy", found.deploy)
    monkeypatch.setattr(running, "Client", lambda url, authorities, token="": FakeClient(found, token))
    monkeypatch.setattr(running, "Load", lambda client, url, row: Load(client, url, row, clients=1, pause=0.0))
    found.known = known
    return found


def test_the_whole_story(platform):
    told = []
    found = Demo(platform, STORY, None, told.append).run()
    assert platform.runs == [{"alphas": [1.0], "traffic": 100, "name": "story"}, {"alphas": BETTER, "traffic": 10, "name": "story"}]
    text = "\n".join(told)
    for words in ("https://ml/prefect/runs/flow-run/r1", "https://ml/feast/p/platform/feature-view/story_features", "without a token: 401",
                  "https://ml/mlflow/#/experiments/3/runs/run-first", "It answers all of them", "none failed", MODEL):
        assert words in text
    assert found["predictions"] > 400 and found["better"]["revision"] == "better" and "t0ken" not in text
    # Nothing of the sending is left.
    assert platform.find("Pod", "story", "flows") is None and platform.find("ConfigMap", "story", "flows") is None


def test_the_pod_that_sends_the_flow(platform, tmp_path):
    data = tmp_path / "wine.csv"
    data.write_text("a;b\n1;2\n")
    Demo(platform, STORY, data, lambda line: None)._send()
    (pod,) = platform.pods
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "science:1" and "prefect --no-prompt deploy --all" in container["command"][-1]
    assert {"name": "PREFECT_API_URL", "value": "http://prefect:4200/prefect/api"} in container["env"]
    assert "{{" not in json.dumps(pod) and "parallelism" not in pod["spec"]
    Demo(platform, STORY, data, lambda line: None)._flow({"alphas": [1.0]})
    assert platform.runs == [{"alphas": [1.0], "name": "story", "data": "wine.csv"}]


@pytest.mark.parametrize(("fault", "message"), [
    ("flow", "brave-cat is FAILED: reading"), ("open", "Without a token the model answers HTTP 200"), ("other", "predicts 2.0; the flow predicted 1.0"),
    ("refused", "requests failed: .*503.*no healthy upstream"), ("share", "answers 0% of the requests"),
    ("rollback", "After the rollback the first model does not answer")])
def test_what_is_not_as_it_should_be(platform, fault, message):
    platform.fault = fault
    with pytest.raises(DemoError, match=message):
        Demo(platform, STORY, None, lambda line: None).run()


def test_a_flow_that_cannot_be_sent(platform):
    platform.phase = "Failed"
    platform.words["story", False] = "ModuleNotFoundError: no module named feast"
    with pytest.raises(DemoError, match="could not be sent to Prefect.*no module named feast"):
        Demo(platform, STORY, None, lambda line: None).run()
    assert platform.find("Pod", "story", "flows") is None


def test_what_it_needs(platform, tmp_path):
    with pytest.raises(DemoError, match="no file .*none.csv"):
        Demo(platform, STORY, tmp_path / "none.csv", lambda line: None)
    with pytest.raises(DemoError, match="no .*flow.py"):
        Demo(platform, tmp_path, None, lambda line: None)
    with pytest.raises(DemoError, match="no token of the machine other"):
        Demo(platform, STORY, None, lambda line: None, machine="other")
    del platform.known["feast"]
    with pytest.raises(DemoError, match="needs feast, which this platform does not have"):
        Demo(platform, STORY, None, lambda line: None)


def test_the_action(platform, monkeypatch):
    monkeypatch.setattr(platform_action, "connect", lambda args: platform)

    def act(check=False, **args):
        task = mock.MagicMock(args=args, check_mode=check, diff=False, async_val=0)
        found = action.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), Templar(DataLoader(), {}), mock.MagicMock())
        found.say = mock.MagicMock()
        return found.run(task_vars={})

    assert act(check=True)["skipped"] and act()["demo"]["url"] == MODEL
    assert act(state="absent")["changed"] and ("DELETE", "https://ml/prefect/api/deployments/d1") in platform.asked
    platform.fault = "open"
    with pytest.raises(AnsibleActionFail, match="Without a token"):
        act()


# -- asking ---------------------------------------------------------------------------------------------------------


def test_requests_and_answers():
    assert question([[1.0, 2.0], [3.0, 4.0]])["inputs"][0] == {"name": "rows", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
    assert predictions(200, {"outputs": [{"data": [1]}]}) == [1.0]
    for status, answer in ((200, "page"), (200, {"outputs": []}), (503, {"outputs": [{"data": [1]}]}), (200, {"outputs": [{"data": ["x"]}]})):
        with pytest.raises(DemoError, match="no prediction"):
            predictions(status, answer)
    assert share([1.0, 2.0, 2.0, 1.0], 2.0) == 0.5


def test_a_client_over_http():
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(b'{"a": 1}')

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        client = Client(f"http://127.0.0.1:{server.server_port}", token="t")
        assert client.ask("POST", "/x", {"b": 2}) == (302, {"a": 1})
        path, headers, body = seen[0]
        assert (path, headers["Authorization"], json.loads(body)) == ("/x", "Bearer t", {"b": 2})
        with pytest.raises(DemoError, match="HTTP 302"):
            client.need("POST", "/x", {})
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(DemoError, match="cannot be asked from here"):
        Client("http://127.0.0.1:1").ask("GET", "/")


def test_placeholders():
    values = {"a": 1, "b": None}
    assert _filled({"x": "{{ a }}", "y": ["{{ a }}", "z"], "gone": "{{ b }}", "unknown": "{{ c }}", "completions": 1}, values) == {"x": 1, "y": [1, "z"]}


# -- the files of the story -----------------------------------------------------------------------------------------


def test_the_storys_files_fit_together():
    notebook = json.loads((STORY / "story.ipynb").read_text())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for text in [*code, *((STORY / name).read_text() for name in ("flow.py", "training.py"))]:
        ast.parse(text, feature_version=(3, 11))  # the Python of the image
    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in notebook["cells"])
    deployments = yaml.safe_load((STORY / "prefect.yaml").read_text())["deployments"]
    assert [(entry["name"], entry["entrypoint"]) for entry in deployments] == [("story", "flow.py:story")]
    assert 'run_deployment("story/story"' in "\n".join(code) and '@flow(name="story"' in (STORY / "flow.py").read_text()
