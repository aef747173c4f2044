# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of Kratos' flows."""

from __future__ import annotations

import typing as t
import urllib.parse

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import answers, nodes, security, wording
from portal.catalogue import Catalogue
from portal.ory import Ory, name_of
from portal.pages import Pages
from portal.settings import Settings


class Flows:
    """Login, registration, settings, recovery, verification and logout."""

    def __init__(self, settings: Settings, ory: Ory, pages: Pages, catalogue: Catalogue) -> None:
        self._settings, self._ory, self._pages, self._catalogue = settings, ory, pages, catalogue

    async def show(self, kind: str, request: Request) -> Response:
        """The page of a flow; without one, the browser goes to Kratos and comes back with one."""
        if kind in wording.OFF and not getattr(self._settings, kind):
            title, text = wording.OFF[kind]
            return self._pages.page("message.html", 403, title=title, text=text, kind=kind, actions=[("/auth/login", "Log in")])
        number = request.query_params.get("flow", "")
        if not number:
            session = await self._ory.session(request.headers.get("cookie", "")) if kind in ("login", "settings") else ""
            return _redirect(answers.begin(self._settings.url, self._settings.kratos_public, kind, request.query_params, session))
        found = await self._ory.flow(kind, number, request.headers.get("cookie", ""), request.cookies)
        if isinstance(found, answers.Go):
            return _redirect(found.url)
        if isinstance(found, answers.Tell):
            return self._pages.page("message.html", found.status, title=found.title, text=found.text, kind="error",
                                    actions=[(f"/auth/{kind}", "Start again")])
        return self._flow(kind, found.flow)

    def _flow(self, kind: str, flow: dict[str, t.Any]) -> Response:
        csp, values = flow_page(kind, flow, self._settings, self._catalogue.origins())
        return self._pages.page("flow.html", csp=csp, **values)

    async def logout(self, request: Request) -> Response:
        """Ends the session. A link on another site does not: it gets a page that asks."""
        if request.method == "GET" and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return self._pages.page("message.html", title="Log out?", text="Another site sent you here.", kind="logout",
                                    actions=[("/auth/logout", "Log out"), ("/", "Stay logged in")])
        target = await self._ory.logout(request.headers.get("cookie", ""))
        return _redirect(target if target.startswith(self._settings.kratos_public + "/") else "/auth/login")


def flow_page(kind: str, flow: dict[str, t.Any], settings: Settings, origins: list[str]) -> tuple[str, dict[str, t.Any]]:
    """Returns the Content-Security-Policy and the template's values for a flow. Pure.

    Args:
        origins: of services with a host of their own.
    """
    ui = flow["ui"]
    found = ui.get("nodes") or []
    made = nodes.forms(found, apart=kind == "settings")
    scripts = nodes.scripts(found, settings.kratos_public)
    said = nodes.messages(ui.get("messages"))
    problems = nodes.problems(made)
    values = {
        "kind": kind, "heading": wording.heading(kind, flow), "flow": flow, "action": ui["action"], "method": ui.get("method", "POST"),
        "forms": made, "messages": said, "problems": problems, "scripts": scripts,
        "wrong": bool(problems) or any(each["kind"] == "error" for each in said),
        "person": name_of((flow.get("identity") or {})) if kind == "settings" else "",
        "links": _links(kind, flow, settings), "groups": wording.GROUPS, "hints": wording.GROUP_HINTS,
    }
    federated = any(form["group"] in nodes.FEDERATED for form in made)
    return security.policy(bool(scripts), origins, federated), values


def _links(kind: str, flow: dict[str, t.Any], settings: Settings) -> list[tuple[str, str, str]]:
    """Returns question, link's text and address of the other flows that somebody here may be looking for."""
    back = f"?{urllib.parse.urlencode({'return_to': flow['return_to']})}" if flow.get("return_to") else ""
    if kind == "login" and (flow.get("refresh") or flow.get("requested_aal") == "aal2"):
        return [("Not you?", "Log out", "/auth/logout")]
    found = []
    if kind == "login":
        if settings.recovery:
            found.append(("Forgot your password?", "Recover your account", f"/auth/recovery{back}"))
        if settings.registration:
            found.append(("No account yet?", "Create one", f"/auth/registration{back}"))
    elif kind in ("registration", "recovery"):
        found.append(("Have an account?", "Log in", f"/auth/login{back}"))
    return found


def _redirect(url: str) -> RedirectResponse:
    return RedirectResponse(url, 303, {**security.HEADERS, "Cache-Control": "no-store"})
