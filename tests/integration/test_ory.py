# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to log in, with the real Kratos: registration, mail, second factors, other providers.

The mail server and the OpenID Connect provider listen on the node's address, in its network namespace: pods and this machine both reach
them there.
"""

from __future__ import annotations

import email
import html
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

import pyotp
import pytest
import requests
from aiosmtpd.controller import Controller

from ansible_collections.openmlops.platform.tests.integration.platform_client import csrf, gateway_of

PUBLIC = "/.ory/kratos/public"
CLIENT_SECRET = f"client-{uuid.uuid4().hex}"
PASSWORD = f"long-{uuid.uuid4().hex}"
JSON = {"Accept": "application/json"}


class Mailbox:
    """Takes every mail."""

    def __init__(self):
        self.mails: list[tuple[str, str]] = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  the library's name
        message = email.message_from_bytes(envelope.content)
        parts = [part.get_payload(decode=True).decode() for part in message.walk() if part.get_content_type() == "text/plain"]
        self.mails.append((envelope.rcpt_tos[0], parts[0]))
        return "250 taken"

    def code(self, address: str, seconds: float = 120.0) -> str:
        """Returns the code of the newest mail to an address, and takes it out."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for number, (to, text) in reversed(list(enumerate(self.mails))):
                if to == address and (code := re.search(r"\b([0-9]{6})\b", text)):
                    del self.mails[number]
                    return code[1]
            time.sleep(0.2)
        raise AssertionError(f"no mail to {address} in {seconds} s; there are {self.mails}")


class MailServer(Controller):
    """A mail server on a socket that listens already."""

    def __init__(self, handler, listening: socket.socket):
        address, port = listening.getsockname()
        super().__init__(handler, hostname=address, port=port)
        self._listening = listening

    def _create_server(self):
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


def namespace(address: str) -> Path:
    """Returns the network namespace of the node with an address."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"--advertise-address={address}" in (process / "cmdline").read_text().split("\0"):
                return process / "ns" / "net"
        except OSError:
            continue
    raise AssertionError(f"no API server at {address}")


def listen(address: str) -> socket.socket:
    """Returns a socket that listens on a node's address, whatever port is free there."""
    found = []

    def inside():
        with namespace(address).open() as space:
            os.setns(space.fileno(), os.CLONE_NEWNET)  # of this thread alone
        found.append(socket.create_server((address, 0)))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture(scope="module")
def host(cluster):
    return cluster.facts["node_address"]


@pytest.fixture(scope="module")
def mailbox(host):
    found = Mailbox()
    controller = MailServer(found, listen(host))
    controller.start()
    found.port = controller.port
    yield found
    controller.stop()


@pytest.fixture(scope="module")
def plain(cluster, tmp_path_factory):
    """The gateway of a platform where nobody may register, and without mail."""
    configured(cluster, tmp_path_factory.mktemp("plain"), ory_registration_enabled=False)
    return gateway_of(cluster, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def provider(host, plain, tmp_path_factory):
    """A real OpenID Connect provider; its issuer's address."""
    with listen(host) as free:
        port = free.getsockname()[1]
    script = Path(__file__).parent / "files" / "provider.py"
    process = subprocess.Popen(["nsenter", f"--net={namespace(host)}", sys.executable, script, host, str(port), tmp_path_factory.mktemp("provider"),
                                f"{plain.url}{PUBLIC}/self-service/methods/oidc/callback/company", CLIENT_SECRET])
    issuer = f"http://{host}:{port}/o"
    for _attempt in range(240):
        try:
            assert requests.get(f"{issuer}/.well-known/openid-configuration", timeout=5).json()["issuer"] == issuer
            break
        except requests.RequestException:
            assert process.poll() is None, "the provider ended"
            time.sleep(0.5)
    yield issuer
    process.terminate()
    process.wait(10)


def configured(cluster, folder: Path, **variables) -> None:
    file = folder / "ory.json"
    file.write_text(json.dumps(variables))
    done = cluster.run("up", "-vvv", "-e", f"@{file}")
    done.ok()
    assert CLIENT_SECRET not in done.text, "a client's secret is in the output"


@pytest.fixture(scope="module")
def settings(host, mailbox, provider):
    """What a platform with all ways in sets."""
    return {
        "ory_registration_enabled": True, "ory_session_lifespan": "36h", "ory_session_cookie_domain": host,
        "ory_smtp_connection_uri": f"smtp://{host}:{mailbox.port}/?disable_starttls=true", "ory_smtp_from_address": "ml@example.org",
        "test_client_secret": CLIENT_SECRET,
        "ory_oidc_providers": [
            {"id": "company", "provider": "generic", "client_id": "openmlops", "client_secret_variable": "test_client_secret",
             "issuer_url": provider, "label": "Company"},
            {"id": "github", "provider": "github", "client_id": "gh", "client_secret_variable": "test_client_secret"},
            {"id": "google", "provider": "google", "client_id": "gg", "client_secret_variable": "test_client_secret",
             "hosted_domain": "example.org"},
            {"id": "microsoft", "provider": "microsoft", "client_id": "ms", "client_secret_variable": "test_client_secret",
             "tenant": "11111111-2222-3333-4444-555555555555"},
        ],
    }


@pytest.fixture(scope="module")
def opened(cluster, plain, settings, tmp_path_factory):
    """The same platform with all ways to log in."""
    configured(cluster, tmp_path_factory.mktemp("opened"), **settings)
    yield plain
    cluster.run("up").ok()


def flow(gateway, name: str, query: str = "", token: str = "") -> dict:
    """Begins a flow as a program does."""
    answer = gateway.ask(f"{PUBLIC}/self-service/{name}/api{query}", headers={"X-Session-Token": token} if token else {})
    assert answer.status_code == 200, answer.text[:500]
    return answer.json()


def submit(gateway, begun: dict, token: str = "", **body) -> requests.Response:
    path = begun["ui"]["action"].removeprefix(gateway.url)
    return gateway.ask(path, "POST", json=body, headers={**JSON, **({"X-Session-Token": token} if token else {})})


def whoami(gateway, token: str) -> requests.Response:
    return gateway.ask(f"{PUBLIC}/sessions/whoami", headers={"X-Session-Token": token})


def identities(cluster) -> dict[str, dict]:
    raw = cluster.kubectl("get", "--raw", "/api/v1/namespaces/ory/services/kratos-admin:80/proxy/admin/identities?page_size=500")
    return {next(iter(one["traits"].values())): one for one in json.loads(raw)}


def register(gateway, address: str) -> dict:
    answer = submit(gateway, flow(gateway, "registration"), method="password", password=PASSWORD, traits={"email": address})
    assert answer.status_code == 200, answer.text[:1000]
    return answer.json()


def fresh(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}@example.org"


def field(shown: dict, name: str) -> dict:
    return next(node["attributes"] for node in shown["ui"]["nodes"] if name in (node["attributes"].get("name"), node["attributes"].get("id")))


# -- registration that is off -----------------------------------------------------------------------------------------------------


def test_registration_that_is_off_is_off_for_programs_and_browsers(cluster, plain):
    api = plain.ask(f"{PUBLIC}/self-service/registration/api")
    assert api.status_code == 400 and api.json()["error"]["id"] == "self_service_flow_disabled"
    page = plain.ask(f"{PUBLIC}/self-service/registration/browser", headers={"Accept": "text/html"})
    assert page.status_code == 303 and page.headers["Location"].startswith(f"{plain.url}/auth/error?id=")
    # Nor with a flow from elsewhere.
    address = fresh("off")
    for path in ("registration", f"registration?flow={uuid.uuid4()}"):
        answer = plain.ask(f"{PUBLIC}/self-service/{path}", "POST", headers=JSON,
                           json={"method": "password", "password": PASSWORD, "traits": {"email": address}})
        assert answer.status_code >= 400 and "session_token" not in answer.text
    assert address not in identities(cluster)


def test_mail_that_is_off_is_off(plain):
    for name in ("recovery", "verification"):
        answer = plain.ask(f"{PUBLIC}/self-service/{name}/api", headers=JSON)
        assert answer.status_code in (303, 400, 404) and '"nodes"' not in answer.text, answer.text[:300]


def test_the_admin_api_is_not_reached_through_the_gateway(plain):
    for path in ("/admin/identities", "/.ory/kratos/admin/identities", f"{PUBLIC}/admin/identities"):
        answer = plain.ask(path, headers=JSON)
        assert answer.status_code in (307, 401, 403, 404) and "schema_id" not in answer.text, f"{path}: {answer.status_code}"
        if answer.status_code == 307:  # Kratos' public port names the admin port's address in the cluster, no more
            assert plain.host not in answer.headers["Location"]


# -- registration and mail --------------------------------------------------------------------------------------------------------


def test_who_registers_is_a_person_in_no_group_whatever_they_ask_for(cluster, opened, mailbox):
    address = fresh("self")
    begun = flow(opened, "registration")
    for traits in ({"email": address, "groups": ["admins"]}, {"name": "machine"}):
        refused = submit(opened, begun, method="password", password=PASSWORD, traits=traits)
        assert refused.status_code == 400, refused.text[:500]
    answer = submit(opened, begun, method="password", password=PASSWORD, traits={"email": address}, schema_id="admin",
                    metadata_public={"groups": ["admins"]}, metadata_admin={"managed_by": "openmlops"}, state="active")
    token = answer.json()["session_token"]
    seen = whoami(opened, token).json()["identity"]
    assert seen["schema_id"] == "person" and seen["traits"] == {"email": address} and not seen.get("metadata_public")
    assert identities(cluster)[address]["metadata_admin"] is None
    # The address is verified by the code in a mail; one is sent at once, another when asked for.
    mailbox.code(address)
    shown = flow(opened, "verification")
    assert submit(opened, shown, method="code", email=address).status_code == 200
    done = submit(opened, shown, method="code", code=mailbox.code(address))
    assert done.status_code == 200 and done.json()["state"] == "passed_challenge", done.text[:500]
    assert whoami(opened, token).json()["identity"]["verifiable_addresses"][0]["verified"] is True


def test_a_forgotten_password_is_recovered_by_mail(opened, mailbox):
    address = fresh("forgot")
    old = register(opened, address)["session_token"]
    mailbox.code(address)  # that of the verification
    shown = flow(opened, "recovery")
    assert submit(opened, shown, method="code", email=address).status_code == 200
    wrong = submit(opened, shown, method="code", code="000000")
    assert wrong.status_code in (200, 400) and "continue_with" not in wrong.json()
    answer = submit(opened, shown, method="code", code=mailbox.code(address))
    assert answer.status_code == 200, answer.text[:800]
    steps = {step["action"]: step for step in answer.json()["continue_with"]}
    token = steps["set_ory_session_token"]["ory_session_token"]
    assert whoami(opened, token).json()["identity"]["traits"]["email"] == address
    # Whoever had the old password is out.
    assert whoami(opened, old).status_code == 401
    change = opened.ask(f"{PUBLIC}/self-service/settings/flows?id={steps['show_settings_ui']['flow']['id']}",
                        headers={"X-Session-Token": token}).json()
    assert submit(opened, change, token, method="password", password=f"new-{PASSWORD}").status_code == 200
    assert opened.login(address, f"new-{PASSWORD}")


def test_a_link_in_a_browser_logs_in(opened, mailbox):
    """In a browser the code from the mail leads on to the settings, logged in."""
    address = fresh("link")
    register(opened, address)
    mailbox.code(address)
    with opened.session() as browser:
        shown = browser.get(f"{opened.url}{PUBLIC}/self-service/recovery/browser", headers=JSON, timeout=30).json()
        browser.post(shown["ui"]["action"], data={"csrf_token": csrf(shown), "method": "code", "email": address}, timeout=30,
                     allow_redirects=False)
        done = browser.post(shown["ui"]["action"], data={"csrf_token": csrf(shown), "method": "code", "code": mailbox.code(address)},
                            timeout=30, allow_redirects=False)
        assert done.status_code == 303 and "/auth/settings" in done.headers["Location"], done.headers
        assert browser.get(f"{opened.url}{PUBLIC}/sessions/whoami", timeout=30).json()["identity"]["traits"]["email"] == address


def test_the_cookie_lasts_as_long_as_the_session_and_has_the_domain(opened):
    address = fresh("cookie")
    register(opened, address)
    with opened.session() as browser:
        shown = browser.get(f"{opened.url}{PUBLIC}/self-service/login/browser", headers=JSON, timeout=30).json()
        answer = browser.post(shown["ui"]["action"], allow_redirects=False, timeout=30, data={
            "csrf_token": csrf(shown), "method": "password", "identifier": address, "password": PASSWORD})
    cookie = next(text for text in answer.raw.headers.getlist("Set-Cookie") if text.startswith("ory_kratos_session="))
    parts = dict(part.strip().partition("=")[::2] for part in cookie.split(";")[1:])
    assert 36 * 3600 - 60 <= int(parts["Max-Age"]) <= 36 * 3600
    assert parts["Domain"] == opened.host and parts["SameSite"] == "Lax" and {"Secure", "HttpOnly"} <= set(parts)


# -- second factors ---------------------------------------------------------------------------------------------------------------


def test_who_set_up_a_second_factor_must_use_it(opened):
    address = fresh("two")
    token = register(opened, address)["session_token"]
    shown = flow(opened, "settings", token=token)
    key = field(shown, "totp_secret_key")["text"]["text"]
    assert submit(opened, shown, token, method="totp", totp_code=pyotp.TOTP(key).now()).status_code == 200
    # One factor is not enough any more: for Kratos itself, and at the gateway.
    one = opened.login(address, PASSWORD)
    assert whoami(opened, one).status_code == 403 and whoami(opened, one).json()["error"]["id"] == "session_aal2_required"
    assert opened.ask("/mlflow/", token=one, headers=JSON).status_code == 401
    second = flow(opened, "login", "?aal=aal2", one)
    wrong = submit(opened, second, one, method="totp", totp_code="000000")
    assert wrong.status_code == 400
    both = submit(opened, second, one, method="totp", totp_code=pyotp.TOTP(key).now())
    assert both.status_code == 200, both.text[:500]
    both = both.json()["session_token"] if "session_token" in both.json() else one
    assert whoami(opened, both).json()["authenticator_assurance_level"] == "aal2"
    assert opened.ask("/mlflow/", token=both, headers=JSON).status_code == 200
    # Codes for the day the telephone is lost: each works once.
    shown = flow(opened, "settings", token=both)
    made = submit(opened, shown, both, method="lookup_secret", lookup_secret_regenerate=True).json()
    codes = [entry["context"]["secret"] for entry in field(made, "lookup_secret_codes")["text"]["context"]["secrets"]]
    assert len(codes) >= 10
    assert submit(opened, made, both, method="lookup_secret", lookup_secret_confirm=True).status_code == 200
    for wanted in (200, 400):
        one = opened.login(address, PASSWORD)
        answer = submit(opened, flow(opened, "login", "?aal=aal2", one), one, method="lookup_secret", lookup_secret=codes[0])
        assert answer.status_code == wanted, answer.text[:500]


# -- other providers --------------------------------------------------------------------------------------------------------------


def leave_for(gateway, browser, provider: str) -> requests.Response:
    """Presses a provider's button on the login page."""
    shown = browser.get(f"{gateway.url}{PUBLIC}/self-service/login/browser?return_to={gateway.url}/mlflow/", headers=JSON, timeout=30).json()
    assert provider in [node["attributes"].get("value") for node in shown["ui"]["nodes"] if node["group"] == "oidc"]
    return browser.post(shown["ui"]["action"], data={"csrf_token": csrf(shown), "provider": provider}, timeout=60, allow_redirects=False)


def come_by(gateway, name: str) -> tuple[requests.Session, requests.Response]:
    """Logs in by the company's provider, as a browser; returns it and Kratos' last answer."""
    browser = gateway.session()
    answer = leave_for(gateway, browser, "company")
    for _step in range(8):
        assert answer.status_code in (302, 303), answer.text[:500]
        target = urllib.parse.urljoin(answer.url, html.unescape(answer.headers["Location"]))
        if target.startswith(gateway.url) and "/callback/" not in target:
            return browser, answer
        if "/login?next=" in target:
            answer = browser.post(target, data={"username": name}, timeout=60, allow_redirects=False)
        else:
            answer = browser.get(target, timeout=60, allow_redirects=False)
    raise AssertionError(f"still on the way: {answer.url}")


def test_the_companys_provider_lets_people_in_and_knows_them_again(cluster, opened):
    name = f"company-{uuid.uuid4().hex[:8]}"
    browser, answer = come_by(opened, name)
    assert answer.headers["Location"] == f"{opened.url}/mlflow/", answer.headers["Location"]
    assert browser.get(f"{opened.url}/mlflow/", timeout=30, allow_redirects=False).status_code == 200
    first = browser.get(f"{opened.url}{PUBLIC}/sessions/whoami", timeout=30).json()["identity"]
    assert first["schema_id"] == "person" and first["traits"] == {"email": f"{name}@example.org"}
    assert first["verifiable_addresses"][0]["verified"] is True
    again, _answer = come_by(opened, name)
    assert again.get(f"{opened.url}{PUBLIC}/sessions/whoami", timeout=30).json()["identity"]["id"] == first["id"]


def test_an_address_that_the_provider_did_not_verify_is_refused(cluster, opened):
    name = f"new-{uuid.uuid4().hex[:8]}"
    browser, answer = come_by(opened, name)
    assert "/mlflow/" not in answer.headers["Location"].partition("?")[0]
    assert "ory_kratos_session" not in browser.cookies
    assert f"{name}@example.org" not in identities(cluster)


@pytest.mark.parametrize(("name", "begin", "scopes"), [
    ("github", "https://github.com/login/oauth/authorize", {"user:email"}),
    ("google", "https://accounts.google.com/o/oauth2/v2/auth", {"openid", "email", "profile"}),
    ("microsoft", "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/oauth2/v2.0/authorize",
     {"openid", "email", "profile"}),
])
def test_each_provider_is_asked_at_its_address_for_its_scopes(opened, name, begin, scopes):
    with opened.session() as browser:
        answer = leave_for(opened, browser, name)
    target = answer.headers.get("Location", "")
    if name == "google" and not target.startswith(begin):
        # Kratos reads Google's addresses from Google itself, which cannot be reached from everywhere.
        with pytest.raises(OSError):
            socket.create_connection(("accounts.google.com", 443), 3).close()
        return
    assert answer.status_code == 303 and target.startswith(begin + "?"), target
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
    assert set(query["scope"][0].split()) == scopes
    assert query["redirect_uri"] == [f"{opened.url}{PUBLIC}/self-service/methods/oidc/callback/{name}"]


def test_only_the_company_may_bring_new_people(cluster, opened, settings, tmp_path):
    configured(cluster, tmp_path, **settings, ory_registration_methods=["oidc"])
    address = fresh("closed")
    answer = submit(opened, flow(opened, "registration"), method="password", password=PASSWORD, traits={"email": address})
    assert answer.status_code >= 400 and "session_token" not in answer.text
    name = f"company-{uuid.uuid4().hex[:8]}"
    _browser, last = come_by(opened, name)
    assert last.headers["Location"] == f"{opened.url}/mlflow/"
    found = identities(cluster)
    assert address not in found and f"{name}@example.org" in found


# -- wrong settings ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variables", "parts"), [
    ({"ory_session_lifespan": "30 days"}, ["ory_session_lifespan", "720h"]),
    ({"ory_recovery_enabled": True}, ["ory_smtp_connection_uri", "ory_recovery_enabled"]),
    ({"ory_session_cookie_domain": "elsewhere.example"}, ["ory_session_cookie_domain", "platform_hostname"]),
    ({"ory_oidc_providers": [{"id": "ms", "provider": "microsoft", "client_id": "x", "client_secret_variable": "s", "tenant": "common"}], "s": "x"},
     ["ory_oidc_providers, 'ms'", "tenant"]),
    ({"ory_oidc_providers": [{"id": "gh", "provider": "github", "client_id": "x", "client_secret_variable": "there_is_none"}]},
     ["ory_oidc_providers, 'gh'", "there_is_none"]),
])
def test_wrong_settings_are_told_before_anything_changes(cluster, variables, parts):
    done = cluster.run("up", "-e", shlex.quote(json.dumps(variables)))
    assert done.code != 0
    for part in parts:
        assert part in done.text, done.text[-2000:]
