# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that ended, and the way back after a login, at the real login service."""

from __future__ import annotations

import urllib.parse

import pytest

from ansible_collections.openmlops.platform.tests.integration.access.echo import USERS, reached

LOGIN = "/.ory/kratos/public/self-service"
# {0} is the platform's own host.
ELSEWHERE = (
    "https://evil.example/", "http://evil.example", "//evil.example/", "///evil.example/", "/\\evil.example", "\\\\evil.example",
    "https://evil.example@{0}", "https://{0}@evil.example/", "https://{0}.evil.example/", "https://evil.example/{0}", "https:evil.example",
    "https:/\\evil.example", "https:\\\\evil.example", "HTTPS:\\\\evil.example", "https:%5C%5Cevil.example", "https:///evil.example",
    "/evil", "?evil", "https://evil.example#{0}", "https://evil.example?{0}", "https://{0}:8443/", "http://{0}/", "javascript:alert(1)",
    "data:text/html,x", "%2F%2Fevil.example", "https://evil%E3%80%82example/", "https://{0}%2Eevil.example/", " https://evil.example",
    "https://EVIL.example", "https://{0}\\.evil.example", "ftp://{0}/", "https://{0}/../../\\evil.example",
)


def test_a_closed_session_opens_nothing(gateway, passwords):
    token = gateway.login(USERS["user"][0], passwords["user"])
    assert reached(gateway.ask("/private/a", token=token))
    ended = gateway.ask(f"{LOGIN}/logout/api", "DELETE", json={"session_token": token})
    assert ended.status_code == 204, ended.text
    for place in ("/private/a", "/open/inner/a", "/team/a"):
        assert gateway.ask(place, token=token).status_code == 401


def test_the_cookie_of_a_closed_session_opens_nothing(gateway, passwords):
    browser = gateway.browser_login(USERS["member"][0], passwords["member"])
    kept = dict(browser.cookies)
    assert reached(browser.get(gateway.url + "/team/a")) and reached(gateway.ask("/team/a", cookies=kept))
    flow = browser.get(f"{gateway.url}{LOGIN}/logout/browser", headers={"Accept": "application/json"}).json()
    assert browser.get(flow["logout_url"], headers={"Accept": "application/json"}).status_code in (200, 204)
    for place in ("/private/a", "/open/inner/a", "/team/a"):
        answer = gateway.ask(place, cookies=kept, headers={"Accept": "application/json"})
        assert answer.status_code == 401 and not reached(answer), place


def test_an_ended_session_of_one_leaves_the_others(gateway, passwords, tokens):
    browser = gateway.browser_login(USERS["user"][0], passwords["user"])
    gateway.ask(f"{LOGIN}/logout/api", "DELETE", json={"session_token": gateway.login(USERS["user"][0], passwords["user"])})
    assert reached(browser.get(gateway.url + "/private/a")) and reached(gateway.ask("/private/a", token=tokens["user"]))


@pytest.mark.parametrize("flow", ["login", "settings", "logout"])
@pytest.mark.parametrize("known", [False, True])
def test_the_way_back_leads_nowhere_else(gateway, passwords, flow, known):
    """Who has a session already is sent back at once, without a page that could look at the address."""
    browser = gateway.browser_login(USERS["user"][0], passwords["user"]) if known else gateway.session()
    for target in ELSEWHERE:
        back = target.format(gateway.host)
        answer = browser.get(f"{gateway.url}{LOGIN}/{flow}/browser", params={"return_to": back}, headers={"Accept": "text/html"},
                             allow_redirects=False)
        if answer.status_code == 200 and "logout_url" in answer.text:
            answer = browser.get(answer.json()["logout_url"], headers={"Accept": "text/html"}, allow_redirects=False)
            browser = gateway.browser_login(USERS["user"][0], passwords["user"])
        assert answer.status_code in (302, 303, 400, 401), (back, answer.status_code)
        location = answer.headers.get("Location", gateway.url)
        assert safe(location, gateway.host), f"{back!r} leads to {location!r}"
        # Nor does the flow remember it, to go there after the login.
        number = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query).get("flow")
        if flow == "login" and number:
            kept = browser.get(f"{gateway.url}{LOGIN}/login/flows", params={"id": number[0]}).json().get("return_to")
            assert safe(kept or gateway.url, gateway.host), f"{back!r} is remembered as {kept!r}"


def test_the_way_back_leads_back(gateway, passwords):
    browser = gateway.browser_login(USERS["user"][0], passwords["user"])
    back = f"{gateway.url}/private/a?x=1"
    answer = browser.get(f"{gateway.url}{LOGIN}/login/browser", params={"return_to": back}, headers={"Accept": "text/html"}, allow_redirects=False)
    assert answer.headers["Location"] == back
    answer = browser.get(f"{gateway.url}{LOGIN}/login/browser", headers={"Accept": "text/html"}, allow_redirects=False)
    there = urllib.parse.urlsplit(answer.headers["Location"])
    assert (there.hostname, there.port or 443, there.path) == (gateway.host, gateway.port, "/")


def safe(url: str, host: str) -> bool:
    """Tells whether a browser that is sent to a URL stays here: browsers read a backslash as a slash."""
    there = urllib.parse.urlsplit(urllib.parse.urljoin(f"https://{host}/", url.strip().replace("\\", "/")))
    return (there.scheme, there.hostname, there.port or 443) == ("https", host, 443)


def test_the_gateway_sends_nobody_elsewhere(gateway):
    """The way to the login page is made of what the client asked for; a client that lies about its host gets no such way."""
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"},
                    {"X-Forwarded-Proto": "http"}, {"Host": f"{gateway.host}@evil.example"}, {"Host": f"evil.example:{gateway.port}"}):
        answer = gateway.ask("/private/a", headers={"Accept": "text/html", **headers})
        assert "evil" not in answer.headers.get("Location", ""), (headers, answer.headers)
        assert answer.headers.get("Location", "https://").startswith("https://")
    for path in ("//evil.example/", "/private//evil.example/", "/private/a?return_to=https://evil.example/"):
        answer = gateway.ask(path, headers={"Accept": "text/html"})
        there = urllib.parse.urlsplit(answer.headers.get("Location", f"{gateway.url}/"))
        assert there.netloc in ("", gateway.host), (path, answer.headers)
