# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portal's words: headings of flows and sections, and labels that read better than Kratos' own."""

from __future__ import annotations

import typing as t

HEADINGS = {
    "login": "Log in",
    "registration": "Create an account",
    "recovery": "Recover your account",
    "verification": "Verify your address",
    "settings": "Settings",
}

# Methods that a page has under headings of their own.
GROUPS = {
    "profile": "Profile",
    "password": "Password",
    "oidc": "Connected accounts",
    "saml": "Connected accounts",
    "totp": "Authenticator app",
    "lookup_secret": "Recovery codes",
    "webauthn": "Security keys",
    "passkey": "Passkeys",
    "code": "Code by mail",
    "link": "Link by mail",
}

GROUP_HINTS = {
    "totp": "A second step when you log in: a code from an app on your phone.",
    "lookup_secret": "Codes that each work once, for the day you do not have your phone.",
    "webauthn": "A second step when you log in: a key that you plug in or touch.",
}

# In place of Kratos' words, by the id of its message (its documentation lists them all).
WORDS = {
    4000006: "The e-mail or the password is wrong.",
    1010001: "Log in",
    1010022: "Log in",
    1010013: "Continue",
    1040001: "Create account",
    1070004: "E-mail",
    1070007: "E-mail",
}

# What the browser fills in, where Kratos does not say it.
AUTOCOMPLETE = {
    "identifier": "username",
    "traits.email": "email",
    "email": "email",
    "totp_code": "one-time-code",
    "code": "one-time-code",
    "lookup_secret": "one-time-code",
}

OFF = {
    "registration": ("Registration is closed", "Nobody can create an account here. People are added by whoever runs this platform."),
    "recovery": ("Recovery by mail is off", "This platform sends no mail. Whoever runs it can give you a new password."),
    "verification": ("Verification is off", "This platform sends no mail, so there is nothing to verify."),
}


def say(message: dict[str, t.Any] | None) -> str:
    """Returns the words of a message of Kratos', ours where there are some."""
    if not message:
        return ""
    number, provider = message.get("id", 0), (message.get("context") or {}).get("provider")
    if number == 1010002 and provider:
        return f"Log in with {provider}"
    return WORDS.get(number) or message.get("text", "")


def heading(kind: str, flow: dict[str, t.Any]) -> str:
    """Returns the heading of a flow's page."""
    if kind == "login" and flow.get("requested_aal") == "aal2":
        return "Second step"
    if kind == "login" and flow.get("refresh"):
        return "Confirm that it is you"
    return HEADINGS[kind]
