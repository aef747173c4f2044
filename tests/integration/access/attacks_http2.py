# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that only HTTP/2 knows: what stands in a request line there are headers here, and each may be there twice, or odd."""

from __future__ import annotations

import dataclasses
import itertools
import ssl

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from ansible_collections.openmlops.platform.tests.integration.access.attacks import shut
from ansible_collections.openmlops.platform.tests.integration.platform_client import Gateway

Headers = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Attack:
    """One request by HTTP/2: all its headers in order, a body, trailers."""

    name: str
    identity: str
    headers: Headers
    body: bytes = b""
    trailers: Headers = dataclasses.field(default_factory=list)


def attacks(host: str, tokens: dict[str, str], first: int) -> list[Attack]:
    """Returns every attack; their marks count from ``first``."""
    found: list[Attack] = []
    for (place, who), (name, headers, body, trailers) in itertools.product(shut(), _requests(host)):
        session = [("authorization", f"Bearer {tokens[who]}")] if who in tokens else []
        mark = str(first + len(found))
        found.append(Attack(
            f"{who}: {name}, to {place}", who,
            [(key, value.replace("{place}", place)) for key, value in [*headers, *session, ("x-mark", mark)]],
            body.replace("{place}", place).replace("{mark}", mark).encode(), trailers,
        ))
    return found


def _requests(host: str) -> list[tuple[str, Headers, str, Headers]]:
    def usual(path: str = "{place}/a", method: str = "GET", scheme: str = "https", authority: str = host) -> Headers:
        return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]

    inner = f"GET {{place}}/a HTTP/1.1\r\nhost: {host}\r\nx-mark: {{mark}}\r\n\r\n"
    requests: list[tuple[str, Headers]] = [
        ("as it should be", usual()),
        ("two paths", [*usual("/open/a"), (":path", "{place}/a")]),
        ("two paths, the other way", [*usual(), (":path", "/open/a")]),
        ("two methods", [*usual(), (":method", "OPTIONS")]),
        ("two authorities", [*usual(), (":authority", "open.example.org")]),
        ("a host beside the authority", [*usual(), ("host", "open.example.org")]),
        ("an authority beside the host", [*usual(authority="open.example.org"), ("host", host)]),
        ("no authority", [*(one for one in usual() if one[0] != ":authority"), ("host", host)]),
        ("an authority with a path", usual(authority=f"{host}/open")),
        ("an authority with a user", usual(authority=f"open@{host}")),
        ("another scheme", usual(scheme="http")),
        ("a scheme with a path", usual(scheme=f"https://{host}/open?x=")),
        ("no scheme", [one for one in usual() if one[0] != ":scheme"]),
        ("a path without a slash", usual("{place}/a"[1:])),
        ("a path as an address", usual(f"https://{host}{{place}}/a")),
        ("a path with dots", usual("/open/..{place}/a")),
        ("a path with encoded dots", usual("/open/%2e%2e{place}/a")),
        ("a path with an encoded slash", usual("/open/..%2f{place}/a")),
        ("a path with a line end", usual(f"/open/a HTTP/1.1\r\nhost: {host}\r\n\r\nGET {{place}}/a")),
        ("a path with a space", usual("/open/a {place}/a")),
        ("a path with a NUL", usual("/open/\0{place}/a")),
        ("a path with a fragment", usual("{place}/a#/open")),
        ("two slashes", usual("//{place}/a")),
        ("an empty path", [*usual(""), ("x-original-url", "{place}/a")]),
        ("a method with a request", usual("/open/a", f"GET {{place}}/a HTTP/1.1\r\nhost: {host}\r\n\r\nGET")),
        ("a method in lower case", usual(method="get")),
        ("CONNECT", [(":method", "CONNECT"), (":authority", f"{host}:443")]),
        ("CONNECT with a path", usual(method="CONNECT")),
        ("a websocket by CONNECT", [*usual(method="CONNECT"), (":protocol", "websocket"), ("sec-websocket-version", "13")]),
        ("an upgrade", [*usual(), ("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
                        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]),
        ("an upgrade to itself", [*usual(), ("connection", "upgrade"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")]),
        ("an unknown pseudo-header", [*usual(), (":x-forwarded-uri", "/open/a")]),
        ("a status", [*usual(), (":status", "200")]),
        ("a pseudo-header at the end", [*usual()[:-1], ("x-filler", "a"), (":path", "{place}/a")]),
        ("a header with a line end", [*usual(), ("x-filler", "a\r\nauthorization: Bearer x\r\nx-user-id: admin")]),
        ("a header's name with a line end", [*usual(), ("x-filler: a\r\nx-user-id", "admin")]),
        ("a header's name in upper case", [*usual(), ("X-User-Id", "admin")]),
        ("a cookie in crumbs", [*usual(), ("cookie", "ory_kratos_session"), ("cookie", "=a"), ("cookie", "ory_kratos_session=")]),
        ("identity headers", [*usual(), ("x-user-id", "admin"), ("x-user-groups", "team")]),
        ("forwarded headers", [*usual(), ("x-forwarded-uri", "/open/a"), ("x-forwarded-method", "OPTIONS"), ("x-forwarded-host", "open")]),
        ("method override", [*usual(method="POST"), ("x-http-method-override", "OPTIONS")]),
        ("very many headers", [*usual(), *((f"x-{number}", "a") for number in range(500))]),
        ("very many cookies", [*usual(), *(("cookie", f"c{number}=a") for number in range(500))]),
        ("a large header", [*usual(), *((f"x-{number}", "a" * 8000) for number in range(10))]),
    ]
    found = [(name, headers, "", []) for name, headers in requests]
    post = usual("/open/a", "POST")
    found += [
        ("chunks, with a request after them", [*post, ("transfer-encoding", "chunked")], "0\r\n\r\n" + inner, []),
        ("a length of nothing, with a request after it", [*post, ("content-length", "0")], inner, []),
        ("a length that is too small", [*post, ("content-length", "4")], inner, []),
        ("two lengths", [*post, ("content-length", "0"), ("content-length", str(len(inner)))], inner, []),
        ("a length with a line end", [*post, ("content-length", "0\r\n\r\n" + inner)], inner, []),
        ("trailers with a session", usual(method="POST"), "a", [("authorization", "Bearer x"), ("x-user-id", "admin")]),
        ("trailers with a path", post, "a", [(":path", "{place}/a")]),
    ]
    return found


def send(gateway: Gateway, attack: Attack, seconds: float = 10.0) -> tuple[str, dict[str, str]]:
    """Sends one attack on a connection of its own; returns the status (or how it ended) and the answer's headers."""
    config = h2.config.H2Configuration(
        client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
    client = h2.connection.H2Connection(config=config)
    try:
        with gateway.connect(seconds, "h2") as connection:
            client.initiate_connection()
            client.send_headers(1, attack.headers, end_stream=not attack.body and not attack.trailers)
            if attack.body:
                client.send_data(1, attack.body, end_stream=not attack.trailers)
            if attack.trailers:
                client.send_headers(1, attack.trailers, end_stream=True)
            connection.sendall(client.data_to_send())
            return _answer(client, connection)
    except (OSError, ssl.SSLError) as error:
        return type(error).__name__, {}
    except (h2.exceptions.ProtocolError, UnicodeDecodeError) as error:
        return f"not sent: {type(error).__name__}", {}


def _answer(client: h2.connection.H2Connection, connection: ssl.SSLSocket) -> tuple[str, dict[str, str]]:
    while data := connection.recv(65536):
        for event in client.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                headers = dict(event.headers)
                return headers.get(":status", "?"), headers
            if isinstance(event, h2.events.StreamReset):
                return "reset", {}
            if isinstance(event, h2.events.ConnectionTerminated):
                return "ended", {}
        connection.sendall(client.data_to_send())
    return "closed", {}
