# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP with one pod, by a forwarded port: what is sent arrives as it is.

The API server's proxy for services would not do: it takes ``Authorization`` away and writes ``X-Forwarded-*`` anew
(k8s.io/apimachinery, pkg/util/proxy/transport.go).
"""

from __future__ import annotations

import http.client
import socket
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError, Unreachable

try:
    from kubernetes.client.rest import ApiException

    # What the package's own portforward() calls; that one needs the typed client, whose import takes more than a second.
    from kubernetes.stream.ws_client import portforward_call
except ImportError:  # pragma: no cover - kube.client tells it
    pass


class PodClient:
    """One connection to a port of a pod, kept open between requests. Not for several threads at once.

    Args:
        cluster: connection to the API server; needs the right to create ``pods/portforward``.
        seconds: how long an answer may take.
    """

    def __init__(self, cluster: Cluster, namespace: str, pod: str, port: int, seconds: float = 15.0) -> None:
        self.pod = pod
        self._cluster, self._namespace, self._port, self._seconds = cluster, namespace, port, seconds
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, headers: t.Mapping[str, str], content: bytes | None = None) -> tuple[int, bytes]:
        """Sends one request and returns status and body; connects anew once when the connection has ended.

        Raises:
            KubeError: when the API server does not forward the port.
            Unreachable: without an answer from the pod.
        """
        for again in (True, False):
            fresh = self._connection is None
            try:
                return self._ask(method, path, headers, content)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh or not again:
                    raise Unreachable(
                        0, "Unreachable", f"No answer from port {self._port} of pod {self._namespace}/{self.pod}: {error or type(error).__name__}"
                    ) from error
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, method: str, path: str, headers: t.Mapping[str, str], content: bytes | None) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.pod)
            self._connection.sock = self._forwarded()
        self._connection.request(method, path, content, dict(headers))
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, body

    def _forwarded(self) -> socket.socket:
        settings = self._cluster.configuration
        headers = {name["key"].lower(): name["value"] for name in settings.auth_settings().values() if name.get("in") == "header" and name.get("value")}
        try:
            opened = portforward_call(
                settings, "GET", f"{settings.host}/api/v1/namespaces/{self._namespace}/pods/{self.pod}/portforward",
                query_params=[("ports", str(self._port))], headers=headers,
            )
        except ApiException as error:
            raise KubeError(
                int(error.status or 0), "NoForward",
                f"Port {self._port} of pod {self._namespace}/{self.pod} cannot be forwarded: {str(error.reason).strip()[:300]}. "
                f"This needs the right to create pods/portforward in namespace {self._namespace}.",
            ) from error
        found = opened.socket(self._port)
        found.settimeout(self._seconds)
        return found
