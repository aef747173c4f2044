# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on the gateway, on this machine's own address only: none reaches what the catalogue does not give to its sender."""

from __future__ import annotations

import collections
import concurrent.futures
import json
import time
import urllib.parse

import pytest

from ansible_collections.openmlops.platform.tests.integration.access import attacks, attacks_http2
from ansible_collections.openmlops.platform.tests.integration.access.echo import USERS, reached

_AT_ONCE = 16
_SECONDS = 180  # for all attacks of one kind; a tenth of that on a machine that does nothing else


@pytest.fixture(scope="module")
def cookies(gateway, passwords):
    """The value of the session's cookie of each person."""
    return {who: gateway.browser_login(USERS[who][0], password).cookies["ory_kratos_session"] for who, password in passwords.items()}


def judge(gateway, tokens, outcomes, first):
    """Fails unless each attack ended without reaching what its sender may not enter.

    What the service remembers counts, by the mark that each attack carries: so does what nobody got an answer to.
    """
    marks = gateway.ask("/open/marks").json()
    through = []
    for number, (attack, status, told) in enumerate(outcomes, start=first):
        paths = [*(told or []), *marks.get(str(number), [])]
        if told is None and not paths:
            through.append(f"{attack.name}: {status}; reached something that the service does not know")
        places = attacks.forbidden(attack.identity, paths)
        if places:
            through.append(f"{attack.name}: {status}; reached {places} by {paths}")
    counted = collections.Counter(status[:24] for _attack, status, _paths in outcomes)
    print(f"{len(outcomes)} attacks: " + ", ".join(f"{number} {status}" for status, number in counted.most_common(15)))
    assert through == []
    # The gateway lives on, for those who may.
    assert reached(gateway.ask("/private/a", token=tokens["user"]))


def stays_here(location, host):
    """Tells whether a redirect leads to the platform itself."""
    return urllib.parse.urlsplit(location).netloc in ("", host)


def in_time(send, cases):
    """Sends all cases, several at once, and returns the outcomes; fails when that takes too long."""
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(send, cases))
    assert time.monotonic() - started < _SECONDS
    return outcomes


def test_the_marks_of_what_comes_through_are_seen(gateway, tokens):
    """Without this, the tests below could not fail."""
    for place, who in (("/private", "user"), ("/team", "member"), ("/open", "nobody")):
        gateway.ask(place + "/a", token=tokens.get(who, ""), headers={"X-Mark": f"seen-{who}"})
    marks = gateway.ask("/open/marks").json()
    assert marks["seen-user"] == ["/private/a"] and attacks.forbidden("nobody", marks["seen-user"]) == {"/private"}
    assert attacks.forbidden("user", marks["seen-member"]) == {"/team"} and attacks.forbidden("nobody", marks["seen-nobody"]) == set()
    legal = attacks_http2.Attack("", "user", [(":method", "GET"), (":scheme", "https"), (":authority", gateway.host), (":path", "/private/a"),
                                              ("authorization", f"Bearer {tokens['user']}")])
    assert attacks_http2.send(gateway, legal)[0] == "200"


def test_no_attack_reaches_what_it_may_not(gateway, tokens, cookies):
    cases = attacks.attacks(gateway.host, tokens, cookies)
    assert len(cases) >= 500

    def send(case):
        try:
            answer = gateway.raw(case.data, 8.0)
        except OSError as error:  # refused before there was an answer
            return case, type(error).__name__, []
        head, _separator, body = answer.partition(b"\r\n\r\n")
        status, *headers = head.decode("latin-1").split("\r\n")
        location = next((line.partition(":")[2].strip() for line in headers if line.lower().startswith("location:")), "")
        assert stays_here(location, gateway.host), f"{case.name}: sent to {location}"
        if not any(line.lower() == "x-reached: echo" for line in headers):
            return case, status.partition(" ")[2][:60] or "closed", []
        try:
            return case, "200 " + status.partition(" ")[2], [json.loads(body)["path"]]
        except (ValueError, KeyError):  # the head alone, as to HEAD and to an upgrade: the service remembers what it was asked for
            return case, "200 " + status.partition(" ")[2], None

    judge(gateway, tokens, in_time(send, cases), 0)


def test_no_attack_by_http_2_reaches_what_it_may_not(gateway, tokens):
    cases = attacks_http2.attacks(gateway.host, tokens, 100000)
    assert len(cases) >= 200

    def send(case):
        status, headers = attacks_http2.send(gateway, case, 8.0)
        assert stays_here(headers.get("location", ""), gateway.host), f"{case.name}: sent to {headers['location']}"
        # What was reached is known by the marks alone: a body may be long in coming.
        return case, ("reached " if headers.get("x-reached") == "echo" else "") + status, []

    judge(gateway, tokens, in_time(send, cases), 100000)
