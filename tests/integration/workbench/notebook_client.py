# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person at a browser: logs in, starts a notebook server and runs code in it, all through the gateway."""

from __future__ import annotations

import json
import ssl
import time
import urllib.parse
import uuid

import requests
import websocket


class Person:
    """One browser: the cookies of one person.

    Args:
        gateway: platform_client.Gateway.
        email: the person's name, on the platform and in JupyterHub.
        password: of the platform.
        base: path of JupyterHub, without a final slash.
    """

    def __init__(self, gateway, email: str, password: str, base: str = "/jupyter") -> None:
        self.gateway, self.email, self.password, self.base = gateway, email, password, base
        self.http = gateway.session()
        self.http.headers["Accept"] = "text/html,application/xhtml+xml"
        self.server = f"{base}/user/{urllib.parse.quote(email, safe='@')}"

    def log_in(self) -> None:
        """Logs in on the platform as its page does."""
        self.http.cookies.clear()
        asks = {"Accept": "application/json"}
        flow = self.http.get(f"{self.gateway.url}/.ory/kratos/public/self-service/login/browser", headers=asks, timeout=30)
        assert flow.status_code == 200, flow.text[:500]
        fields = {node["attributes"]["name"]: node["attributes"].get("value") for node in flow.json()["ui"]["nodes"]}
        answer = self.http.post(flow.json()["ui"]["action"], headers=asks, timeout=30, json={
            "method": "password", "identifier": self.email, "password": self.password, "csrf_token": fields["csrf_token"]})
        assert answer.status_code == 200, answer.text[:500]

    def log_out(self) -> None:
        """Ends the platform's session as its page does; all other cookies stay in the browser."""
        asks = {"Accept": "application/json"}
        flow = self.http.get(f"{self.gateway.url}/.ory/kratos/public/self-service/logout/browser", headers=asks, timeout=30)
        assert flow.status_code == 200, flow.text[:500]
        done = self.http.get(flow.json()["logout_url"], timeout=30, allow_redirects=False)
        assert done.status_code in (302, 303), done.status_code

    def open(self, path: str, **options) -> requests.Response:
        """Opens a page; follows where it leads unless told otherwise."""
        return self.http.get(self.gateway.url + path, timeout=60, **options)

    def call(self, method: str, path: str, **options) -> requests.Response:
        """Calls an API as the page that belongs to it does, with its token against forged requests."""
        home = f"{self.base}/hub/" if path.startswith(f"{self.base}/hub/") else f"{self.server}/"
        token = next((cookie.value for cookie in self.http.cookies if cookie.name == "_xsrf" and cookie.path == home), "")
        # Chromium sends this with each call of a page's script.
        headers = {"X-XSRFToken": token, "Accept": "application/json", "Sec-Fetch-Mode": "cors", **options.pop("headers", {})}
        return self.http.request(method, self.gateway.url + path, headers=headers, timeout=60, allow_redirects=False, **options)

    def start(self, seconds: float = 400) -> float:
        """Starts the person's server by opening JupyterHub; returns the seconds until JupyterLab was there."""
        began = time.monotonic()
        self.open(f"{self.base}/")
        while time.monotonic() - began < seconds:
            page = self.open(f"{self.server}/lab", headers={"Sec-Fetch-Mode": "navigate"})
            if page.status_code == 200 and urllib.parse.urlsplit(page.url).path == f"{self.server}/lab":
                return time.monotonic() - began
            time.sleep(1)
        raise AssertionError(f"no server after {seconds} s: {page.status_code} {page.url} {page.text[-1500:]}")

    def stop(self, seconds: float = 180) -> None:
        """Stops the person's server."""
        self.open(f"{self.base}/hub/home")
        path = f"{self.base}/hub/api/users/{urllib.parse.quote(self.email, safe='@')}/server"
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            answer = self.call("DELETE", path)
            if answer.status_code == 204:
                return
            assert answer.status_code in (202, 400), answer.text[:500]  # 400: it is stopping
            time.sleep(1)
        raise AssertionError("the server does not stop")

    def run(self, code: str, seconds: float = 300) -> str:
        """Runs code in a kernel of its own, over the websocket; returns what it printed."""
        made = self.call("POST", f"{self.server}/api/kernels", json={"name": "python3"})
        assert made.status_code == 201, made.text[:500]
        kernel = f"{self.server}/api/kernels/{made.json()['id']}"
        address = f"wss{self.gateway.url.removeprefix('https')}{kernel}/channels?session_id={uuid.uuid4().hex}"
        cookies = requests.cookies.get_cookie_header(self.http.cookies, requests.Request("GET", self.gateway.url + kernel).prepare())
        channel = websocket.create_connection(address, timeout=seconds, cookie=cookies, origin=self.gateway.url,
                                              sslopt={"ca_certs": str(self.gateway.ca), "cert_reqs": ssl.CERT_REQUIRED})
        try:
            return self._execute(channel, code, time.monotonic() + seconds)
        finally:
            channel.close()
            self.call("DELETE", kernel)

    @staticmethod
    def _execute(channel: websocket.WebSocket, code: str, end: float) -> str:
        number = uuid.uuid4().hex
        channel.send(json.dumps({
            "channel": "shell", "parent_header": {}, "metadata": {}, "buffers": [],
            "header": {"msg_id": number, "msg_type": "execute_request", "username": "", "session": number, "version": "5.3", "date": ""},
            "content": {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False},
        }))
        text = ""
        while time.monotonic() < end:
            # Pings come back too: else a kernel that says nothing would keep us for ever.
            opcode, data = channel.recv_data(control_frame=True)
            if opcode != websocket.ABNF.OPCODE_TEXT:
                continue
            message = json.loads(data)
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                text += message["content"]["text"]
            elif message["msg_type"] == "error":
                raise AssertionError("\n".join(message["content"]["traceback"]))
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return text
        raise AssertionError(f"the code did not end; it printed {text!r}")
