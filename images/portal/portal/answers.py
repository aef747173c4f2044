# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of Kratos' answer when a flow is asked for. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t
import urllib.parse

# What a browser may hand on to Kratos when a flow begins. Kratos itself decides about return_to.
START_KEYS = ("return_to", "refresh", "aal", "via")


@dataclasses.dataclass(frozen=True)
class Show:
    """The flow is shown."""

    flow: dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Go:
    """The browser is sent somewhere else."""

    url: str


@dataclasses.dataclass(frozen=True)
class Tell:
    """The flow cannot go on; a page says why, with a link to start anew."""

    title: str
    text: str
    status: int = 400


def start(public: str, kind: str, query: t.Mapping[str, str]) -> str:
    """Returns Kratos' address that begins a flow.

    Args:
        public: Kratos' public API as browsers see it.
        kind: login, registration, settings, recovery or verification.
        query: what the browser asked with.
    """
    kept = {key: query[key] for key in START_KEYS if query.get(key)}
    return f"{public}/self-service/{kind}/browser" + (f"?{urllib.parse.urlencode(kept)}" if kept else "")


def begin(url: str, public: str, kind: str, query: t.Mapping[str, str], session: str) -> str:
    """Returns where a browser without a flow is sent.

    Args:
        url: the platform's.
        public, kind, query: as of start().
        session: none, half or whole, as of Ory.session().
    """
    if kind == "settings" and session == "none":
        # Kratos would ask for the login too, but forget what it was for.
        return start(public, "login", {"return_to": f"{url}/auth/settings"})
    if kind == "login" and session == "half" and not (query.get("aal") or query.get("refresh")):
        # Kratos would take somebody who left out the second step for logged in and send them on; the gateway would not, and so on.
        return start(public, "login", {**query, "aal": "aal2"})
    return start(public, kind, query)


def decide(public: str, kind: str, status: int, body: dict[str, t.Any], cookies: t.Container[str]) -> Show | Go | Tell:
    """Returns what to do with Kratos' answer to `GET /self-service/<kind>/flows`.

    Args:
        status: of the answer.
        body: of the answer.
        cookies: names of the browser's cookies; without the one against forged requests no flow can ever go on.
    """
    if status == 200:
        return Show(body)
    error = body.get("error") or {}
    details = error.get("details") or {}
    target = body.get("redirect_browser_to") or details.get("redirect_browser_to") or ""
    if target.startswith(public + "/"):  # another login or a second factor first
        return Go(target)
    if status == 401:
        return Go(start(public, "login", {"return_to": start(public, kind, {})}))
    if status == 403 and not any(name.startswith("csrf_token") for name in cookies):
        # Started anew it would end here again, and again.
        return Tell("Cookies are needed", "This browser did not send back the cookie that protects the form. Allow cookies "
                    "for this site, or open the page in the browser in which you began.")
    if status in (403, 404, 410):
        return Go(start(public, kind, {"return_to": details.get("return_to") or ""}))
    return Tell("Something went wrong", error.get("reason") or error.get("message") or "Please try again.", 502)
