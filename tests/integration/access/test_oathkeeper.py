# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Oathkeeper decides as the catalogue means it: rules, paths and methods, asked in both ways in which gateways ask.

Needs no cluster, only the program that `make up` built. OPENMLOPS_OATHKEEPER names another one, such as 26.2. It runs with the
role's own configuration; who somebody is, and who is in a group, is told by stand-ins for Kratos and Keto, whose answers the
other tests have from the real ones.
"""

from __future__ import annotations

import collections
import concurrent.futures
import http.server
import itertools
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule

from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import METHODS
from ansible_collections.openmlops.platform.tests.integration.access import attacks

ROOT = Path(__file__).resolve().parents[3]
HOST, SECOND = "ml.example", "o.ml.example"
TOKENS = {"user": "token-of-user", "member": "token-of-member"}
PEOPLE = ("nobody", "user", "member")
GET = ["GET"]

# (host, prefix, allow, methods)
SERVICES = (
    (HOST, "/open", "public", METHODS), (HOST, "/open/inner", "authenticated", METHODS), (HOST, "/private", "authenticated", METHODS),
    (HOST, "/private/team", ["team"], METHODS), (HOST, "/team", ["team"], METHODS), (HOST, "/closed", "nobody", METHODS),
    (HOST, "/closed/ajar", "public", METHODS), (HOST, "/few", "authenticated", ("GET", "POST")), (HOST, "/a.b~c-d_e", "authenticated", METHODS),
    (HOST, "/own", "authenticated", METHODS), (SECOND, "", "authenticated", METHODS), (SECOND, "/open", "public", METHODS),
)
OWN = (
    {"id": "public-part", "match": {"path": "/private/public<(/.*)?>", "methods": GET}, "allow": "public", "carve": ["private"]},
    {"id": "styles", "match": {"glob": f"<{{http,https}}>://{HOST}<{{,:*}}>/few/<**>.css<{{,/}}>", "methods": GET}, "authenticators": ["noop"],
     "carve": ["few"]},
    {"id": "own-read", "match": {"path": r"/own<(/\d+|/(?!\d+/?$).*)?/?>", "methods": GET}, "allow": "authenticated", "replaces": ["own"]},
    {"id": "own-write", "match": {"path": "/own<(?:/.*)?>", "methods": [m for m in METHODS if m != "GET"]}, "authenticators": ["bearer_token"],
     "authorizer": "deny", "replaces": ["own"]},
)
PARTS = ("", "/", "/a", "/a/b.css", "/a/b.css/", "/public", "/public/", "/public/x", "/publicx", "/7", "/7/", "x", "/a%20b", "/a b", "/%c3%a9", "/\u00e9",
         "/a;b=c", "/a:b@c", "/.hidden", "/...", "/a..b", "/~u", "?x=/../", "/" + "long" * 500)
ODD = ("TRACE", "PROPFIND", "get", "Post")


def catalogue() -> list[dict]:
    """Returns the catalogue's entries."""
    return [{"name": re.sub("[^a-z]+", "-", f"{prefix} {host}".replace(f" {HOST}", "")).strip("-"), "host": host, "prefix": prefix or "/",
             "service": "x", "namespace": "x", "port": 80, "allow": allow, "methods": list(methods)} for host, prefix, allow, methods in SERVICES]


def unclear(path: str) -> bool:
    """Tells whether a gateway and Oathkeeper might read a path differently. Not by the expression that the rules use."""
    between = path.split("/")[1:]
    if any(segment.partition(";")[0] in (".", "..") for segment in between) or "" in between[:-1] or any(ord(c) < 32 or c in "\\\x7f" for c in path):
        return True
    named = [chr(int(code, 16)) for code in re.findall("%([0-9a-fA-F]{2})", path)]
    return any(c < " " or c in "/\\\x7f-._~" or (c.isascii() and c.isalnum()) for c in named)


def cleaned(path: str) -> str:
    """Returns what Go's path.Clean makes of an absolute path."""
    found: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            found = found[:-1]
        elif segment not in ("", "."):
            found.append(segment)
    return "/" + "/".join(found)


def means(host: str, path: str, method: str, who: str) -> int:
    """Returns the status that the catalogue means for a path as Oathkeeper reads it."""
    if path and not path.startswith("/") or unclear(path):
        return 404
    method = method.upper()
    owner = max((one for one in SERVICES if one[0] == host and (path == one[1] or path.startswith(one[1] + "/"))),
                key=lambda one: len(one[1]), default=None)
    if owner is None or method not in owner[3]:
        return 404
    _host, prefix, allow, _methods = owner
    rest = path[len(prefix):]
    if method == "GET" and host == HOST and (
            prefix == "/private" and (rest == "/public" or rest.startswith("/public/")) or prefix == "/few" and re.fullmatch(r"/.*\.css/?", rest)):
        return 200
    if host == HOST and prefix == "/own" and method != "GET":
        return 401 if who == "nobody" else 403
    if allow in ("public", "nobody"):
        return 200 if allow == "public" else 403
    if who == "nobody":
        return 401
    return 200 if allow == "authenticated" or who == "member" else 403


class Standin(http.server.BaseHTTPRequestHandler):
    """Answers as Kratos' whoami and Keto's check do."""

    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ") or self.headers.get("Cookie", "").partition("ory_kratos_session=")[2]
        who = next((name for name, token in TOKENS.items() if token == given), None)
        if self.path != "/sessions/whoami" or who is None:
            self._answer(401, {"error": {"code": 401}})
        else:
            traits = {"email": f"{who}@example.org"}
            self._answer(200, {"active": True, "identity": {"id": who, "traits": traits, "metadata_public": {"groups": ["team"]}}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        right = asked["namespace"] == "Service" and asked["relation"] == "access" and asked["object"] in ("team", "private-team")
        allowed = right and asked["subject_id"] == "member"
        self._answer(200 if allowed else 403, {"allowed": allowed})

    def log_message(self, *args: object) -> None:
        """Says nothing."""


class StandinServer(http.server.ThreadingHTTPServer):
    """Says nothing of connections that Oathkeeper closes when it stops."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing."""


def program() -> Path:
    """Returns the Oathkeeper to be tested."""
    if os.environ.get("OPENMLOPS_OATHKEEPER"):
        return Path(os.environ["OPENMLOPS_OATHKEEPER"])
    cache = Path(os.environ.get("OPENMLOPS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmlops")
    found = sorted((cache / "bin").glob("oathkeeper-*"), key=lambda path: path.stat().st_mtime)
    assert found, f"there is no oathkeeper in {cache / 'bin'}; run make up, or set OPENMLOPS_OATHKEEPER"
    return found[-1]


def free_ports(count: int) -> list[int]:
    """Returns ports of the loopback interface that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _number in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def configuration(folder: Path, standin: int, api: int, others: list[int]) -> dict:
    """Returns the role's configuration with the addresses of the test."""
    environment = jinja2.Environment(autoescape=False)
    environment.filters.update({name: made for name, made in FilterModule().filters().items() if name in ("combine", "to_json")})
    text = environment.from_string((ROOT / "roles/ory/templates/oathkeeper-config.yaml.j2").read_text()).render(
        ory_namespace="ory", ory_log_level="error", platform_url=f"https://{HOST}", _ory_claims='{"session": {{ .Extra | toJson }}}')
    text = re.sub(r"http://[a-z-]+\.ory\.svc\.cluster\.local", f"http://127.0.0.1:{standin}", text)
    made = yaml.safe_load(text.replace("file:///etc/rules/", f"file://{folder}/").replace("file:///etc/jwks/", f"file://{folder}/"))
    made["serve"] = {"api": {"host": "127.0.0.1", "port": api}, "proxy": {"host": "127.0.0.1", "port": others[0]},
                     "prometheus": {"host": "127.0.0.1", "port": others[1]}}
    return made


class Oathkeeper:
    """The running program."""

    def __init__(self, port: int, cleans: bool) -> None:
        self.port, self.cleans = port, cleans

    def ask(self, target: str, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        """Sends a request as it is and returns the status and headers of the answer, status 0 for none."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall("\r\n".join(lines).encode())
            answer = b""
            while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
                answer += more
        head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        found = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in head[1:])}
        return (int(head[0].split(" ")[1]) if head[0].startswith("HTTP/") else 0), found


@pytest.fixture(scope="module")
def oathkeeper(tmp_path_factory):
    """The real Oathkeeper with the generated rules."""
    folder = tmp_path_factory.mktemp("oathkeeper")
    standin = StandinServer(("127.0.0.1", 0), Standin)
    threading.Thread(target=standin.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{standin.server_port}"
    made = rules(catalogue(), HOST, f"https://{HOST}/auth/login", f"{address}/relation-tuples/check", list(OWN))
    (folder / "access-rules.json").write_text(json.dumps(made))
    (folder / "jwks.json").write_bytes(subprocess.run([program(), "credentials", "generate", "--alg", "RS256"], check=True, capture_output=True).stdout)
    api, *others = free_ports(3)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration(folder, standin.server_port, api, others)))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program(), "serve", "--config", folder / "config.yaml", "--disable-telemetry"], stdout=log, stderr=log)
    found = Oathkeeper(api, cleans=False)
    try:
        end = time.monotonic() + 60
        while True:
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()[-3000:]
            try:
                if found.ask("/decisions/open", "GET", {"Host": HOST})[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        # 26.2 cleans the path before it judges it.
        found.cleans = found.ask("/decisions", "GET", {"Host": "x", "X-Forwarded-Host": HOST, "X-Forwarded-Uri": "/open/x/../y"})[0] == 200
        yield found
    finally:
        process.terminate()
        process.wait(20)
        standin.shutdown()


def cases() -> list[tuple[str, str, str, str]]:
    """Returns host, path, method and person of every question."""
    found = set()
    for host, prefix, _allow, _methods in SERVICES:
        found |= {(host, prefix + part, method, who) for part, method, who in itertools.product(PARTS[:5], (*METHODS, *ODD), PEOPLE)}
        found |= {(host, prefix + part, method, who) for part, method, who in itertools.product(PARTS, ("GET", "POST"), PEOPLE)}
        found |= {(host, trick.format(prefix[1:] + "/a"), "GET", who) for trick, who in itertools.product(attacks.TRICKS, ("nobody", "user"))}
        found |= {(host, path, "GET", "nobody") for path in (prefix.upper() + "/a", prefix + ":80/", "/" + prefix.upper()) if path[0] == "/"}
    return sorted(case for case in found if case[0] or case[1])


def decoded(path: str) -> str | None:
    """Returns a path as Go decodes it, None when it refuses it."""
    if re.search("%(?![0-9a-fA-F]{2})", path):
        return None
    return urllib.parse.unquote(path, errors="surrogateescape")


def questions(oathkeeper: Oathkeeper) -> list[tuple[str, str, dict[str, str], int]]:
    """Returns target, method, headers and the status that is meant, for both ways to ask."""
    found = []
    for number, (host, path, method, who) in enumerate(cases()):
        proof = {} if who == "nobody" else (
            {"Authorization": f"Bearer {TOKENS[who]}"} if number % 3 or "/own" in path else {"Cookie": f"ory_kratos_session={TOKENS[who]}"})
        bare = path.partition("?")[0]
        raw = {"Host": "asked.example", "X-Forwarded-Proto": "http" if number % 2 else "https", "X-Forwarded-Host": host + ("", ":8443")[number % 5 == 0],
               "X-Forwarded-Method": method, "X-Forwarded-Uri": path, **proof}
        if path == path.strip() and path:
            seen = cleaned(bare) if oathkeeper.cleans and bare.startswith("/") else bare
            found.append(("/decisions", "GET", raw, means(host, seen, method, who)))
        text = decoded(bare)
        if not re.search(r"[\x00- ]", path) and text is not None and (text.startswith("/") or not text):
            seen = cleaned(text) if oathkeeper.cleans and text else text
            found.append((f"/decisions{path}", method, {"Host": host, "X-Forwarded-Proto": "https", **proof}, means(host, seen, method, who)))
    return found


def test_every_decision_is_what_the_catalogue_means(oathkeeper):
    asked = questions(oathkeeper)
    assert len(asked) > 4000

    def ask(question):
        target, method, headers, meant = question
        status, _headers = oathkeeper.ask(target, method, headers)
        return status if status != meant else None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wrong = [f"{question[1]} {question[0][:200]} {question[2]}: {status}, meant {question[3]}"
                 for question, status in zip(asked, pool.map(ask, asked), strict=True) if status is not None]
    print(f"{len(asked)} decisions, {'cleaned' if oathkeeper.cleans else 'raw'} paths: " + ", ".join(
        f"{number} x {status}" for status, number in sorted(collections.Counter(question[3] for question in asked).items())))
    assert wrong == [], f"{len(wrong)} of {len(asked)}:\n" + "\n".join(wrong[:20])


def test_no_question_is_answered_by_two_rules(oathkeeper):
    """Two rules would be a 500, on paths that no test thought of as well: every short path of a small alphabet."""
    paths = ["".join(word) for size in range(1, 5) for word in itertools.product(("/", "open", "few", "own", ".css", "7"), repeat=size) if word[0] == "/"]

    def ask(path):
        return oathkeeper.ask("/decisions", "GET", {"Host": "x", "X-Forwarded-Proto": "https", "X-Forwarded-Host": HOST, "X-Forwarded-Uri": path})[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, paths)) <= {200, 401, 403, 404}


def test_browsers_are_led_to_the_login_and_programs_get_an_error(oathkeeper):
    """D-16 of the original: its redirect was https even where the platform was http, and forgot the page first asked for."""
    page = {"Host": HOST, "X-Forwarded-Proto": "https", "Accept": "text/html"}
    status, headers = oathkeeper.ask("/decisions/private/a", "GET", page)
    assert status == 302 and headers["location"].startswith(f"https://{HOST}/auth/login?return_to=https%3A%2F%2Fml.example%2Fprivate%2Fa")
    status, headers = oathkeeper.ask("/decisions/team", "GET", {**page, "Authorization": f"Bearer {TOKENS['user']}"})
    place = urllib.parse.urlsplit(headers["location"])
    assert status == 302 and (place.netloc, place.path) == (HOST, "/auth/error")
    assert {"reason=forbidden", "service=team"} <= set(place.query.split("&"))
    assert oathkeeper.ask("/decisions/private/a", "GET", {**page, "Accept": "application/json"})[0] == 401
    assert oathkeeper.ask("/decisions/private/a", "GET", {**page, "Accept": "application/json", "Authorization": "Bearer stale"})[0] == 401
