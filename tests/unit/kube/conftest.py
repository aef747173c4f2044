# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP server that speaks as much of the Kubernetes API as a test gives it."""

from __future__ import annotations

import http.server
import json
import threading
from urllib.parse import parse_qsl, urlsplit

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import connect

AGGREGATED = {
    "/api": [{"versions": [{"version": "v1", "resources": [
        {"resource": "configmaps", "scope": "Namespaced", "responseKind": {"kind": "ConfigMap"}},
        {"resource": "namespaces", "scope": "Cluster", "responseKind": {"kind": "Namespace"}},
        {"resource": "pods", "scope": "Namespaced", "responseKind": {"kind": "Pod"}}]}]}],
    "/apis": [
        {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [
            {"resource": "deployments", "scope": "Namespaced", "responseKind": {"kind": "Deployment"}}]}]},
        {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]},
    ],
}


class Server:
    """``answers`` maps (method, path) to (status, body) or to a function of the request; ``requests`` holds what came."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        for path, groups in AGGREGATED.items():
            self.answers["GET", path] = (200, {"kind": "APIGroupDiscoveryList", "items": groups})
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self):
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = {"method": self.command, "path": url.path, "query": dict(parse_qsl(url.query)),
                           "headers": dict(self.headers), "body": json.loads(body) if body else None}
                server.requests.append(request)
                found = server.answers.get((self.command, url.path), (404, {"reason": "NotFound", "message": "not found"}))
                status, content = found(request) if callable(found) else found
                data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

            def log_message(self, *_args):
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def sent(self, method=None):
        """Returns the requests that are no discovery."""
        return [request for request in self.requests
                if request["path"] not in AGGREGATED and method in (None, request["method"])]


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    found = Server()
    yield found
    found.close()


@pytest.fixture
def cluster(server):
    return connect({"host": server.url, "api_key": "the-token"})
