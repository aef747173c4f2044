# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows with the nodes that Kratos gives, in its words and with its ids."""

from __future__ import annotations

PUBLIC = "https://ml.example.org/.ory/kratos/public"
QR = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="


def message(number: int, text: str, kind: str = "info", **context) -> dict:
    return {"id": number, "text": text, "type": kind, **({"context": context} if context else {})}


def node(kind: str, group: str, label: dict | None = None, messages: list | None = None, **attributes) -> dict:
    return {"type": kind, "group": group, "attributes": {"node_type": kind, **attributes}, "messages": messages or [],
            "meta": {"label": label} if label else {}}


def field(group: str, name: str, kind: str, label: dict | None = None, messages: list | None = None, **attributes) -> dict:
    return node("input", group, label, messages, name=name, type=kind, disabled=False, **attributes)


def flow(kind: str, nodes: list, messages: list | None = None, **more) -> dict:
    return {"id": "f1", "type": "browser", "ui": {
        "action": f"{PUBLIC}/self-service/{kind}?flow=f1", "method": "POST", "nodes": nodes, **({"messages": messages} if messages else {}),
    }, **more}


CSRF = field("default", "csrf_token", "hidden", value="token==", required=True)
GITHUB = field("oidc", "provider", "submit", message(1010002, "Sign in with GitHub", provider="GitHub"), value="github")


def login(identifier: str = "", wrong: bool = False, oidc: bool = False) -> dict:
    said = [message(4000006, "The provided credentials are invalid, check for spelling mistakes in your password or username, email "
                             "address, or phone number.", "error")] if wrong else None
    return flow("login", [
        *([GITHUB] if oidc else []), CSRF,
        field("default", "identifier", "text", message(1070004, "ID"), value=identifier, required=True),
        field("password", "password", "password", message(1070001, "Password"), required=True, autocomplete="current-password"),
        field("password", "method", "submit", message(1010022, "Sign in with password"), value="password"),
    ], said, refresh=False, requested_aal="aal1", return_to="https://ml.example.org/mlflow/")


def second_step() -> dict:
    return flow("login", [
        CSRF,
        field("totp", "totp_code", "text", message(1010006, "Authentication code"), value="", required=True),
        field("totp", "method", "submit", message(1010009, "Use Authenticator"), value="totp"),
        field("lookup_secret", "lookup_secret", "text", message(1010007, "Backup recovery code"), required=True),
        field("lookup_secret", "method", "submit", message(1010010, "Use backup recovery code"), value="lookup_secret"),
    ], [message(1010004, "Please complete the second authentication challenge.")], requested_aal="aal2", refresh=False)


def registration(wrong: bool = False) -> dict:
    short = [message(4000032, "The password must be at least 8 characters long, but got 3.", "error", min_length=8)] if wrong else []
    return flow("registration", [
        CSRF,
        field("password", "traits.email", "email", message(1070002, "E-mail", title="E-mail"), required=True, autocomplete="email"),
        field("password", "password", "password", message(1070001, "Password"), short, required=True, autocomplete="new-password"),
        field("password", "method", "submit", message(1040001, "Sign up"), value="password"),
    ], return_to="https://ml.example.org/mlflow/")


def settings(state: str = "show_form") -> dict:
    used = message(1050014, "Secret was used at 2026-01-01 11:32:39 +0000 UTC", used_at_unix=1)
    codes = [message(1050009, code, secret=code) for code in ("k2ab8c0d", "m1nn3o0p")]
    said = [message(1050001, "Your changes have been saved!", "success")] if state == "success" else None
    return flow("settings", [
        CSRF,
        field("profile", "traits.email", "email", message(1070002, "E-mail", title="E-mail"), value="user@example.org", required=True),
        field("profile", "method", "submit", message(1070003, "Save"), value="profile"),
        field("password", "password", "password", message(1070001, "Password"), required=True, autocomplete="new-password"),
        field("password", "method", "submit", message(1070003, "Save"), value="password"),
        field("oidc", "link", "submit", message(1050002, "Link GitHub", provider="GitHub"), value="github"),
        node("text", "lookup_secret", message(1050010, "These are your back up recovery codes. Please keep them in a safe place!"),
             id="lookup_secret_codes", text=message(1050015, "k2ab8c0d, used, m1nn3o0p", secrets=[codes[0], used, codes[1]])),
        field("lookup_secret", "lookup_secret_confirm", "submit", message(1050011, "Confirm backup recovery codes"), value="true"),
        field("lookup_secret", "lookup_secret_disable", "submit", message(1050016, "Disable this method"), value="true"),
        node("img", "totp", message(1050005, "Authenticator app QR code"), id="totp_qr", src=QR, width=256, height=256),
        node("text", "totp", message(1050017, "This is your authenticator app secret. Use it if you can not scan the QR code."),
             id="totp_secret_key", text=message(1050006, "ABCDEFGHIJKLMNOP", secret="ABCDEFGHIJKLMNOP")),
        field("totp", "totp_code", "text", message(1070006, "Verify code"), required=True),
        field("totp", "method", "submit", message(1070003, "Save"), value="totp"),
        field("webauthn", "webauthn_register_displayname", "text", message(1050013, "Name of the security key"), value=""),
        field("webauthn", "webauthn_register_trigger", "button", message(1050012, "Add security key"), onclickTrigger="oryWebAuthnRegistration",
              onclick="window.oryWebAuthnRegistration()", value='{"publicKey":{}}'),
        field("webauthn", "webauthn_register", "hidden", value=""),
        node("script", "webauthn", id="webauthn_script", src=f"{PUBLIC}/.well-known/ory/webauthn.js", integrity="sha512-abc", nonce="n",
             crossorigin="anonymous", referrerpolicy="no-referrer", type="text/javascript", **{"async": True}),
    ], said, state=state, identity={"id": "i1", "traits": {"email": "user@example.org"}})


def recovery_sent() -> dict:
    return flow("recovery", [
        CSRF,
        field("code", "code", "text", message(1070010, "Recovery code"), required=True, pattern="[0-9]+", maxlength=6),
        field("code", "method", "hidden", value="code"),
        field("code", "method", "submit", message(1070009, "Continue"), value="code"),
        field("code", "email", "submit", message(1070008, "Resend code"), value="user@example.org"),
    ], [message(1060003, "An email containing a recovery code has been sent to the email address you provided.")], state="sent_email")


def verified() -> dict:
    return flow("verification", [
        node("a", "code", message(1070009, "Continue"), id="continue", href="https://ml.example.org/", title=message(1070009, "Continue")),
    ], [message(1080002, "You successfully verified your email address.", "success")], state="passed_challenge")
