# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that try to reach what they may not, and the judgement of what they did reach. Pure functions."""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
import typing as t
import urllib.parse

from ansible_collections.openmlops.platform.tests.integration.access.echo import PLACES

# place -> who may enter
_WHO = {"public": {"nobody", "user", "member"}, "authenticated": {"user", "member"}, "nobody": set()}
ENTERED = {place: _WHO[allow] if isinstance(allow, str) else {"member"} for place, allow in PLACES.items()}

# Ways to write the path of a target when the request begins at another place. {0} is the target without its first slash.
TRICKS = (
    "/open/../{0}", "/open/./../{0}", "/open/x/../../{0}", "//{0}", "/open//../{0}", "/./{0}", "/open/..%2f{0}", "/open/%2e%2e/{0}",
    "/open/%2e%2e%2f{0}", "/open/.%2e/{0}", "/open/..%252f{0}", "/open/..;/{0}", "/open/..\\{0}", "/open/%5c..%5c{0}", "/%2f{0}",
    "/open%2f..%2f{0}", "/{0}%2f", "/{0}%00", "/open/%00/../{0}", "/open?/../{0}", "/open/..%c0%af{0}", "/open/.../{0}",
    "/open/%u002e%u002e/{0}", "/open/\u00a0../{0}", "/{0}/.", "/{0}//x", "/OPEN/../{0}", "/open/..#/{0}", "*/{0}", "/short/../{0}",
    "/openx/../{0}", "/open;/../{0}", "/open/%2e%2e/open/..%2f{0}", "/open/%09/../{0}", "/open/\t../{0}", "{0}", "?/{0}", "/open/..%00/{0}",
)
# Headers by which one might be judged as somebody or something else.
HEADERS = (
    ("X-Forwarded-Uri", "/open/a"), ("X-Forwarded-Host", "open.example.org"), ("X-Forwarded-Method", "OPTIONS"), ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Prefix", "/open"), ("X-Original-Url", "/open/a"), ("X-Original-Uri", "/open/a"), ("X-Rewrite-Url", "/open/a"),
    ("Forwarded", "host=open.example.org;proto=http"), ("X-User-Id", "admin"), ("X-User-Email", "admin@example.org"),
    ("X-User-Groups", "team,admins"), ("X-Http-Method-Override", "OPTIONS"), ("X-Method-Override", "HEAD"), ("X-HTTP-Method", "OPTIONS"),
    ("Remote-User", "admin"), ("X-Auth-Request-User", "admin"), ("X-Envoy-Original-Path", "/open/a"), ("X-Envoy-Internal", "true"),
    (":path", "/open/a"), ("X_Forwarded_Uri", "/open/a"), ("X_User_Id", "admin"), ("X-Envoy-Decorator-Operation", "open"),
    ("Authorization", "Bearer nonsense"), ("Authorization", "Basic YWRtaW46YWRtaW4="), ("Authorization", "Bearer "), ("Authorization", ""),
    ("Cookie", "ory_kratos_session=nonsense"), ("Cookie", "ory_kratos_session="), ("X-Session-Token", "nonsense"),
    ("X-Kratos-Authenticated-Identity-Id", "admin"), ("Connection", "close, Cookie, Authorization"), ("Transfer-Encoding", "chunked"),
    ("Upgrade", "websocket"), ("Upgrade", "h2c"), ("Upgrade", "TLS/1.0"), ("Host", "open.example.org"), ("Expect", "100-continue"),
    ("Accept", "text/html"), ("X-Forwarded-For", "127.0.0.1"), ("Sec-WebSocket-Protocol", "open"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PRI", "get", "G\u00cbT", "GET\t")


@dataclasses.dataclass(frozen=True)
class Attack:
    """One request: raw bytes, whose identity it carries, and what it is called. Its number is in the header X-Mark."""

    name: str
    identity: str
    data: bytes


def shut() -> list[tuple[str, str]]:
    """Returns each place with each who may not enter it."""
    return [(place, who) for place, allowed in ENTERED.items() for who in ("nobody", "user", "member") if who not in allowed]


def attacks(host: str, tokens: dict[str, str], cookies: dict[str, str]) -> list[Attack]:
    """Returns every attack on one connection with HTTP/1.1: paths, headers, methods, sessions, and forms of the request.

    Args:
        host: the platform's.
        tokens: a session token of each who has one.
        cookies: the same as values of the session's cookie.
    """
    found: list[Attack] = []

    def add(name: str, who: str, method: str, target: str, *headers: tuple[str, str], body: str = "") -> None:
        mark = ("X-Mark", str(len(found)))
        data = request(host, method, target, tokens.get(who, ""), *headers, mark, body=body.replace("{mark}", mark[1]))
        found.append(Attack(f"{who}: {name}", who, data))

    for (place, who), trick in itertools.product(shut(), TRICKS):
        add(f"path {trick} to {place}", who, "GET", trick.format(place[1:] + "/a"))
    for (place, who), header in itertools.product(shut(), HEADERS):
        add(f"{header[0]}: {header[1]} at {place}", who, "GET", place + "/a", header)
    for (place, who), method in itertools.product(shut(), METHODS):
        add(f"{method} {place}", who, method, place + "/a")
    for (place, who), (name, target, headers) in itertools.product(shut(), _forms(host)):
        add(f"{name} at {place}", who, "GET", target.replace("{place}", place), *headers)
    for (place, who), (name, headers) in itertools.product(shut(), _sessions(who_else(tokens), who_else(cookies))):
        if who == "nobody":
            add(f"{name} at {place}", who, "GET", place + "/a", *headers)
    for (place, who), (name, headers, body) in itertools.product(shut(), smuggled(host)):
        add(f"{name}, to {place}", who, "POST", "/open/a", *headers, body=body.replace("{place}", place))
    return found


def who_else(values: dict[str, str]) -> str:
    """Returns the session of who may enter the most."""
    return values["member"]


def request(host: str, method: str, target: str, token: str, *headers: tuple[str, str], body: str = "") -> bytes:
    """Returns the bytes of a request; headers that are given replace the usual ones."""
    own = {name.lower() for name, _value in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in own:
        lines.append(f"Host: {host}")
    if "connection" not in own:
        lines.append("Connection: Upgrade" if "upgrade" in own else "Connection: close")
    if token and "authorization" not in own:
        lines.append(f"Authorization: Bearer {token}")
    if "upgrade" in own:
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]
    lines += [f"{name}: {value}" for name, value in headers]
    body = body or ("0\r\n\r\n" if "transfer-encoding" in own else "")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("utf-8")


def _forms(host: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Returns (name, target, headers) of requests that are odd as a whole."""
    return [
        ("absolute form", f"https://{host}{{place}}/a", []),
        ("absolute form in the clear", f"http://{host}{{place}}/a", []),
        ("absolute form of another host", "https://open.example.org{place}/a", []),
        ("absolute form with a user", f"https://open@{host}{{place}}/a", []),
        ("absolute form with a port", f"https://{host}:443{{place}}/a", []),
        ("long path", "{place}/" + "a" * 30000, []),
        ("very long query", "{place}/a?" + "a" * 50000, []),
        ("large header", "{place}/a", [("X-Filler", "a" * 70000)]),
        ("many headers", "{place}/a", [(f"X-Filler-{number}", "a") for number in range(300)]),
        ("oversized cookie", "{place}/a", [("Cookie", "ory_kratos_session=" + "a" * 40000)]),
        ("very many cookies", "{place}/a", [("Cookie", "; ".join(f"c{number}=a" for number in range(3000)))]),
        ("the session's cookie many times", "{place}/a", [("Cookie", "; ".join(["ory_kratos_session=a"] * 500))]),
        ("many lines of cookies", "{place}/a", [("Cookie", f"c{number}=a") for number in range(90)]),
        ("not ASCII", "{place}/\u00e9\u4e2d", []),
        ("two hosts", "{place}/a", [("Host", host), ("Host", "open.example.org")]),
        ("a host with a path", "{place}/a", [("Host", f"{host}/open")]),
        ("mixed case", "{place}/A", []),
        ("a folded header", "{place}/a", [("X-Filler", "a\r\n Authorization: Bearer x")]),
        ("two Authorization headers", "{place}/a", [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]),
        ("method in the query", "{place}/a?_method=OPTIONS&method=OPTIONS", []),
        ("a token in the query", "{place}/a?access_token=x&token=x&session_token=x", []),
    ]


def _sessions(token: str, cookie: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns (name, headers) with sessions that are made of real ones, and are none."""
    half, flipped = len(token) // 2, token[:8] + ("a" if token[8] != "a" else "b") + token[9:]
    broken = cookie[:40] + ("A" if cookie[40] != "A" else "B") + cookie[41:]
    return [
        ("half a token", [("Authorization", f"Bearer {token[:half]}")]),
        ("a token and more", [("Authorization", f"Bearer {token}x")]),
        ("a changed token", [("Authorization", f"Bearer {flipped}")]),
        ("a token in other case", [("Authorization", f"Bearer {token.swapcase()}")]),
        ("a token as password", [("Authorization", f"Basic {token}")]),
        ("a token as cookie", [("Cookie", f"ory_kratos_session={token}")]),
        ("half a cookie", [("Cookie", f"ory_kratos_session={cookie[:len(cookie) // 2]}")]),
        ("a changed cookie", [("Cookie", f"ory_kratos_session={broken}")]),
        ("a cookie as token", [("Authorization", f"Bearer {cookie}")]),
        ("a cookie of another name", [("Cookie", f"Ory_Kratos_Session={cookie}")]),
        ("a cookie in a header of its own", [("X-Session-Cookie", cookie), ("Ory_kratos_session", cookie)]),
        ("a pattern for a token", [("Authorization", "Bearer %")]),
        ("a query for a token", [("Authorization", "Bearer ' OR '1'='1")]),
        ("a query for a cookie", [("Cookie", "ory_kratos_session=' OR 1=1 --")]),
    ]


def smuggled(host: str) -> list[tuple[str, list[tuple[str, str]], str]]:
    """Returns (name, headers, body): a request that one reads as the end of another, by length and chunks told twice."""
    inner = f"GET {{place}}/a HTTP/1.1\r\nHost: {host}\r\nX-Mark: {{mark}}\r\n"
    ended = f"{inner}Content-Length: 0\r\n\r\n"
    size = str(len(ended) + 30)
    chunked = ("Transfer-Encoding", "chunked")
    found = [
        ("chunks end before the length", [("Content-Length", size), chunked], f"0\r\n\r\n{ended}"),
        ("the length ends before the chunks", [("Content-Length", "4"), chunked], f"{len(ended):x}\r\n{ended}\r\n0\r\n\r\n"),
        ("two lengths", [("Content-Length", "0"), ("Content-Length", size)], ended),
        ("two lengths in one", [("Content-Length", f"0, {size}")], ended),
        ("a length with a sign", [("Content-Length", f"+{size}")], ended),
        ("a length of nothing, and then another request", [("Content-Length", "0"), ("Connection", "keep-alive")], ended),
        ("an upgrade, and then another request", [("Content-Length", "0"), ("Connection", "Upgrade"), ("Upgrade", "websocket")], ended),
        ("a request that waits, and then another", [("Content-Length", "0"), ("Expect", "100-continue")], ended),
        ("chunks with an extension", [chunked], f"0;a=\n{ended}\r\n\r\n{ended}"),
        ("trailers with a session", [chunked, ("Trailer", "Authorization")], "0\r\nAuthorization: Bearer x\r\nX-User-Id: admin\r\n\r\n"),
    ]
    odd = ("xchunked", "chunked, identity", "identity, chunked", "chunked\t", "\tchunked", "CHUNKED", '"chunked"', "chunked, chunked", "cow")
    found += [(f"Transfer-Encoding: {word!r}", [("Content-Length", size), ("Transfer-Encoding", word)], f"0\r\n\r\n{ended}") for word in odd]
    found += [(f"the header {name!r}", [("Content-Length", size), (name, "chunked")], f"0\r\n\r\n{ended}")
              for name in ("Transfer-Encoding ", " Transfer-Encoding", "Transfer_Encoding", "X\r\nTransfer-Encoding", "X: a\nTransfer-Encoding")]
    return found


def readings(path: str) -> set[str]:
    """Returns the paths that an application may take a path for: as it is, decoded once or twice, cleaned or not."""
    found = set()
    text = path.partition("?")[0].partition("#")[0]
    for _round in range(3):
        for variant in (text, text.replace("\\", "/"), text.replace(";", "/")):
            found |= {variant, posixpath.normpath("/" + variant.lstrip("/"))}
        text = urllib.parse.unquote(text)
    return found


def owner(path: str) -> str | None:
    """Returns the place that a path belongs to: the longest prefix of whole segments."""
    places = [place for place in ENTERED if path == place or path.startswith(place + "/")]
    return max(places, key=len) if places else None


def forbidden(identity: str, paths: t.Iterable[str]) -> set[str]:
    """Returns the places that requests reached, in any reading of their paths, and that the identity may not enter."""
    return {place for path in paths for place in map(owner, readings(path)) if place and identity not in ENTERED[place]}
