# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of deployed models."""

from __future__ import annotations

import http.client
import http.server
import importlib.util
import json
import threading
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "roles/models/files/model_index.py"
SETTINGS = {"prefix": "/models/", "public_url": "https://ml.example.org", "namespaces": ["models", "team-a"]}
URL = "https://ml.example.org/models/models/wine/"


@pytest.fixture(scope="module")
def index():
    spec = importlib.util.spec_from_file_location("model_index", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def revision(number, **more):
    return {"revision": number, "uri": f"s3://mlflow/{number}", "framework": "sklearn", "protocol": "v2", "engine": "kserve", "replicas": 1,
            "env": {"TOKEN": "geheim-1"}, "given": "models:/wine/1", "resources": {}, **more}


def state(name="wine", **more):
    return {"version": 1, "name": name, "namespace": "elsewhere", "engine": "kserve", "url": URL, "cluster_url": "http://x",
            "predict_url": f"{URL}v2/models/{name}/infer", "stable": revision("aaa"), "canary": None, "shadow": None, "previous": None,
            "weights": {"aaa": 100}, "undone": False, **more}


def configmap(content, namespace="models", name="model-wine"):
    text = content if isinstance(content, str) else json.dumps(content)
    return {"metadata": {"name": name, "namespace": namespace}, "data": {"state.json": text}}


def service(name, ready=True):
    return {"kind": "InferenceService", "metadata": {"name": name},
            "status": {"conditions": [{"type": "PredictorReady", "status": "True"}, {"type": "Ready", "status": "True" if ready else "False"}]}}


def listing(states=(), services=(), seldon=(), asked=None):
    """What Kubernetes answers for the namespace models; nothing for others."""
    def answer(path):
        if asked is not None:
            asked.append(path)
        if "/models/" not in path.replace("namespaces/models", "namespaces/models/"):
            return []
        return list(states) if "configmaps" in path else list(seldon) if "seldon" in path else list(services)

    return answer


def test_a_model(index):
    (found,) = index.models(SETTINGS, listing([configmap(state())], [service("wine-aaa")]))
    assert found == {
        "name": "wine", "namespace": "models", "engine": "kserve", "framework": "sklearn", "url": URL, "cluster_url": "http://x",
        "predict_url": f"{URL}v2/models/wine/infer", "ready": True, "weights": {"aaa": 100},
        "revisions": [{"role": "stable", "revision": "aaa", "uri": "s3://mlflow/aaa", "framework": "sklearn", "protocol": "v2",
                       "replicas": 1, "weight": 100, "ready": True}]}


def test_the_namespace_is_that_of_the_object_and_the_environment_is_not_told(index):
    text = json.dumps(index.models(SETTINGS, listing([configmap(state())], [service("wine-aaa")])))
    assert "elsewhere" not in text and "geheim-1" not in text


@pytest.mark.parametrize(("canary", "ready"), [(True, True), (False, False), (None, True)])
def test_a_model_is_ready_when_all_that_is_asked_is(index, canary, ready):
    roles = {"canary": revision("bbb"), "weights": {"aaa": 90, "bbb": 10}} if canary is not None else {}
    more = {"shadow": revision("ccc"), "previous": revision("ddd"), **roles}
    (found,) = index.models(SETTINGS, listing([configmap(state(**more))], [service("wine-aaa"), service("wine-bbb", bool(canary))]))
    assert found["ready"] is ready
    assert [entry["role"] for entry in found["revisions"]] == ["stable", *(["canary"] if roles else []), "shadow", "previous"]


def test_seldons_state(index):
    deployments = [{"kind": "SeldonDeployment", "metadata": {"name": "wine-aaa"},
                    "status": {"state": "Available", "conditions": [{"type": "Ready", "status": "False"}]}}]
    (found,) = index.models(SETTINGS, listing([configmap(state(engine="seldon"))], seldon=deployments))
    assert found["ready"]
    deployments[0]["status"]["state"] = "Creating"
    assert not index.models(SETTINGS, listing([configmap(state(engine="seldon"))], seldon=deployments))[0]["ready"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", *map(json.dumps, (
    state(stable=None), state(stable="aaa"), state(canary=["bbb"]), state(weights=[1]), state(name={"a": 1}), state(name=""), state(engine=["x"])))])
def test_what_is_no_state_is_left_out(index, content):
    """Whoever deploys writes it, and the others are listed all the same."""
    right = configmap(state("beer"), name="model-beer")
    found = index.models(SETTINGS, listing([configmap(content), {"metadata": {"name": "x", "namespace": "models"}}, right]))
    assert [model["name"] for model in found] == ["beer"]


def test_only_engines_that_run_something_are_asked(index):
    asked = []
    index.models(SETTINGS, listing([configmap(state())], asked=asked))
    assert not any("seldon" in path for path in asked) and sum("inferenceservices" in path for path in asked) == 1


@pytest.mark.parametrize(("method", "path", "accept", "status", "part"), [
    ("GET", "/models/", "application/json", 200, '"wine"'),
    ("HEAD", "/models/", "*/*", 200, '"wine"'),
    ("GET", "/models", "", 200, '"wine"'),
    ("GET", "/models/?x=1", "", 200, '"wine"'),
    ("GET", "/models/models/", "", 200, '"wine"'),
    ("GET", "/models/team-a/", "", 200, '"models": []'),
    ("GET", "/models/", "text/html,*/*;q=0.8", 200, "<table>"),
    ("GET", "/models/models/beer/v2/models/beer", "text/html", 404, "there is no model models/beer"),
    ("POST", "/models/models/beer/v2/models/beer/infer", "", 404, "there is no model models/beer"),
    ("POST", "/models/models/wine/v2/models/wine/infer", "", 503, "is not open yet"),
    ("GET", "/models/other/wine/", "", 404, "there is no namespace of models 'other'"),
    ("POST", "/models/", "", 405, "can be read only"),
    ("GET", "/modelsx/", "", 404, "models are below /models/"),
    ("GET", "/", "", 404, "models are below /models/"),
    ("GET", "/healthz", "", 200, "ok"),
])
def test_answers(index, method, path, accept, status, part):
    found = index.answer(method, path, accept, SETTINGS, listing([configmap(state())], [service("wine-aaa")]))
    assert found[0] == status and part in found[2]
    if status >= 400:
        assert found[1] == "application/json" and json.loads(found[2])["error"]


def test_the_page_says_what_others_wrote_as_text(index):
    nasty = state("<script>alert(1)</script>", stable=revision("aaa", uri='"><img src=x>'), predict_url="javascript:alert(1)")
    text = index.answer("GET", "/models/", "text/html", SETTINGS, listing([configmap(nasty)]))[2]
    assert "<script>" not in text and "<img" not in text and 'href="javascript' not in text and "not ready" in text
    assert "No model is deployed" in index.page([], SETTINGS)


@pytest.fixture
def served(index):
    """Asks a running server; the listing can be made to fail."""
    trouble = []

    def asked(path):
        if trouble:
            raise OSError("no route to host")
        return listing([configmap(state())], [service("wine-aaa")])(path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), index.handler(SETTINGS, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)

    def ask(method, path, body=None, **headers):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()

    ask.trouble = trouble
    yield ask
    connection.close()
    server.shutdown()
    server.server_close()


def test_over_http(served):
    status, headers, body = served("GET", "/models/")
    assert status == 200 and json.loads(body)["models"][0]["name"] == "wine"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store" and "Python" not in headers["Server"]
    assert served("HEAD", "/models/")[2] == ""
    # A body that is not read is not taken for the next request.
    assert served("POST", "/models/models/beer/infer", body="GET / HTTP/1.1\r\n\r\n")[0] == 404
    assert served("GET", "/healthz")[2] == "ok"


def test_kubernetes_that_does_not_answer_is_told(served):
    served.trouble.append(True)
    status, headers, body = served("GET", "/models/")
    assert status == 503 and headers["Retry-After"] == "1" and "no route" not in body
    assert served("GET", "/healthz")[0] == 200


class FakeApi(http.server.BaseHTTPRequestHandler):
    """Kubernetes: one list, and no other."""

    seen: list = []

    def do_GET(self):
        self.seen.append((self.path, self.headers["Authorization"]))
        found = self.path.startswith("/api/")
        body = json.dumps({"kind": "ConfigMapList", "items": [{"metadata": {"name": "a"}}]} if found else {}).encode()
        self.send_response(200 if found else 403 if "forbidden" in self.path else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_what_kubernetes_is_asked(index, tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "token").write_text("first\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setattr(index.ssl, "create_default_context", lambda cafile: None)
    kubernetes = index.Kubernetes(tmp_path)
    kubernetes._server = f"http://127.0.0.1:{server.server_address[1]}"
    FakeApi.seen.clear()
    assert kubernetes.listing("/api/x") == [{"kind": "ConfigMap", "metadata": {"name": "a"}}]
    assert kubernetes.listing("/api/x") and len(FakeApi.seen) == 1  # remembered for a moment
    (tmp_path / "token").write_text("second\n")
    assert kubernetes.listing("/apis/none") == []
    assert [token for _path, token in FakeApi.seen] == ["Bearer first", "Bearer second"]
    with pytest.raises(OSError):
        kubernetes.listing("/apis/forbidden")
    server.shutdown()
    server.server_close()
