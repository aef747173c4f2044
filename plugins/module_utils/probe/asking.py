# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Oathkeeper and the gateway really decide."""

from __future__ import annotations

import json
import ssl
import threading
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable
from ansible_collections.openmlops.platform.plugins.module_utils.kube.forward import PodClient
from ansible_collections.openmlops.platform.plugins.module_utils.probe.lines import ALLOWED, FORBIDDEN, LOGIN, UNKNOWN, Line
from ansible_collections.openmlops.platform.plugins.module_utils.probe.visitors import Visitor

try:
    import urllib3
except ImportError:  # pragma: no cover - kube.client tells it
    pass

_DECISIONS = {200: ALLOWED, 401: LOGIN, 403: FORBIDDEN, 404: UNKNOWN}
# An answer 404 without a body: a gateway without a route says so, and some services do.
NOTHING = "nothing there"
_NO_RULE = "does not match any rule"
_SELECTOR = "openmlops.io/component=ory,openmlops.io/part=oathkeeper"
_PAGE = 500


class Oathkeeper:
    """All ready pods of Oathkeeper, asked as a gateway asks them. For several threads at once.

    Args:
        port: of the decisions API.
    """

    def __init__(self, cluster: Cluster, namespace: str, port: int) -> None:
        self._cluster, self._namespace, self._port = cluster, namespace, port
        self._kept = threading.local()
        self._all: list[PodClient] = []
        self._next = 0
        self.pods = self._ready()

    def loaded(self, pod: str) -> list[dict[str, t.Any]]:
        """Returns the rules that a pod has loaded."""
        client = PodClient(self._cluster, self._namespace, pod, self._port)
        found: list[dict[str, t.Any]] = []
        try:
            while True:
                status, body = client.ask("GET", f"/rules?limit={_PAGE}&offset={len(found)}", {"Accept": "application/json"})
                if status != 200:
                    raise Unreachable(0, "NoRules", f"Oathkeeper ({pod}) would not list its rules: HTTP {status}")
                page = json.loads(body)
                found += page
                if len(page) < _PAGE:
                    return found
        finally:
            client.close()

    def decide(self, line: Line, visitor: Visitor) -> str:
        """Returns the decision on a line; what is no decision as Oathkeeper's own words."""
        # The method is the real one: Oathkeeper judges, and passes nothing on.
        status, body = self._client().ask(line.method, f"/decisions{line.path}", {
            "Host": line.host, "X-Forwarded-Proto": "https", "Accept": "application/json", **visitor.headers})
        if status in _DECISIONS:
            return _DECISIONS[status]
        return f"HTTP {status}{_message(body)}"

    def close(self) -> None:
        """Ends all connections."""
        for client in self._all:
            client.close()

    def _client(self) -> PodClient:
        found = getattr(self._kept, "client", None)
        if found is None:
            pod = self.pods[self._next % len(self.pods)]
            self._next += 1
            found = self._kept.client = PodClient(self._cluster, self._namespace, pod, self._port)
            self._all.append(found)
        return found

    def _ready(self) -> list[str]:
        found = self._cluster.list("v1", "Pod", self._namespace, label_selector=_SELECTOR)
        names = sorted(pod["metadata"]["name"] for pod in found if not pod["metadata"].get("deletionTimestamp") and any(
            one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions") or []))
        if not names:
            raise Unreachable(
                0, "NoOathkeeper", f"No pod of Oathkeeper is ready in namespace {self._namespace}, so everything is refused; "
                "see `make status`")
        return names


class Gateway:
    """The gateway, as a client meets it. For several threads at once.

    Args:
        scheme: http or https.
        port: number.
        authorities: certificates in PEM that are trusted beside the system's.
    """

    def __init__(self, scheme: str, port: int, authorities: str, threads: int) -> None:
        self._scheme, self._port = scheme, port
        context = ssl.create_default_context()
        if authorities:
            context.load_verify_locations(cadata=authorities)
        self._pool = urllib3.PoolManager(
            maxsize=threads, ssl_context=context, retries=False, timeout=urllib3.Timeout(connect=3.0, read=30.0))

    def unreachable(self, host: str) -> str:
        """Returns why a host cannot be asked from here; "" when it can."""
        try:
            self._pool.request("GET", self._url(host, "/"), redirect=False, headers={"Accept": "application/json"})
        except urllib3.exceptions.HTTPError as error:
            return f"{self._url(host, '')}: {str(getattr(error, 'reason', None) or error).split(': ', 1)[-1]}"
        return ""

    def decide(self, line: Line, visitor: Visitor) -> str:
        """Returns what became of a request: a decision, or what the gateway said."""
        try:
            answer = self._pool.request(line.method, self._url(line.host, line.path), redirect=False,
                                        headers={"Accept": "application/json", **visitor.headers})
        except urllib3.exceptions.HTTPError as error:
            return f"no answer ({type(error).__name__})"
        return judged(answer.status, answer.data, line.method)

    def _url(self, host: str, path: str) -> str:
        return f"{self._scheme}://{host}:{self._port}{path}"


def judged(status: int, body: bytes, method: str = "GET") -> str:
    """Returns what a client's answer says of the decision.

    A refusal is Oathkeeper's own, by its form; an answer of any other form came from the service, or from the gateway on
    its way there. Without a body, as to HEAD, the status must do.
    """
    if status in (401, 403) and (method == "HEAD" or _code(body) == status):
        return _DECISIONS[status]
    if status == 404 and _NO_RULE in _message(body):
        return UNKNOWN
    if status == 404 and not body:
        return NOTHING
    if status >= 500 and not body:
        return f"HTTP {status} without a decision"
    return ALLOWED


def _error(body: bytes) -> dict[str, t.Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found["error"] if isinstance(found, dict) and isinstance(found.get("error"), dict) else {}


def _code(body: bytes) -> int:
    found = _error(body).get("code")
    return found if isinstance(found, int) else 0


def _message(body: bytes) -> str:
    found = _error(body)
    told = str(found.get("message") or found.get("reason") or "")[:200]
    return f": {told}" if told else ""
