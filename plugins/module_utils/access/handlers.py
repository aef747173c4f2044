# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Oathkeeper does with a request that a rule matches: who comes in, what the service is told, what others get."""

from __future__ import annotations

import typing as t
import urllib.parse

# Headers of `identity: headers`, out of Kratos' session (authenticators with subject_from identity.id, extra_from @this).
# What a session lacks gives an empty header, which overwrites one that the client sent.
_HEADERS = {
    "X-User-Id": "{{ print .Subject }}",
    "X-User-Email": "{{ with .Extra.identity }}{{ with .traits }}{{ with .email }}{{ print . }}{{ end }}{{ end }}{{ end }}",
    "X-User-Groups": (
        '{{ with .Extra.identity }}{{ with .metadata_public }}{{ with .groups }}{{ join "," . }}{{ end }}{{ end }}{{ end }}'
    ),
}


def _authorizer(name: str, allow: str | list[str], check_url: str | None) -> dict[str, t.Any]:
    if allow == "nobody":
        return {"handler": "deny"}
    if not isinstance(allow, list):
        return {"handler": "allow"}
    payload = (
        f'{{"namespace":"Service","object":"{name}","relation":"access",'
        '"subject_id":"{{ print .Subject }}"}'
    )
    return {"handler": "remote_json", "config": {"remote": check_url, "payload": payload}}


def _mutator(identity: str) -> dict[str, t.Any]:
    if identity == "headers":
        return {"handler": "header", "config": {"headers": _HEADERS}}
    return {"handler": "id_token" if identity == "id_token" else "noop"}


def _redirect(error: str, **config: t.Any) -> dict[str, t.Any]:
    when = {"error": [error], "request": {"header": {"accept": ["text/html"]}}}
    return {"handler": "redirect", "config": {**config, "when": [when]}}


def _errors(name: str, login_url: str) -> list[dict[str, t.Any]]:
    """Returns the error handlers. Oathkeeper answers 500 when two are responsible for one error: these are apart.

    A client that does not accept text/html gets the fallback, which has to be json.
    """
    denied = f"{urllib.parse.urljoin(login_url, 'error')}?reason=forbidden&service={name}"
    return [
        _redirect("unauthorized", to=login_url, return_to_query_param="return_to"),
        # Not the login page: who is logged in already would be sent back at once, and so on.
        _redirect("forbidden", to=denied),
    ]


def handlers(
    name: str, allow: str | list[str], api: bool, identity: str, login_url: str, check_url: str | None,
) -> dict[str, t.Any]:
    """Returns the handlers of a rule.

    Args:
        name: the service; Keto is asked about it, and the error page names it.
        allow: public, authenticated, nobody, or groups.
        api: whether browsers get JSON too, instead of the login page.
        identity: what the service is told: none, headers or id_token.
        login_url: where a browser without a session is sent; the page ``error`` beside it tells who is not allowed.
        check_url: Keto's check, for groups.
    """
    unknown = allow in ("public", "nobody")
    return {
        # noop, not anonymous: anonymous refuses whoever sends an Authorization header. The first responsible one
        # decides: a wrong cookie or token is refused, not tried as the other.
        "authenticators": [{"handler": kind} for kind in (["noop"] if unknown else ["cookie_session", "bearer_token"])],
        "authorizer": _authorizer(name, allow, check_url),
        "mutators": [_mutator(identity)],
        "errors": [{"handler": "json"}] if api or unknown else _errors(name, login_url),
    }
