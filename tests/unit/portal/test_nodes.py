# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of node that Kratos 1.3 and 26.2 give, as what the templates draw."""

from __future__ import annotations

import pytest
from portal import nodes

from ansible_collections.openmlops.platform.tests.unit.portal import flows
from ansible_collections.openmlops.platform.tests.unit.portal.flows import field, message, node

CASES = {
    "hidden": (field("default", "csrf_token", "hidden", value="x"), {"kind": "hidden", "name": "csrf_token", "value": "x"}),
    "hidden that starts a passkey": (
        field("passkey", "passkey_login", "hidden", onloadTrigger="oryPasskeyLoginAutocompleteInit"),
        {"kind": "hidden", "trigger": "oryPasskeyLoginAutocompleteInit"}),
    "identifier": (
        field("default", "identifier", "text", message(1070004, "ID"), required=True),
        {"kind": "input", "type": "text", "label": "E-mail", "required": True, "autocomplete": "username"}),
    "present password": (
        field("password", "password", "password", message(1070001, "Password"), autocomplete="current-password"),
        {"kind": "input", "type": "password", "label": "Password", "autocomplete": "current-password", "required": False}),
    **{kind: (field("profile", f"traits.{kind}", kind, message(1070002, "T"), value=7),
              {"kind": "input", "type": kind, "label": "T", "value": 7})
       for kind in ("text", "number", "email", "tel", "datetime-local", "date", "url")},
    "a type of a later Kratos": (field("profile", "traits.colour_of_eyes", "color"), {"type": "text", "label": "Colour of eyes"}),
    "checkbox": (
        field("profile", "traits.terms", "checkbox", message(1070002, "Terms"), value=True, required=True),
        {"kind": "checkbox", "checked": True, "required": True}),
    "checkbox that is off": (field("profile", "traits.terms", "checkbox", value=False), {"kind": "checkbox", "checked": False}),
    "disabled": (field("profile", "traits.name", "text") | {"attributes": {"name": "traits.name", "type": "text", "disabled": True}},
                 {"disabled": True}),
    "limits": (field("code", "code", "text", pattern="[0-9]+", maxlength=6),
               {"pattern": "[0-9]+", "maxlength": 6, "digits": True, "autocomplete": "one-time-code"}),
    "submit": (field("password", "method", "submit", message(1010022, "Sign in with password"), value="password"),
               {"kind": "button", "label": "Log in", "value": "password", "quiet": False}),
    "provider": (flows.GITHUB, {"kind": "button", "label": "Log in with GitHub", "name": "provider", "value": "github"}),
    "unlink": (field("totp", "totp_unlink", "submit", message(1050004, "Unlink TOTP Authenticator App"), value="true"),
               {"kind": "button", "quiet": True}),
    "security key": (
        field("webauthn", "webauthn_login_trigger", "button", message(1010008, "Use security key"), onclickTrigger="oryWebAuthnLogin"),
        {"kind": "trigger", "trigger": "oryWebAuthnLogin"}),
    "a function that is not Kratos' own": (field("x", "x", "button", onclickTrigger="alert", onclick="alert(1)"), {"kind": "button"}),
    "select of a later Kratos": (
        node("select", "profile", message(1070002, "Team"), name="traits.team", value="b", required=True, disabled=False,
             options=[{"label": "A", "value": "a"}, {"label": "B", "value": "b"}]),
        {"kind": "select", "value": "b", "label": "Team", "options": [{"label": "A", "value": "a"}, {"label": "B", "value": "b"}]}),
    "image": (node("img", "totp", message(1050005, "QR code"), id="totp_qr", src=flows.QR, width=256, height=256),
              {"kind": "image", "src": flows.QR, "label": "QR code", "width": 256}),
    "text": (node("text", "totp", message(1050017, "Your secret"), id="totp_secret_key", text=message(1050006, "ABC")),
             {"kind": "text", "label": "Your secret", "text": "ABC", "secret": True}),
    "codes": (node("text", "lookup_secret", message(1050010, "Codes"), id="lookup_secret_codes",
                   text=message(1050015, "a, used", secrets=[message(1050009, "a"), message(1050014, "used")])),
              {"kind": "codes", "label": "Codes", "codes": [{"text": "a", "used": False}, {"text": "used", "used": True}]}),
    "link": (node("a", "code", id="continue", href="https://ml.example.org/", title=message(1070009, "Continue")),
             {"kind": "link", "href": "https://ml.example.org/", "label": "Continue"}),
    "message of an unknown kind": (node("div", "captcha", messages=[message(4000038, "Captcha verification failed", "error")], id="c"),
                                   {"kind": "note", "invalid": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_node(case):
    given, expected = CASES[case]
    made = nodes.field(given)
    assert {key: made.get(key) for key in expected} == expected


@pytest.mark.parametrize("given", [
    node("script", "webauthn", id="s", src="x"), node("div", "default", id=""), node("hologram", "default"),
    node("img", "totp", src="https://evil.example/x.png"), node("a", "code", href="javascript:alert(1)"),
], ids=["script", "div", "unknown", "image of another site", "link that is a program"])
def test_nodes_that_are_not_drawn(given):
    assert nodes.field(given) is None


def test_messages_at_a_field_are_said_once():
    twice = [message(4000002, "Property email is missing.", "error")] * 2
    made = nodes.field(field("password", "traits.email", "email", message(1070002, "E-mail"), twice), 3)
    assert made["messages"] == [{"kind": "error", "text": "Property email is missing."}]
    assert made["invalid"] and made["id"] == "traits-email-3"


def shape(made):
    return {form["group"]: [each.get("name") or each["kind"] for each in form["fields"]] for form in made}


def test_login_with_another_provider_asks_for_no_password():
    assert shape(nodes.forms(flows.login(oidc=True)["ui"]["nodes"], apart=False)) == {
        "password": ["csrf_token", "identifier", "password", "method"], "oidc": ["csrf_token", "provider"]}


def test_methods_of_the_second_step_are_apart():
    assert shape(nodes.forms(flows.second_step()["ui"]["nodes"], apart=False)) == {
        "totp": ["csrf_token", "totp_code", "method"], "lookup_secret": ["csrf_token", "lookup_secret", "method"]}


def test_each_method_of_the_settings_is_a_form():
    made = shape(nodes.forms(flows.settings()["ui"]["nodes"], apart=True))
    assert list(made) == ["profile", "password", "oidc", "lookup_secret", "totp", "webauthn"]
    assert all(names[0] == "csrf_token" for names in made.values())


def test_the_settings_ask_for_a_new_password():
    def label(flow, apart):
        return next(each["label"] for form in nodes.forms(flow["ui"]["nodes"], apart) for each in form["fields"] if each.get("name") == "password")

    assert (label(flows.settings(), True), label(flows.login(), False)) == ("New password", "Password")


def test_enter_presses_the_button_that_goes_on():
    """Browsers press a form's first button: never the one that sends another code or switches a method off."""
    (form,) = nodes.forms(flows.recovery_sent()["ui"]["nodes"], apart=False)
    assert [each["label"] for each in form["fields"] if each["kind"] == "button"] == ["Continue", "Resend code"]
    backwards = [field("lookup_secret", "lookup_secret_disable", "submit"), field("lookup_secret", "lookup_secret_confirm", "submit")]
    (form,) = nodes.forms(backwards, apart=True)
    assert [each["name"] for each in form["fields"]] == ["lookup_secret_confirm", "lookup_secret_disable"]


def test_errors_lead_to_their_field():
    (problem,) = nodes.problems(nodes.forms(flows.registration(wrong=True)["ui"]["nodes"], apart=False))
    assert problem["label"] == "Password" and "at least 8" in problem["text"]


def test_scripts_are_kratos_own():
    found = flows.settings()["ui"]["nodes"]
    assert [each["src"] for each in nodes.scripts(found, flows.PUBLIC)] == [f"{flows.PUBLIC}/.well-known/ory/webauthn.js"]
    assert nodes.scripts([node("script", "webauthn", src="https://evil.example/x.js")], flows.PUBLIC) == []
