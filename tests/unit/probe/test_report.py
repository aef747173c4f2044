# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe says of what it found."""

from __future__ import annotations

import json

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.probe import asking, report
from ansible_collections.openmlops.platform.plugins.module_utils.probe.lines import Line
from ansible_collections.openmlops.platform.plugins.module_utils.probe.loaded import differences

SERVICE = {"name": "one", "prefix": "/one/", "service": "one", "namespace": "one", "port": 80, "allow": "authenticated"}


def line(intended="login needed", method="GET", who="nobody", routed=True):
    return Line("one", "ml.example.org", "/one/openmlops-probe", method, who, intended, routed)


def found(*decisions, **more):
    return report.Found("https://ml.example.org", oathkeeper=dict(decisions), **more)


def test_all_is_well():
    one = found((line(), "login needed"), seconds=1.25, gateway={line(): "login needed"})
    assert not one.failed and report.document(one)["result"] == "passed"
    assert report.summary(one) == "probe: 1 services, 1 visitors, 1 decisions, 1 through the gateway: all as intended (1.2 s)"


def test_a_deviation_is_named_in_full():
    one = found((line(), "allowed"), (line(method="PUT"), "login needed"), skipped="too far")
    assert one.failed
    told = report.complaint(one)
    assert "one: GET ml.example.org/one/openmlops-probe as nobody: should be «login needed», is «allowed» (Oathkeeper)" in told
    assert "make up" in told and "PUT" not in told
    assert "1 NOT as intended" in report.summary(one) and "too far" in report.summary(one)
    wrong = report.document(one)["deviations"]
    assert [(entry["method"], entry["real"], entry["by"]) for entry in wrong] == [("GET", "allowed", "Oathkeeper")]


def test_a_gateway_that_asks_nobody_is_a_deviation():
    one = found((line(), "login needed"), gateway={line(): "allowed"})
    assert one.failed and "(the gateway)" in report.complaint(one)


def test_a_rule_of_somebody_else_is_a_deviation():
    one = found((line(), "login needed"), rules={"service:x": "is not of the catalogue"})
    assert one.failed and "rule service:x is not of the catalogue" in report.complaint(one)


def test_many_deviations_are_counted():
    many = found(*((line(method=f"M{number}"), "allowed") for number in range(50)))
    assert "... and 30 more" in report.complaint(many)


@pytest.mark.parametrize(("intended", "routed", "real", "right"), [
    ("login needed", True, "login needed", True), ("login needed", True, "nothing there", False), ("allowed", True, "nothing there", True),
    ("no rule", True, "nothing there", True), ("forbidden", False, "nothing there", True), ("forbidden", True, "nothing there", False),
    ("forbidden", True, "allowed", False), ("allowed", True, "HTTP 503 without a decision", False),
])
def test_what_agrees(intended, routed, real, right):
    assert report.agrees(line(intended, routed=routed), real) is right


@pytest.mark.parametrize(("method", "intended", "sent"), [
    ("DELETE", "login needed", True), ("GET", "allowed", True), ("DELETE", "allowed", False), ("POST", "no rule", True)])
def test_what_may_be_sent_through_the_gateway(method, intended, sent):
    assert report.through_gateway(line(intended, method)) is sent


OATHKEEPERS = json.dumps({"error": {"code": 401, "message": "Access credentials are invalid"}}).encode()
NO_RULE = json.dumps({"error": {"code": 404, "message": "Requested url does not match any rules"}}).encode()


@pytest.mark.parametrize(("status", "body", "method", "decision"), [
    (401, OATHKEEPERS, "GET", "login needed"), (401, b"", "HEAD", "login needed"), (403, b'{"error":{"code":403}}', "GET", "forbidden"),
    # A service of its own that refuses was reached.
    (401, b"go away", "GET", "allowed"), (403, b'{"error":"no"}', "GET", "allowed"), (404, b"Not Found", "GET", "allowed"),
    (404, NO_RULE, "GET", "no rule"), (404, b'{"error":{"code":404,"message":"unknown"}}', "GET", "allowed"), (404, b"", "GET", "nothing there"),
    (200, b"x", "GET", "allowed"), (503, b"no healthy upstream", "GET", "allowed"), (503, b"", "GET", "HTTP 503 without a decision"),
])
def test_how_a_clients_answer_is_judged(status, body, method, decision):
    assert asking.judged(status, body, method) == decision


def test_the_table():
    one = found((line(), "login needed"), (line(method="PUT"), "allowed"), (line("allowed", who="member of a"), "allowed"),
                (line("no rule", "PUT", "member of a"), "no rule"))
    assert report.table(one) == [
        "SERVICE  NOBODY                                member of a",
        "one      login needed (GET), !! allowed (PUT)  allowed (GET)",
    ]


def test_rules_are_the_same_with_what_oathkeeper_fills_in():
    wanted = rules([SERVICE], "ml.example.org", "https://ml.example.org/auth/login")
    loaded = [{**rule, "version": "", "description": "", "upstream": {"url": "", "strip_path": ""},
               "authenticators": [{**one, "config": None} for one in rule["authenticators"]],
               "authorizer": {**rule["authorizer"], "config": None}} for rule in wanted]
    assert differences(wanted, loaded) == {}
    loaded[0]["authenticators"] = [{"handler": "noop", "config": None}]
    assert differences(wanted, loaded) == {"service:one": "differs in authenticators"}
    assert differences(wanted, []) == {"service:one": "is missing"}
    assert differences([], wanted) == {"service:one": "is not of the catalogue"}
