# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of deployed models: JSON for programs, a page for browsers, and an answer where there is no such model.

Each model has a route of its own; what arrives here has none. Reads SETTINGS, the file that model_deployment reads too, and asks
Kubernetes with the pod's service account. Standard library only.
"""

from __future__ import annotations

import html
import http.server
import json
import os
import ssl
import threading
import time
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LABEL = "openmlops.io/model"
# Seconds for which an answer of Kubernetes is used again, and that it may take.
FRESH = 2.0
PATIENCE = 10.0
# By engine, where what it runs is listed.
LISTS = {
    "kserve": "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices",
    "seldon": "/apis/machinelearning.seldon.io/v1/namespaces/{namespace}/seldondeployments",
}
# What is told of a revision; its environment is not.
TOLD = ("revision", "uri", "framework", "protocol", "replicas")
ROLES = ("stable", "canary", "shadow", "previous")

Listing = t.Callable[[str], list[dict[str, t.Any]]]


def is_ready(obj: dict[str, t.Any]) -> bool:
    """Tells whether an InferenceService or a SeldonDeployment answers."""
    status = obj.get("status") or {}
    if "conditions" in status and obj.get("kind") != "SeldonDeployment":
        return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in status["conditions"])
    return status.get("state") == "Available"


def described(state: dict[str, t.Any], ready: dict[str, bool]) -> dict[str, t.Any]:
    """Returns what is told of a model.

    Args:
        state: as model_deployment keeps it (state.json).
        ready: by name of what the engine runs, whether it answers.
    """
    name, weights = state["name"], state.get("weights") or {}
    revisions = []
    for role in ROLES:
        found = state.get(role)
        if found:
            number = str(found.get("revision", ""))
            revisions.append({"role": role, **{key: found.get(key) for key in TOLD if found.get(key) is not None},
                              "weight": weights.get(number, 0), "ready": ready.get(f"{name}-{number}", False)})
    # What gets requests must answer: the stable one, and a canary.
    asked = [entry for entry in revisions if entry["role"] in ("stable", "canary") and (entry["weight"] or entry["role"] == "stable")]
    stable = state.get("stable") or {}
    return {
        "name": name, "namespace": state["namespace"], "engine": state.get("engine", ""), "framework": stable.get("framework", ""),
        "url": state.get("url", ""), "predict_url": state.get("predict_url", ""), "cluster_url": state.get("cluster_url", ""),
        "ready": bool(asked) and all(entry["ready"] for entry in asked), "weights": weights, "revisions": revisions,
    }


def models(settings: dict[str, t.Any], listing: Listing) -> list[dict[str, t.Any]]:
    """Returns all models, by namespace and name.

    Args:
        listing: returns the objects of a list of Kubernetes' API by its path; none where there is no such list.
    """
    found = []
    for namespace in settings["namespaces"]:
        states = listing(f"/api/v1/namespaces/{namespace}/configmaps?labelSelector={LABEL}")
        parsed = [state for state in map(_state, states) if state]
        ready: dict[str, bool] = {}
        for engine in sorted({state.get("engine", "") for state in parsed} & set(LISTS)):
            ready |= {obj["metadata"]["name"]: is_ready(obj) for obj in listing(LISTS[engine].format(namespace=namespace))}
        found += [described(state, ready) for state in parsed]
    return sorted(found, key=lambda model: (model["namespace"], model["name"]))


def _state(configmap: dict[str, t.Any]) -> dict[str, t.Any] | None:
    """Returns the state in a ConfigMap; None for one that holds none, or a model that has nothing to run.

    Whoever deploys models writes these ConfigMaps: one that is wrong must not take the list from all others.
    """
    try:
        state = json.loads((configmap.get("data") or {}).get("state.json") or "{}")
    except ValueError:
        return None
    if not isinstance(state, dict) or not any(state.get(role) for role in ROLES):
        return None
    parts = [state.get(key) or {} for key in (*ROLES, "weights")]
    if not all(isinstance(part, dict) for part in parts) or not isinstance(state.get("engine") or "", str):
        return None
    if not isinstance(state.get("name"), str) or not state["name"]:
        return None
    return {**state, "namespace": configmap["metadata"]["namespace"]}


def page(found: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> str:
    """Returns the page of the models."""
    rows = "".join(_row(model) for model in found)
    table = (
        f"<table><thead><tr><th>Model</th><th>State</th><th>Revisions</th><th>Address</th></tr></thead><tbody>{rows}</tbody></table>"
        if found else "<p>No model is deployed. <code>model_deployment</code> deploys one, from a notebook, a flow or a playbook.</p>"
    )
    home = html.escape((settings.get("public_url") or "") + "/", quote=True)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Models</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>'
        "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1d2433;background:#fff}"
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.5rem;border-bottom:1px solid #d5d9e2}"
        "code{overflow-wrap:anywhere;font-size:.9em}small{color:#525b6e}"
        "@media(prefers-color-scheme:dark){body{color:#e6e9ef;background:#14171f}th,td{border-color:#3a4152}small{color:#a9b1c2}a{color:#8fb4ff}}"
        f'</style></head><body><p><a href="{home}">Platform</a></p><h1>Models</h1>{table}</body></html>'
    )


def _row(model: dict[str, t.Any]) -> str:
    def text(value: t.Any) -> str:
        return html.escape(str(value), quote=True)

    revisions = "<br>".join(
        f"{text(entry['role'])} {text(entry.get('revision', ''))}, {text(entry['weight'])} % <small>{text(entry.get('uri', ''))}</small>"
        for entry in model["revisions"])
    address = model["predict_url"] or model["url"] or model["cluster_url"]
    return (
        f"<tr><td><b>{text(model['name'])}</b><br><small>{text(model['namespace'])}, {text(model['framework'] or model['engine'])}</small></td>"
        f"<td>{'ready' if model['ready'] else 'not ready'}</td><td>{revisions}</td><td><code>{text(address)}</code></td></tr>"
    )


def answer(method: str, target: str, accept: str, settings: dict[str, t.Any], listing: Listing) -> tuple[int, str, str]:
    """Returns status, content type and body for a request.

    Args:
        target: path of the request, as the gateway passes it on.
        accept: what the client takes.
    """
    prefix = settings["prefix"]
    path = target.partition("?")[0]
    parts = [part for part in path.removeprefix(prefix.rstrip("/")).split("/") if part]
    inside = f"{path}/".startswith(prefix)
    if path == "/healthz":
        return 200, "text/plain", "ok"
    if not inside:
        return _said(404, f"models are below {prefix}")
    if len(parts) < 2 and method not in ("GET", "HEAD"):
        return _said(405, "the list of models can be read only")
    if parts and parts[0] not in settings["namespaces"]:
        return _said(404, f"there is no namespace of models '{parts[0]}'")
    found = models(settings, listing)
    if len(parts) >= 2:
        if any((model["namespace"], model["name"]) == (parts[0], parts[1]) for model in found):
            return _said(503, f"the way to the model {parts[0]}/{parts[1]} is not open yet: ask again in a moment")
        return _said(404, f"there is no model {parts[0]}/{parts[1]}; {prefix} lists those that there are")
    if parts:
        found = [model for model in found if model["namespace"] == parts[0]]
    if "text/html" in accept:
        return 200, "text/html; charset=utf-8", page(found, settings)
    return 200, "application/json", json.dumps({"models": found}, indent=1) + "\n"


def _said(status: int, message: str) -> tuple[int, str, str]:
    return status, "application/json", json.dumps({"error": message}) + "\n"


class Kubernetes:
    """Lists objects by the pod's service account, and remembers them for a moment."""

    def __init__(self, account: Path = ACCOUNT) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        self._server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._account = account
        self._trusted = ssl.create_default_context(cafile=str(account / "ca.crt"))
        self._known: dict[str, tuple[float, list[dict[str, t.Any]]]] = {}
        self._lock = threading.Lock()

    def listing(self, path: str) -> list[dict[str, t.Any]]:
        """Returns the objects of a list; none where Kubernetes knows no such kind."""
        # One at a time: whoever waits finds the answer.
        with self._lock:
            when, items = self._known.get(path, (0.0, []))
            if time.monotonic() - when > FRESH or path not in self._known:
                items = self._ask(path)
                self._known[path] = (time.monotonic(), items)
            return items

    def _ask(self, path: str) -> list[dict[str, t.Any]]:
        # Kubernetes changes the token from time to time.
        token = (self._account / "token").read_text(encoding="utf-8").strip()
        request = urllib.request.Request(self._server + path, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self._trusted) as response:
                body = json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        kind = str(body.get("kind", "")).removesuffix("List")
        return [{"kind": kind, **item} for item in body.get("items") or []]


def handler(settings: dict[str, t.Any], listing: Listing) -> type[http.server.BaseHTTPRequestHandler]:
    """Returns the class that answers requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers one client."""

        protocol_version = "HTTP/1.1"
        timeout = 30
        server_version, sys_version = "models", ""

        def _respond(self) -> None:
            try:
                status, kind, body = answer(self.command, self.path, self.headers.get("Accept") or "", settings, listing)
            except (OSError, ValueError) as error:
                print(f"{self.command} {self.path}: {type(error).__name__}: {error}", flush=True)
                status, kind, body = _said(503, "Kubernetes does not answer: ask again in a moment")
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
            if status == 503:
                self.send_header("Retry-After", "1")
            # A body that nobody reads would be taken for the next request.
            if self.headers.get("Content-Length") not in (None, "0") or self.headers.get("Transfer-Encoding"):
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _respond

        def log_message(self, format: str, *args: t.Any) -> None:  # pylint: disable=redefined-builtin
            """Says nothing of each request: the gateway does."""

    return Handler


def main() -> None:
    """Serves on port 8080."""
    settings = json.loads(Path(os.environ["SETTINGS"]).read_text(encoding="utf-8"))
    server = http.server.ThreadingHTTPServer(("", 8080), handler(settings, Kubernetes().listing))
    server.serve_forever()


if __name__ == "__main__":
    main()
