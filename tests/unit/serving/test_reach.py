# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How MLflow and model servers are asked from inside and outside; against real sockets where that is the point."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden, Unreachable
from ansible_collections.openmlops.platform.plugins.module_utils.serving import reach as reaching
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.reach import Inside, Outside
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import Revision
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest
from ansible_collections.openmlops.platform.tests.unit.serving.world import settings

MODEL = Revision(uri="s3://b/a", given="", framework="sklearn", protocol="v2", engine="kserve")


@pytest.fixture
def server():
    """Answers what it was asked; 503 below /v2/models/slow."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            answer = json.dumps({"method": self.command, "path": self.path, "body": body}).encode()
            self.send_response(503 if "/slow/" in self.path else 200)
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_args):
            pass

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


def test_mlflow_from_inside(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")
    inside = Inside(settings(tracking_uri=f"{server}/mlflow"))
    status, body = inside.mlflow("POST", "/mlflow/api?x=1", {"a": 1})
    assert status == 200 and json.loads(body) == {"method": "POST", "path": "/mlflow/api?x=1", "body": '{"a": 1}'}
    assert inside.mlflow("GET", "/slow/", None)[0] == 503
    with pytest.raises(ModelError, match="MLflow does not answer at http://127.0.0.1:1"):
        Inside(settings(tracking_uri="http://127.0.0.1:1")).mlflow("GET", "/", None)


def test_a_model_from_inside(server, monkeypatch):
    monkeypatch.setattr(reaching, "cluster_url", lambda *_args: f"{server}/")
    inside = Inside(settings())
    assert inside.ready("wine", "models", MODEL) is True and inside.ready("slow", "models", MODEL) is False
    monkeypatch.setattr(reaching, "cluster_url", lambda *_args: "http://127.0.0.1:1/")
    assert inside.ready("wine", "models", MODEL) is False


class FakePod:
    """Stands in for a forwarded port; ``said`` is what pods answer, unless asking ``fails``."""

    opened: list = []
    said: object = (200, b"{}")
    fails: Exception | None = None

    def __init__(self, _cluster, namespace, pod, port, _seconds):
        self.place = (namespace, pod, port)
        FakePod.opened.append(self)
        self.asked, self.closed = [], False

    def ask(self, method, path, headers, content=None):
        self.asked.append((method, path, dict(headers), content))
        if FakePod.fails is not None:
            raise FakePod.fails
        return FakePod.said

    def close(self):
        self.closed = True


@pytest.fixture
def outside(world, monkeypatch):
    FakePod.opened, FakePod.said, FakePod.fails = [], (200, b"{}"), None
    monkeypatch.setattr(reaching, "PodClient", FakePod)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    world.put(manifest("Service", "mlflow", "mlflow", spec={"selector": {"app": "mlflow"}, "ports": [{"port": 5000, "targetPort": "web"}]}))
    for name, status in (("starting", {"phase": "Pending"}), ("up", ready)):
        world.put(manifest("Pod", f"mlflow-{name}", "mlflow", metadata={"labels": {"app": "mlflow"}}, status=status, spec={
            "containers": [{"name": "m", "ports": [{"name": "web", "containerPort": 5001}]}]}))
    return Outside(world, settings())


def test_mlflow_from_outside(outside):
    outside.mlflow("GET", "/mlflow/a", None)
    outside.mlflow("POST", "/mlflow/b", {"x": 1})
    (pod,) = FakePod.opened
    assert pod.place == ("mlflow", "mlflow-up", 5001)
    (get, post) = pod.asked
    # MLflow refuses names that are not its own.
    assert get[2]["Host"] == "mlflow.mlflow.svc.cluster.local:5000" and get[3] is None and "Content-Type" not in get[2]
    assert json.loads(post[3]) == {"x": 1} and post[2]["Content-Type"] == "application/json"
    outside.close()
    assert pod.closed


def test_mlflow_that_is_not_there(world, outside):
    del world.objects["Pod", "mlflow", "mlflow-up"]
    with pytest.raises(ModelError, match="No pod of MLflow is ready"):
        outside.mlflow("GET", "/", None)
    del world.objects["Service", "mlflow", "mlflow"]
    with pytest.raises(ModelError, match="no Service mlflow/mlflow of MLflow"):
        outside.mlflow("GET", "/", None)


def test_a_model_from_outside(world, outside, deploy):
    assert outside.ready("wine", "models", MODEL) is False and FakePod.opened == []
    found = deploy(model_uri="s3://b/a", framework="sklearn")
    assert found["revision"] == MODEL.id and outside.ready("wine", "models", MODEL) is True
    assert FakePod.opened[0].place == ("models", f"wine-{MODEL.id}-predictor-0", 8080) and FakePod.opened[0].closed
    assert FakePod.opened[0].asked[0][1] == "/v2/models/wine/ready"
    FakePod.said = (503, b"")
    assert outside.ready("wine", "models", MODEL) is False
    FakePod.fails = Unreachable(0, "Unreachable", "no answer")
    assert outside.ready("wine", "models", MODEL) is False
    FakePod.fails = Forbidden(403, "NoForward", "no right")
    with pytest.raises(Forbidden):
        outside.ready("wine", "models", MODEL)
