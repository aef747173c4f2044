# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole pages, from the application itself; Kratos and Keto are answered for by the test."""

from __future__ import annotations

import asyncio
import html.parser
import json
import re

import httpx
import pytest
from portal import settings as configuration
from portal.app import create
from portal.settings import Settings

from ansible_collections.openmlops.platform.tests.unit.portal import flows

URL = "https://ml.example.org"
FLOWS = {
    "login": flows.login(), "wrong": flows.login("a@example.org", wrong=True), "oidc": flows.login(oidc=True), "aal2": flows.second_step(),
    "registration": flows.registration(), "short": flows.registration(wrong=True), "settings": flows.settings(),
    "saved": flows.settings("success"), "recovery": flows.recovery_sent(), "verified": flows.verified(),
    "evil": flows.login("\"><script>alert(1)</script>"),
}
PAGES = {
    "/auth/login?flow=login": "Log in", "/auth/login?flow=wrong": "Log in", "/auth/login?flow=oidc": "Log in",
    "/auth/login?flow=aal2": "Second step", "/auth/registration?flow=registration": "Create an account",
    "/auth/registration?flow=short": "Create an account", "/auth/settings?flow=settings": "Settings",
    "/auth/settings?flow=saved": "Settings", "/auth/recovery?flow=recovery": "Recover your account",
    "/auth/verification?flow=verified": "Verify your address", "/auth/login?flow=evil": "Log in",
    "/auth/error?reason=forbidden&service=hub": "You may not enter Hub", "/auth/error?id=known": "Something went wrong",
    "/": "Your services", "/nowhere": "There is no such page",
}
CATALOGUE = {"url": URL, "services": [
    {"name": name, "title": name.capitalize(), "description": "What it is for", "section": "", "host": host, "prefix": f"/{name}",
     "allow": allow, "landing": True}
    for name, host, allow in (("hub", "ml.example.org", ["team"]), ("mlflow", "ml.example.org", "authenticated"),
                              ("secret", "ml.example.org", ["admins"]), ("own", "own.example.org", ["nobodies"]))
]}
VOID = {"meta", "link", "img", "input", "br"}


class Page(html.parser.HTMLParser):
    """The elements of a page; fails on one that is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _value in attrs}) == len(attrs), f"{tag}: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def all(self, *tags):
        return [attrs for tag, attrs in self.elements if tag in tags]


class World:
    """The application, and what Kratos and Keto answer."""

    def __init__(self, folder) -> None:
        path = folder / "catalogue.json"
        path.write_text(json.dumps(CATALOGUE))
        self.settings = Settings(URL, "http://kratos", "http://keto", str(path), registration=True, recovery=True, verification=True,
                                 contact="ml-team@example.org")
        self.asked: list[httpx.Request] = []
        self.keto: dict[str, int] = {"hub": 200}
        self.kratos_up = True

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.path
        if request.url.host == "keto":
            return httpx.Response(self.keto.get(json.loads(request.content)["object"], 403), json={})
        if not self.kratos_up:
            raise httpx.ConnectError("refused")
        if path == "/sessions/whoami" and "half" in request.headers.get("cookie", ""):
            return httpx.Response(403, json={"error": {"id": "session_aal2_required"}})
        if path == "/sessions/whoami" and "ory_kratos_session" in request.headers.get("cookie", ""):
            return httpx.Response(200, json={"identity": {"traits": {"email": "user@example.org"}}})
        if path == "/self-service/logout/browser" and "ory_kratos_session" in request.headers.get("cookie", ""):
            return httpx.Response(200, json={"logout_url": f"{flows.PUBLIC}/self-service/logout?token=t"})
        if path == "/self-service/errors" and request.url.params["id"] == "known":
            return httpx.Response(200, json={"error": {"code": 400, "message": "Bad", "reason": "The address is not allowed."}})
        found = FLOWS.get(request.url.params.get("id", "")) if path.endswith("/flows") else None
        return httpx.Response(200, json=found) if found else httpx.Response(404 if path.endswith("s") else 401, json={"error": {}})

    def get(self, path: str, method: str = "GET", settings: Settings | None = None, **headers: str) -> httpx.Response:
        async def ask():
            app = create(settings or self.settings, httpx.MockTransport(self._answer))
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
                return await client.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})

        return asyncio.run(ask())

    def page(self, path: str) -> tuple[httpx.Response, Page]:
        answer = self.get(path, cookie="ory_kratos_session=s; csrf_token_a=b", x_user_id="u1", x_user_email="user@example.org")
        return answer, Page(answer.text)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_can_be_used_by_everybody(world, path):
    """Without sight, without a mouse, without JavaScript; well formed and with nothing of another site."""
    answer, page = world.page(path)
    assert re.search(r"<h1>(.*)</h1>", answer.text)[1] == PAGES[path]
    assert page.all("html") == [{"lang": "en"}] and len(page.all("main")) == len(page.all("header")) == len(page.all("h1")) == 1
    identifiers = [attrs["id"] for _tag, attrs in page.elements if "id" in attrs]
    assert len(set(identifiers)) == len(identifiers)
    labelled = {attrs["for"] for attrs in page.all("label")}
    fields = [attrs for attrs in page.all("input", "select") if attrs.get("type") != "hidden"]
    assert labelled == {attrs["id"] for attrs in fields}
    for attrs in [attrs for _tag, attrs in page.elements]:
        assert set(attrs.get("aria-describedby", "").split()) <= set(identifiers)
        assert not [name for name in attrs if name.startswith("on")] and "style" not in attrs
        for name in ("src", "href"):
            assert re.match(r"/|#|data:image/|https://(ml|own)\.example\.org/", attrs.get(name, "/")), attrs
    assert all("alt" in attrs for attrs in page.all("img"))
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'" and "unsafe" not in str(policy)
    assert ("script-src" in policy) == bool(page.all("script"))
    assert answer.headers["cache-control"] == "no-store"


def test_a_form_is_kratos_own(world):
    _answer, page = world.page("/auth/login?flow=login")
    assert page.all("form") == [{"action": f"{flows.PUBLIC}/self-service/login?flow=f1", "method": "POST"}]
    assert {"type": "hidden", "name": "csrf_token", "value": "token=="} in page.all("input")
    assert {"class": "loud", "type": "submit", "name": "method", "value": "password"} in page.all("button")


def test_only_pages_with_security_keys_have_scripts(world):
    assert not world.page("/auth/login?flow=oidc")[1].all("script")
    scripts = world.page("/auth/settings?flow=settings")[1].all("script")
    assert [each["src"].split("?")[0] for each in scripts] == [f"{flows.PUBLIC}/.well-known/ory/webauthn.js", "/auth/static/keys.js"]
    assert scripts[0]["integrity"] == "sha512-abc"


def test_errors_are_told_at_the_top_and_at_the_field(world):
    answer, page = world.page("/auth/registration?flow=short")
    assert "<title>Error: Create an account" in answer.text and 'role="alert"' in answer.text
    (wrong,) = [attrs for attrs in page.all("input") if attrs.get("aria-invalid")]
    assert f'href="#{wrong["id"]}"' in answer.text and wrong["aria-describedby"].strip()
    answer, _page = world.page("/auth/login?flow=wrong")
    assert "The e-mail or the password is wrong." in answer.text and "a@example.org" in answer.text


def test_the_way_back_goes_with_the_person(world):
    answer, _page = world.page("/auth/login?flow=login")
    back = "?return_to=https%3A%2F%2Fml.example.org%2Fmlflow%2F"
    assert f"/auth/registration{back}" in answer.text and f"/auth/recovery{back}" in answer.text


def test_forms_may_lead_where_the_login_leads(world):
    """Browsers hold the redirects after a form against form-action too."""
    def goals(path):
        return re.search("form-action ([^;]*)", world.get(path).headers["content-security-policy"])[1]

    assert goals("/auth/login?flow=login") == "'self' https://own.example.org"
    assert goals("/auth/login?flow=oidc") == "'self' https://own.example.org https: http:"
    assert goals("/auth/error?id=known") == "'self'"


@pytest.mark.parametrize("kind", ["registration", "recovery", "verification"])
def test_what_is_off_is_said_plainly(world, kind):
    off = Settings(URL, "http://kratos", "http://keto", world.settings.catalogue)
    answer = world.get(f"/auth/{kind}?flow={kind}", settings=off)
    assert answer.status_code == 403 and (" off" in answer.text or "closed" in answer.text) and not world.asked
    assert f"/auth/{kind}" not in world.get("/auth/login?flow=login", settings=off).text


def test_kratos_gets_the_cookies_and_the_flow(world):
    world.get("/auth/login?flow=login", cookie="csrf_token_a=b")
    (asked,) = world.asked
    assert str(asked.url) == "http://kratos/self-service/login/flows?id=login" and asked.headers["cookie"] == "csrf_token_a=b"


def test_settings_need_a_login_and_lead_back(world):
    back = f"{flows.PUBLIC}/self-service/login/browser?return_to=https%3A%2F%2Fml.example.org%2Fauth%2Fsettings"
    assert world.get("/auth/settings").headers["location"] == back
    assert world.get("/auth/settings", cookie="ory_kratos_session=s").headers["location"] == f"{flows.PUBLIC}/self-service/settings/browser"


def test_who_left_out_the_second_step_is_asked_for_it(world):
    assert "aal=aal2" in world.get("/auth/login?return_to=x", cookie="ory_kratos_session=half").headers["location"]
    assert "aal" not in world.get("/auth/login?return_to=x", cookie="ory_kratos_session=s").headers["location"]


def test_kratos_down_is_told(world):
    world.kratos_up = False
    answer = world.get("/auth/login?flow=login")
    assert answer.status_code == 503 and "does not answer" in answer.text


def test_the_landing_page_lists_what_the_gateway_would_let_in(world):
    _answer, page = world.page("/")
    assert {attrs["data-service"]: attrs["href"] for attrs in page.all("a") if "data-service" in attrs} == {
        "hub": f"{URL}/hub/", "mlflow": f"{URL}/mlflow/"}
    assert [json.loads(each.content) for each in world.asked][0] == {
        "namespace": "Service", "object": "hub", "relation": "access", "subject_id": "u1"}


def test_a_person_without_services_is_told(world):
    empty = Settings(URL, "http://kratos", "http://keto", "/nowhere/catalogue.json", contact="ml-team@example.org")
    answer = world.get("/", x_user_id="u1", x_user_email="user@example.org", settings=empty)
    assert "There is nothing for you here yet" in answer.text and "ml-team@example.org" in answer.text


def test_keto_down_hides_and_says_so(world):
    world.keto = dict.fromkeys(("hub", "secret", "own"), 500)
    answer, page = world.page("/")
    assert [attrs["data-service"] for attrs in page.all("a") if "data-service" in attrs] == ["mlflow"]
    assert "could not be looked up" in answer.text


def test_nobody_sees_the_landing_page_without_the_gateways_word(world):
    answer = world.get("/", cookie="ory_kratos_session=s")
    assert answer.status_code == 303 and answer.headers["location"] == "/auth/login"


def test_an_unknown_service_is_not_named(world):
    answer = world.get("/auth/error?reason=forbidden&service=%3Cb%3Epay+me")
    assert answer.status_code == 403 and "pay me" not in answer.text and "You may not enter this service" in answer.text


@pytest.mark.parametrize(("site", "leaves"), [("same-origin", True), ("none", True), ("cross-site", False), ("same-site", False)])
def test_another_site_logs_nobody_out(world, site, leaves):
    answer = world.get("/auth/logout", cookie="ory_kratos_session=s", sec_fetch_site=site)
    assert (answer.status_code == 303) is leaves
    if leaves:
        assert answer.headers["location"] == f"{flows.PUBLIC}/self-service/logout?token=t"


def test_who_is_logged_out_already_comes_to_the_login(world):
    assert world.get("/auth/logout").headers["location"] == "/auth/login"


def test_files_are_kept_by_browsers_and_cannot_do_harm(world):
    sheet = world.get(re.search(r'href="(/auth/static/portal.css\?v=\w+)"', world.get("/nowhere").text)[1])
    assert sheet.headers["content-type"].startswith("text/css") and "immutable" in sheet.headers["cache-control"]
    assert "sandbox" in world.get("/auth/static/icon.svg").headers["content-security-policy"]
    assert world.get("/auth/static/..%2f..%2fapp.py").status_code == 404


def test_a_logo_takes_the_place_of_ours(world, tmp_path):
    (tmp_path / "logo.svg").write_text("<svg/>")
    own = Settings(URL, "http://kratos", "http://keto", world.settings.catalogue, logo=str(tmp_path / "logo.svg"), title="Lab <1>")
    text = world.get("/nowhere", settings=own).text
    assert "/auth/static/logo.svg?v=" in text and "Lab &lt;1&gt;" in text


def test_settings_come_from_the_environment():
    given = {"PORTAL_URL": "https://ml.example.org/", "PORTAL_KRATOS": "http://k", "PORTAL_KETO": "http://q", "PORTAL_REGISTRATION": "true",
             "PORTAL_RECOVERY": "false", "PORTAL_TIMEOUT": "2"}
    found = configuration.read(given)
    assert (found.url, found.registration, found.recovery, found.timeout) == ("https://ml.example.org", True, False, 2.0)
    with pytest.raises(ValueError, match="PORTAL_KETO"):
        configuration.read({name: given[name] for name in ("PORTAL_URL", "PORTAL_KRATOS")})
