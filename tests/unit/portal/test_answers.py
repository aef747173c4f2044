# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a flow: shown, begun anew, sent elsewhere, or told."""

from __future__ import annotations

import pytest
from portal.answers import Go, Show, Tell, begin, decide, start

from ansible_collections.openmlops.platform.tests.unit.portal.flows import PUBLIC

CSRF = {"csrf_token_abc": "x"}
BEGIN = f"{PUBLIC}/self-service/login/browser"


def test_kratos_is_told_what_it_knows_and_nothing_else():
    query = {"return_to": "https://ml.example.org/a?b=c&d", "refresh": "true", "aal": "aal2", "next": "https://evil.example"}
    assert start(PUBLIC, "login", query) == f"{BEGIN}?return_to=https%3A%2F%2Fml.example.org%2Fa%3Fb%3Dc%26d&refresh=true&aal=aal2"
    assert start(PUBLIC, "settings", {}) == f"{PUBLIC}/self-service/settings/browser"


@pytest.mark.parametrize(("kind", "query", "session", "expected"), [
    ("login", {}, "none", BEGIN), ("login", {}, "whole", BEGIN), ("login", {"return_to": "r"}, "half", f"{BEGIN}?return_to=r&aal=aal2"),
    ("login", {"refresh": "true"}, "half", f"{BEGIN}?refresh=true"), ("settings", {}, "whole", f"{PUBLIC}/self-service/settings/browser"),
    ("settings", {}, "half", f"{PUBLIC}/self-service/settings/browser"),
    ("settings", {}, "none", f"{BEGIN}?return_to=https%3A%2F%2Fml.example.org%2Fauth%2Fsettings"),
])
def test_nobody_goes_in_circles_between_login_and_gateway(kind, query, session, expected):
    assert begin("https://ml.example.org", PUBLIC, kind, query, session) == expected


def test_a_flow_is_shown():
    assert decide(PUBLIC, "login", 200, {"id": "f"}, {}) == Show({"id": "f"})


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_old_flow_begins_anew(status):
    assert decide(PUBLIC, "login", status, {"error": {"code": status}}, CSRF) == Go(BEGIN)


def test_the_way_back_outlives_the_flow():
    body = {"error": {"details": {"return_to": "https://ml.example.org/mlflow/"}}}
    assert decide(PUBLIC, "login", 410, body, CSRF) == Go(f"{BEGIN}?return_to=https%3A%2F%2Fml.example.org%2Fmlflow%2F")


def test_a_browser_without_cookies_does_not_go_in_circles():
    assert isinstance(decide(PUBLIC, "login", 403, {}, {"other": "x"}), Tell)


def test_settings_need_a_login_and_lead_back():
    found = decide(PUBLIC, "settings", 401, {"error": {"code": 401}}, CSRF)
    assert found.url.startswith(f"{BEGIN}?return_to=") and "settings" in found.url


@pytest.mark.parametrize("body", [
    {"redirect_browser_to": f"{BEGIN}?aal=aal2"}, {"error": {"details": {"redirect_browser_to": f"{BEGIN}?aal=aal2"}}}])
def test_a_second_factor_or_a_new_login_first(body):
    assert decide(PUBLIC, "settings", 403, body, CSRF) == Go(f"{BEGIN}?aal=aal2")


def test_kratos_sends_nobody_to_another_site():
    assert decide(PUBLIC, "login", 403, {"redirect_browser_to": "https://evil.example/"}, CSRF) == Go(BEGIN)


def test_anything_else_is_told():
    assert decide(PUBLIC, "login", 400, {"error": {"reason": "Because."}}, CSRF) == Tell("Something went wrong", "Because.", 502)
