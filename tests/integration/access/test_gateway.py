# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gateway does with requests besides asking who may enter: TLS, prefixes, sizes, times, websockets."""

from __future__ import annotations

import socket
import ssl
import time

import pytest
import requests

from ansible_collections.openmlops.platform.tests.integration.access.echo import reached

HANDSHAKE = ("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n")


def test_port_80_only_redirects(gateway):
    answer = requests.get(f"http://{gateway.host}/open/x?a=b", allow_redirects=False, timeout=10)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{gateway.url}/open/x?a=b")


def test_a_header_with_underscores_is_no_header_with_hyphens(gateway):
    with gateway.connect() as connection:
        connection.sendall(f"GET /open/x HTTP/1.1\r\nHost: {gateway.host}\r\nX_User_Id: root\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200") and b"root" not in answer


def test_a_prefix_is_taken_off(gateway):
    assert gateway.ask("/short/v1/x?y=z").json()["path"] == "/v1/x?y=z"
    assert gateway.ask("/open/v1/x?y=z").json()["path"] == "/open/v1/x?y=z"


def test_large_bodies(gateway):
    size = 100 * 1024 * 1024
    assert gateway.ask("/open/up", "POST", data=bytes(size)).json()["bytes"] == size
    assert len(gateway.ask(f"/open/down?bytes={size}").content) == size


def test_large_headers_are_refused(gateway):
    assert gateway.ask("/open/x", headers={"X-Big": "a" * 70_000}).status_code == 431


def test_a_service_that_takes_too_long(gateway):
    begin = time.monotonic()
    assert gateway.ask("/short/x?seconds=5").status_code == 504
    assert time.monotonic() - begin < 4


def test_websockets_with_a_session_only_and_longer_than_a_request_may_take(gateway, tokens):
    with gateway.connect() as refused:
        refused.sendall(HANDSHAKE.format("/private/ws", gateway.host, "").encode())
        assert refused.recv(64).split()[1] in (b"401", b"302")
    for path, headers in (("/private/ws", f"Authorization: Bearer {tokens['user']}\r\n"), ("/short/ws", "")):
        with gateway.connect() as taken:
            taken.sendall(HANDSHAKE.format(path, gateway.host, headers).encode())
            assert taken.recv(4096).split()[1] == b"101"
            for wait in (0, 3) if path == "/short/ws" else (0,):
                time.sleep(wait)
                taken.sendall(b"hello")
                assert taken.recv(64) == b"hello"


def test_old_tls_is_refused(gateway):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(socket.create_connection((gateway.host, gateway.port), timeout=10))


def test_http_2_with_those_who_speak_it(gateway):
    with gateway.connect(15.0, "h2", "http/1.1") as connection:
        assert connection.selected_alpn_protocol() == "h2"
    assert reached(gateway.ask("/open/x"))
