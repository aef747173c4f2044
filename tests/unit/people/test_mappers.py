# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What login providers tell becomes an identity, or is refused: the role's Jsonnet, evaluated.

The claims have the form in which Kratos hands them over: a false ``email_verified`` is left out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jinja2
import pytest

jsonnet = pytest.importorskip("_jsonnet")

ROLE = Path(__file__).resolve().parents[3] / "roles" / "ory"
TENANT = "11111111-2222-3333-4444-555555555555"
GITHUB = {"iss": "https://github.com/login/oauth/access_token", "sub": "583231", "name": "Ada", "nickname": "ada",
          "email": "Ada@Example.org", "email_verified": True, "profile": "https://github.com/ada"}
GOOGLE = {"iss": "https://accounts.google.com", "sub": "10769150350006150715113082367", "email": "ada@example.org", "email_verified": True,
          "hd": "example.org", "raw_claims": {"azp": "x"}}
MICROSOFT = {"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "name": "Ada",
             "preferred_username": "ada@example.org", "email": "ada@example.org", "raw_claims": {"tid": TENANT, "ver": "2.0"}}
GENERIC = {"iss": "https://id.example.org", "sub": "f:1", "email": "ada@example.org", "email_verified": True}


def mapped(provider: dict, claims: dict) -> dict:
    """Returns the identity that Kratos would make."""
    environment = jinja2.Environment(trim_blocks=True, autoescape=False)
    environment.filters["to_json"] = json.dumps
    environment.tests["regex"] = lambda value, pattern: bool(re.search(pattern, value))
    template = environment.from_string((ROLE / "templates" / "mapper.jsonnet.j2").read_text())
    return json.loads(jsonnet.evaluate_snippet("mapper", template.render(provider=provider), ext_codes={"claims": json.dumps(claims)}))


def without(claims: dict, *names: str) -> dict:
    return {name: value for name, value in claims.items() if name not in names}


@pytest.mark.parametrize(("provider", "claims"), [
    ({"provider": "github"}, GITHUB),
    ({"provider": "github", "email_domains": ["Example.org"]}, GITHUB),
    ({"provider": "google"}, GOOGLE),
    ({"provider": "google"}, without(GOOGLE, "hd")),
    ({"provider": "google", "hosted_domain": "Example.org"}, GOOGLE),
    ({"provider": "microsoft", "tenant": TENANT}, MICROSOFT),
    ({"provider": "microsoft", "tenant": TENANT.upper()}, MICROSOFT),
    ({"provider": "microsoft", "tenant": "example.onmicrosoft.com"}, MICROSOFT),
    ({"provider": "generic"}, GENERIC),
    ({"provider": "generic", "email_domains": ["example.com", "example.org"]}, GENERIC),
])
def test_a_proved_address_becomes_an_identity(provider, claims):
    assert mapped(provider, claims) == {"identity": {
        "traits": {"email": "ada@example.org"}, "verified_addresses": [{"via": "email", "value": "ada@example.org"}]}}


@pytest.mark.parametrize(("provider", "claims", "reason"), [
    ({"provider": "github"}, without(GITHUB, "email_verified"), "not verified"),
    ({"provider": "github"}, {**GITHUB, "email_verified": False}, "not verified"),
    ({"provider": "github"}, without(GITHUB, "email"), "no e-mail address"),
    ({"provider": "github", "email_domains": ["example.com"]}, GITHUB, "another domain"),
    ({"provider": "google"}, without(GOOGLE, "email_verified"), "not verified"),
    ({"provider": "google", "hosted_domain": "example.com"}, GOOGLE, "another organisation"),
    ({"provider": "google", "hosted_domain": "example.org"}, without(GOOGLE, "hd"), "another organisation"),
    ({"provider": "microsoft", "tenant": TENANT}, {**MICROSOFT, "raw_claims": {"tid": "9" + TENANT[1:]}}, "another organisation"),
    ({"provider": "microsoft", "tenant": TENANT}, without(MICROSOFT, "raw_claims"), "another organisation"),
    ({"provider": "microsoft", "tenant": TENANT}, without(MICROSOFT, "email"), "no e-mail address"),
    ({"provider": "generic"}, without(GENERIC, "email_verified"), "not verified"),
    ({"provider": "generic"}, {**GENERIC, "email_verified": "yes"}, "not verified"),
    ({"provider": "generic", "email_domains": ["example.com"]}, GENERIC, "another domain"),
    # A domain that only begins or ends like an allowed one, and an address that holds two.
    ({"provider": "generic", "email_domains": ["example.org"]}, {**GENERIC, "email": "ada@evil-example.org"}, "another domain"),
    ({"provider": "generic", "email_domains": ["example.org"]}, {**GENERIC, "email": "ada@example.org.evil.org"}, "another domain"),
    ({"provider": "generic", "email_domains": ["example.org"]}, {**GENERIC, "email": "x@example.org@evil.org"}, "no e-mail address"),
    ({"provider": "generic"}, {**GENERIC, "email": ""}, "no e-mail address"),
])
def test_what_is_not_proved_is_refused(provider, claims, reason):
    with pytest.raises(RuntimeError) as error:
        mapped(provider, claims)
    assert reason in str(error.value)
