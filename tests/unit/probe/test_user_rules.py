# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe knows what access rules of users mean."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import normalise
from ansible_collections.openmlops.platform.plugins.module_utils.probe.lines import lines
from ansible_collections.openmlops.platform.plugins.module_utils.probe.user_rules import intended, with_user_rules

HOST, LOGIN = "ml.example.org", "https://ml.example.org/auth/login"
SERVICES = [{"name": "one", "prefix": "/one/", "service": "one", "namespace": "one", "port": 80, "allow": "authenticated"}]
STATUS = {"id": "status", "match": {"path": "/one/status<(/\\d+)?/?>", "methods": ["GET"]}, "allow": "public", "carve": ["one"]}


def asked(*written):
    entries = normalise(SERVICES, HOST)
    return with_user_rules(lines(entries), rules(SERVICES, HOST, LOGIN, None, list(written)), entries)


def decision(found, path, method="GET", who="nobody"):
    return next(line.intended for line in found if (line.path, line.method, line.who) == (path, method, who))


def test_without_such_rules_nothing_changes():
    assert asked() == (lines(normalise(SERVICES, HOST)), [])


def test_a_rule_that_opens_a_part_is_asked_there_and_the_rest_stays():
    found, unjudged = asked(STATUS)
    part = {line.path for line in found} - {"/one/openmlops-probe"}
    assert len(part) == 1 and part.pop().startswith("/one/status") and unjudged == []
    assert decision(found, "/one/openmlops-probe") == "login needed" and decision(found, "/one/status") == "allowed"
    assert {line.method for line in found if line.path == "/one/status"} == {"GET"}


def test_a_rule_in_place_of_a_services_own():
    whole = {"id": "mine", "match": {"path": "/one<(?:/.*)?>"}, "replaces": ["one"], "authenticators": ["bearer_token"], "authorizer": "allow"}
    found, unjudged = asked(whole)
    assert unjudged == [] and decision(found, "/one/openmlops-probe", who="machine") == "allowed"
    assert decision(found, "/one/openmlops-probe", who="user") == decision(found, "/one/openmlops-probe") == "login needed"


def test_a_rule_that_asks_somebody_else_is_named_and_not_judged():
    remote = {"handler": "remote_json", "config": {"remote": "http://judge.example.org/", "payload": "{}"}}
    found, unjudged = asked({**{key: STATUS[key] for key in ("id", "match", "carve")}, "authenticators": ["cookie_session"], "authorizer": remote})
    assert unjudged == ["status"] and not [line for line in found if line.path == "/one/status" and line.who == "user"]


@pytest.mark.parametrize(("authenticators", "nobody", "user", "machine"), [
    (["noop"], "allowed", "allowed", "allowed"), (["anonymous"], "allowed", "allowed", "login needed"),
    (["unauthorized"], "login needed", "login needed", "login needed"), (["cookie_session"], "login needed", "allowed", "login needed"),
    (["cookie_session", "bearer_token", "anonymous"], "allowed", "allowed", "allowed"),
])
def test_who_somebody_is(authenticators, nobody, user, machine):
    rule = {"authenticators": [{"handler": name} for name in authenticators], "authorizer": {"handler": "allow"}, "errors": [{"handler": "json"}]}
    assert [intended(rule, who) for who in ("nobody", "user", "machine")] == [nobody, user, machine]
    denied = {**rule, "authorizer": {"handler": "deny"}}
    assert {intended(denied, who) for who in ("nobody", "user", "machine")} <= {"forbidden", "login needed"}
