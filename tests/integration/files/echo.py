# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that tells what reached it, for tests behind the gateway. Runs in a pod; needs only Python.

Each answer is JSON: method, path, headers, bytes of the body. ``?bytes=N`` answers N bytes instead, ``?seconds=N`` waits first, and
a websocket handshake gets 101 and each frame back. Requests with a header ``X-Mark`` are remembered; a path that ends in ``/marks``
tells them, by mark.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
MARKS: dict[str, list[str]] = {}


class Echo(BaseHTTPRequestHandler):
    """Tells what reached it."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes: without this the second waits for the client's delayed acknowledgement, 40 ms.
    disable_nagle_algorithm = True

    def _body(self) -> int:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            total = 0
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                total += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return total
        left = total = int(self.headers.get("Content-Length") or 0)
        while left and (part := self.rfile.read(min(left, 1 << 20))):  # nothing: the client is gone
            left -= len(part)
        return total

    def _websocket(self) -> None:
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + GUID).encode()).digest())
        self.connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Reached: echo\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self.close_connection = True
        while data := self.connection.recv(65536):
            self.connection.sendall(data)

    def _answer(self) -> None:
        if mark := self.headers.get("X-Mark"):
            MARKS.setdefault(mark, []).append(self.path)
        if self.headers.get("Upgrade", "").lower() == "websocket" and self.headers.get("Sec-WebSocket-Key"):
            self._websocket()
            return
        received = self._body()
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        time.sleep(float(query.get("seconds", ["0"])[0]))
        told = {
            "reached": "echo", "method": self.command, "path": self.path, "bytes": received,
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        body = json.dumps(MARKS if parts.path.endswith("/marks") else told).encode()
        left = size = int(query["bytes"][0]) if "bytes" in query else len(body)
        self.send_response(200)
        self.send_header("X-Reached", "echo")
        self.send_header("Content-Type", "application/octet-stream" if "bytes" in query else "application/json")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        if "bytes" not in query:
            self.wfile.write(body)
            return
        block = b"\0" * (1 << 20)
        while left:
            self.wfile.write(block[:min(left, len(block))])
            left -= min(left, len(block))

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _answer

    def log_message(self, *args: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Many requests at once."""

    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("", 8080), Echo).serve_forever()
