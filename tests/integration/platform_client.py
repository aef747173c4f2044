# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform as its users meet it: by the gateway's address, with the platform's own certificate authority."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import socket
import ssl
import urllib.parse
from pathlib import Path

import requests


@dataclasses.dataclass
class Gateway:
    """The way in: its address, and the file with the authority that signed its certificate."""

    url: str
    ca: Path

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).hostname

    @property
    def port(self) -> int:
        parts = urllib.parse.urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """Trusts the platform's authority."""
        return ssl.create_default_context(cafile=self.ca)

    def connect(self, seconds: float = 15.0, *protocols: str) -> ssl.SSLSocket:
        """Returns a connection with TLS, for whatever bytes; ``protocols`` are what ALPN offers."""
        context = self.context
        if protocols:
            context = ssl.create_default_context(cafile=self.ca)
            context.set_alpn_protocols(protocols)
        return context.wrap_socket(socket.create_connection((self.host, self.port), seconds), server_hostname=self.host)

    def session(self, token: str = "") -> requests.Session:
        """Returns an HTTP session that follows no redirect by itself."""
        found = requests.Session()
        found.trust_env = False  # REQUESTS_CA_BUNDLE would win over the authority
        found.verify = str(self.ca)
        if token:
            found.headers["Authorization"] = f"Bearer {token}"
        return found

    def ask(self, path: str, method: str = "GET", token: str = "", **options) -> requests.Response:
        """Sends one request, as a client that is no browser."""
        with self.session(token) as session:
            return session.request(method, self.url + path, allow_redirects=False, timeout=30, **options)

    def login(self, identifier: str, password: str) -> str:
        """Logs in as a program does; returns the session token."""
        with self.session() as session:
            flow = session.get(f"{self.url}/.ory/kratos/public/self-service/login/api", timeout=30)
            assert flow.status_code == 200, flow.text[:500]
            answer = session.post(flow.json()["ui"]["action"], timeout=30, json={
                "method": "password", "identifier": identifier, "password": password})
            assert answer.status_code == 200, answer.text[:500]
            return answer.json()["session_token"]

    def browser_login(self, identifier: str, password: str) -> requests.Session:
        """Logs in as a browser does; returns the HTTP session with its cookies."""
        browser = self.session()
        flow = browser.get(f"{self.url}/.ory/kratos/public/self-service/login/browser", timeout=30, headers={"Accept": "application/json"})
        assert flow.status_code == 200, flow.text[:500]
        csrf = next(node["attributes"]["value"] for node in flow.json()["ui"]["nodes"] if node["attributes"]["name"] == "csrf_token")
        answer = browser.post(flow.json()["ui"]["action"], timeout=30, headers={"Accept": "application/json"}, json={
            "method": "password", "identifier": identifier, "password": password, "csrf_token": csrf})
        assert answer.status_code == 200, answer.text[:500]
        return browser

    def raw(self, data: bytes, seconds: float = 15.0) -> bytes:
        """Sends bytes as they are and returns the head of the answer and what follows at once."""
        with self.connect(seconds) as secure:
            secure.sendall(data)
            answer = b""
            while b"\r\n\r\n" not in answer and len(answer) < 65536:
                try:
                    part = secure.recv(65536)
                except (TimeoutError, ssl.SSLError, ConnectionError):
                    break
                if not part:
                    break
                answer += part
            return answer


def csrf(flow: dict) -> str:
    """Returns the token against forged requests of a browser's flow."""
    return next(node["attributes"]["value"] for node in flow["ui"]["nodes"] if node["attributes"].get("name") == "csrf_token")


def secret(cluster, namespace: str, name: str, key: str) -> str:
    """Returns a value of a Secret of the cluster."""
    return base64.b64decode(cluster.get("secret", "-n", namespace, name)["data"][key]).decode()


def gateway_of(cluster, folder: Path) -> Gateway:
    """Returns the gateway of a cluster whose TLS is by the platform's own authority."""
    status = json.loads(cluster.run("status", OUTPUT="json").ok().text)
    authority = folder / "ca.crt"
    authority.write_text(secret(cluster, "envoy-gateway", "platform-ca-certificate", "ca.crt"))
    return Gateway(status["gateway"]["url"], authority)
