# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform in a real browser: log in, work, log out.

OPENMLOPS_PICTURES names a folder for pictures of the pages.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import struct
import time
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.tests.integration import browser as browsers
from ansible_collections.openmlops.platform.tests.integration.platform_client import gateway_of, secret

PASSWORD = secrets.token_urlsafe(12)
MEMBER = "browser-member@example.org"
# A service for a group: another way to the portal, which answers that there is no such page.
TEAM = {"name": "team-notes", "title": "Team notes", "description": "What the team writes down", "prefix": "/team-notes/", "service": "portal",
        "namespace": "portal", "port": 80, "allow": ["note-takers"]}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The folder of the pictures."""
    given = os.environ.get("OPENMLOPS_PICTURES")
    folder = Path(given) if given else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def url(cluster, tmp_path_factory):
    """The platform's address, once there is a service for a group and a person in it; both are taken away again."""
    more = tmp_path_factory.mktemp("browser") / "more.json"
    more.write_text(json.dumps({"platform_services": [TEAM], "platform_users": [{"email": MEMBER, "groups": TEAM["allow"]}],
                                "ory_registration_enabled": True}))
    cluster.run("up", "-e", f"@{more}").ok()
    yield gateway_of(cluster, tmp_path_factory.mktemp("gateway")).url
    cluster.run("up").ok()


@pytest.fixture(scope="module")
def browser():
    """A running browser."""
    with browsers.started() as found:
        yield found


@pytest.fixture
def visitor(browser, url, pictures):
    """Makes visitors; fails when a page broke its own Content-Security-Policy."""
    made = []

    def make(**options) -> browsers.Visitor:
        made.append(browsers.Visitor(browser, url, pictures, viewport={"width": 1000, "height": 640}, **options))
        return made[-1]

    yield make
    refused = [text for each in made for text in each.refused]
    for each in made:
        each.context.close()
    assert refused == []


@pytest.fixture(scope="module")
def account(browser, url, pictures):
    """The e-mail of somebody who registered."""
    email = f"visitor-{secrets.token_hex(4)}@example.org"
    someone = browsers.Visitor(browser, url, pictures)
    someone.open("/auth/registration")
    someone.register(email, PASSWORD)
    assert someone.heading == "Your services"
    someone.context.close()
    return email


def code(key: str) -> str:
    """Returns the code that an authenticator app shows now (RFC 6238)."""
    mark = hmac.new(base64.b32decode(key + "=" * (-len(key) % 8)), struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    place = mark[-1] & 15
    return f"{(struct.unpack('>I', mark[place:place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def test_from_the_address_to_an_experiment_and_out_again(visitor):
    """Redirect to the login, register, come back to the page first asked for, use it, log out, be locked out."""
    someone = visitor()
    someone.open("/mlflow/")
    assert someone.path.startswith("/auth/login?flow=") and someone.heading == "Log in"
    someone.picture("login")
    someone.follow("Create one")
    assert someone.heading == "Create an account"
    someone.picture("registration")
    someone.register(f"first-{secrets.token_hex(4)}@example.org", PASSWORD)
    assert someone.path.startswith("/mlflow/")
    someone.open("/mlflow/#/experiments")
    someone.page.get_by_role("link", name="platform-verification").first.wait_for()
    someone.picture("mlflow")
    someone.open("/auth/logout")
    assert someone.path.startswith("/auth/login")
    someone.open("/mlflow/")
    assert someone.path.startswith("/auth/login?flow=") and someone.heading == "Log in"


def test_a_wrong_password_is_told_in_words(visitor, account):
    someone = visitor()
    someone.open("/auth/login")
    someone.login(account, "not-the-password")
    alert = someone.page.get_by_role("alert")
    assert "The e-mail or the password is wrong." in alert.inner_text()
    assert someone.page.title().startswith("Error: ")
    assert someone.page.get_by_label("E-mail").input_value() == account
    someone.picture("wrong-password")
    someone.login(account, PASSWORD)
    assert someone.heading == "Your services"


def test_a_short_password_is_told_at_its_field(visitor):
    someone = visitor()
    someone.open("/auth/registration")
    someone.register(f"short-{secrets.token_hex(4)}@example.org", "abc")
    field = someone.page.get_by_label("Password")
    assert field.get_attribute("aria-invalid") == "true"
    told = someone.page.locator(f"#{field.get_attribute('aria-describedby').split()[0]}")
    assert "at least" in told.inner_text()


def test_a_person_without_groups_sees_what_is_for_everybody(visitor, account):
    someone = visitor()
    someone.open("/")
    someone.login(account, PASSWORD)
    assert someone.path == "/" and "MLflow" in someone.services() and TEAM["title"] not in someone.services()
    assert account in someone.page.locator("header").inner_text()
    someone.picture("services")
    someone.open("/team-notes/")
    place, _mark, query = someone.path.partition("?")
    assert place == "/auth/error" and {"reason=forbidden", "service=team-notes"} <= set(query.split("&"))
    assert someone.heading == "You may not enter Team notes" and account in someone.page.locator("main").inner_text()
    someone.picture("forbidden")
    someone.follow("To your services")
    someone.follow("MLflow")
    assert someone.path.startswith("/mlflow/")


def test_a_member_sees_and_enters_the_service_of_the_group(visitor, cluster):
    someone = visitor()
    someone.open("/team-notes/")
    someone.login(MEMBER, secret(cluster, "ory", "user-browser-member-example-org", "password"))
    assert someone.path == "/team-notes/"
    someone.open("/")
    assert {"MLflow", TEAM["title"]} <= set(someone.services())


def test_everything_but_security_keys_works_without_javascript(visitor):
    someone = visitor(java_script_enabled=False)
    email = f"plain-{secrets.token_hex(4)}@example.org"
    someone.open("/")
    someone.follow("Create one")
    someone.register(email, PASSWORD)
    assert someone.heading == "Your services" and "MLflow" in someone.services()
    someone.follow("Settings")
    changed = PASSWORD + "-2"
    someone.page.get_by_label("New password").fill(changed)
    with someone.page.expect_navigation():
        someone.page.get_by_role("region", name="Password").get_by_role("button", name="Save").click()
    assert "saved" in someone.page.get_by_role("status").inner_text()
    someone.follow("Log out")
    assert someone.heading == "Log in"
    someone.login(email, PASSWORD)
    assert someone.page.get_by_role("alert").is_visible()
    someone.login(email, changed)
    assert someone.path == "/" and someone.heading == "Your services"


def test_a_second_step(visitor):
    """An authenticator app is set up, and the next login asks for its code."""
    someone = visitor()
    email = f"careful-{secrets.token_hex(4)}@example.org"
    someone.open("/auth/registration")
    someone.register(email, PASSWORD)
    someone.open("/auth/settings")
    assert someone.heading == "Settings"
    app = someone.page.get_by_role("region", name="Authenticator app")
    assert app.get_by_role("img").evaluate("image => image.naturalWidth") > 100
    someone.picture("settings")
    key = app.locator("code").inner_text()
    app.get_by_label("Verify code").fill(code(key))
    with someone.page.expect_navigation():
        app.get_by_role("button", name="Save").click()
    assert "saved" in someone.page.get_by_role("status").inner_text()
    someone.open("/auth/logout")
    someone.open("/mlflow/")
    someone.login(email, PASSWORD)
    assert someone.heading == "Second step"
    someone.picture("second-step")
    someone.open("/mlflow/")  # the session is there, but half
    assert someone.heading == "Second step"
    someone.page.get_by_label("Authentication code").fill("000000")
    someone.press("Use Authenticator")
    assert someone.page.get_by_role("alert").is_visible() and someone.heading == "Second step"
    someone.page.get_by_label("Authentication code").fill(code(key))
    someone.press("Use Authenticator")
    assert someone.path.startswith("/mlflow/")


def test_an_old_form_begins_anew(visitor, account):
    someone = visitor()
    someone.open("/auth/login?flow=00000000-0000-0000-0000-000000000000")
    assert someone.heading == "Log in" and "00000000-0000" not in someone.path
    someone.login(account, PASSWORD)
    assert someone.path == "/"
    someone.open("/auth/login")
    assert someone.path == "/"  # is logged in already


def test_settings_need_a_login_and_come_back(visitor, account):
    someone = visitor()
    someone.open("/auth/settings")
    assert someone.heading == "Log in"
    someone.login(account, PASSWORD)
    assert someone.heading == "Settings"


def test_what_mail_would_be_needed_for_is_said_to_be_off(visitor):
    someone = visitor()
    someone.open("/auth/recovery")
    assert someone.heading == "Recovery by mail is off"
    someone.open("/auth/login")
    assert someone.page.get_by_role("link", name="Recover your account").count() == 0


def test_nobody_is_sent_to_another_site(visitor):
    someone = visitor()
    someone.open("/auth/login?return_to=https://evil.example/")
    assert someone.path.startswith("/auth/error?id=") and "not allowed" in someone.page.locator("main").inner_text()
    someone.picture("error")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_screens(visitor, account, scheme):
    """Nothing is cut off and nothing has to be moved sideways at 390 pixels."""
    someone = visitor(color_scheme=scheme)
    someone.page.set_viewport_size({"width": 390, "height": 780})

    def fits(name):
        wide = someone.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{name}: {wide} pixels wide"
        someone.picture(f"small-{scheme}-{name}")

    someone.open("/auth/login")
    fits("login")
    someone.login(account, PASSWORD)
    fits("services")
    someone.open("/auth/settings")
    fits("settings")
    someone.open("/auth/error?reason=forbidden&service=team-notes")
    fits("forbidden")


def test_the_keyboard_is_enough(visitor, account):
    """The cursor stands in the first field; the first stop of the Tab key leads past the header."""
    someone = visitor()
    someone.open("/auth/login")
    assert someone.page.evaluate("document.activeElement.name") == "identifier"
    someone.page.keyboard.type(account)
    someone.page.keyboard.press("Tab")
    someone.page.keyboard.type(PASSWORD)
    with someone.page.expect_navigation():
        someone.page.keyboard.press("Enter")
    assert someone.heading == "Your services"
    someone.page.keyboard.press("Tab")
    assert someone.page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert re.fullmatch(r"en", someone.page.locator("html").get_attribute("lang"))
