# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches what through the gateway, and who says who they are."""

from __future__ import annotations

import json
import time
import urllib.parse

import pytest

from ansible_collections.openmlops.platform.tests.integration.access.attacks import ENTERED
from ansible_collections.openmlops.platform.tests.integration.access.echo import SPACE, reached, services


@pytest.mark.parametrize("place", ENTERED)
@pytest.mark.parametrize("identity", ["nobody", "user", "member"])
def test_each_comes_where_the_catalogue_lets_them(gateway, tokens, place, identity):
    for path in (place, place + "/", place + "/a/b"):
        answer = gateway.ask(path, token=tokens.get(identity, ""))
        allowed = identity in ENTERED[place]
        assert reached(answer) == allowed, f"{identity} {path}: {answer.status_code} {answer.text[:200]}"
        if not allowed:
            assert answer.status_code in ((401, 403) if place != "/closed" else (403,)), answer.status_code


def test_browsers_are_sent_to_the_login_and_programs_get_an_error(gateway):
    page = gateway.ask("/private/a?x=1&y=2", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.status_code == 302
    there, _mark, query = page.headers["Location"].partition("?")
    assert there == f"{gateway.url}/auth/login" and urllib.parse.parse_qs(query) == {"return_to": [f"{gateway.url}/private/a?x=1&y=2"]}
    program = gateway.ask("/private/a", headers={"Accept": "application/json"})
    assert program.status_code == 401 and program.json()
    # An API answers with an error to browsers too.
    assert gateway.ask("/team/a", headers={"Accept": "text/html"}).status_code == 401


def test_a_stale_token_is_an_error_and_no_page(gateway):
    answer = gateway.ask("/private/a", token="nonsense", headers={"Accept": "application/json"})
    assert answer.status_code == 401


def test_a_service_is_told_who_it_is_and_believes_nobody_else(gateway, tokens):
    seen = gateway.ask("/team/a", token=tokens["member"], headers={
        "X-User-Id": "forged", "X-User-Email": "forged@example.org", "X-User-Groups": "admins"}).json()["headers"]
    assert seen["x-user-email"] == "member@example.org" and seen["x-user-groups"] == "team" and seen["x-user-id"] != "forged"
    # On an open service nobody vouches for these headers, so they must not come through at all.
    told = gateway.ask("/open/a", headers={name: "forged" for name in (
        "X-User-Id", "X-User-Email", "X-User-Groups", "X-Forwarded-Host", "X-Forwarded-User", "X-Real-IP", "X-Forwarded-For",
        "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "X-HTTP-Method-Override")}).json()["headers"]
    assert [name for name, value in told.items() if "forged" in value] == [] and told["x-forwarded-proto"] == "https"


def test_every_method_and_a_body_come_through(gateway, tokens):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        assert reached(gateway.ask("/private/a", method, tokens["user"], data=b"x" * 100000 if method in ("POST", "PUT") else None))


@pytest.mark.parametrize("part", ["oathkeeper", "kratos"])
def test_everything_is_closed_when_nobody_can_decide(cluster, gateway, tokens, part):
    cluster.kubectl("scale", "-n", "ory", f"deployment/{part}", "--replicas=0")
    cluster.kubectl("wait", "-n", "ory", "--for=delete", "pod", "-l", f"openmlops.io/part={part}", "--timeout=90s")
    try:
        for path, token in (("/private/a", tokens["user"]), ("/team/a", tokens["member"]), ("/private/a", ""), ("/", tokens["user"])):
            answer = gateway.ask(path, token=token)
            assert not reached(answer) and answer.status_code >= 300, f"{path}: {answer.status_code}"
    finally:
        cluster.kubectl("scale", "-n", "ory", f"deployment/{part}", "--replicas=1")
        cluster.kubectl("rollout", "status", "-n", "ory", f"deployment/{part}", "--timeout=120s", timeout=180)
    end = time.monotonic() + 60
    while not reached(gateway.ask("/private/a", token=tokens["user"])):
        assert time.monotonic() < end, "nobody comes in any more"
        time.sleep(1)


def test_a_pod_elsewhere_cannot_go_around_the_gateway(cluster, gateway):
    """The catalogue's network policy closes the service's pods for all but the gateway."""
    image = cluster.get("deployment", "-n", SPACE, "echo")["spec"]["template"]["spec"]["containers"][0]["image"]
    code = ("import socket, time\nend, answer = time.time() + 10, 'closed'\nwhile answer == 'closed' and time.time() < end:\n"
            f"  try:\n    socket.create_connection(('echo.{SPACE}.svc.cluster.local', 80), 2)\n    answer = 'open'\n"
            "  except OSError:\n    time.sleep(1)\nprint(answer)")
    assert cluster.kubectl("run", "around", "-n", "default", f"--image={image}", "--image-pull-policy=IfNotPresent", "--restart=Never",
                           "--rm", "-i", "--quiet", "--command", "--", "python", "-c", code).strip() == "closed"


@pytest.mark.slow
def test_second_run_changes_nothing(cluster, gateway, variables):
    assert cluster.run("up", "-e", f"@{variables}").ok().changed == 0


def test_contradictions_are_told_before_anything_changes(cluster, gateway, variables, tmp_path):
    wrong = tmp_path / "wrong.json"
    twice = [*services(), {**services()[0], "name": "again"}]
    wrong.write_text(json.dumps({"platform_services": twice}))
    done = cluster.run("up", "-e", f"@{wrong}")
    assert done.code != 0 and "'again'" in done.text and "'echo-open'" in done.text and f"{gateway.url}/open" in done.text.replace("\\/", "/")
