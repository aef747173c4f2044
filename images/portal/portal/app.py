# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application: which address leads where."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import typing as t

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from portal import landing, settings as configuration
from portal.catalogue import Catalogue
from portal.flows import Flows
from portal.ory import Ory, Unreachable
from portal.pages import Pages
from portal.settings import Settings

_LOG = logging.getLogger("uvicorn.error")


class Site:
    """The pages beside the flows."""

    def __init__(self, settings: Settings, ory: Ory, pages: Pages, catalogue: Catalogue) -> None:
        self._settings, self._ory, self._pages, self._catalogue = settings, ory, pages, catalogue

    async def landing(self, request: Request) -> Response:
        """The services that the person may enter. The gateway says who it is, and lets nobody else say it."""
        subject = request.headers.get("x-user-id", "")
        if not subject:
            return RedirectResponse("/auth/login", 303)
        shown = landing.candidates(self._catalogue.services())
        allowed = await self._ory.allowed(subject, [entry["name"] for entry in shown if landing.needs_check(entry)])
        mine = [entry for entry in shown if allowed.get(entry["name"], not landing.needs_check(entry))]
        return self._pages.page(
            "landing.html", person=request.headers.get("x-user-email", ""), unsure=None in allowed.values(),
            sections=landing.sections(mine, self._catalogue.address))

    async def error(self, request: Request) -> Response:
        """What went wrong: at the gateway (reason=forbidden&service=...) or in a flow (id=...)."""
        query = request.query_params
        if query.get("reason") == "forbidden":
            return await self._forbidden(request, self._catalogue.title(query.get("service", "")))
        found = await self._ory.error(query["id"]) if query.get("id") else {}
        text = found.get("reason") or found.get("message") or "The page that told more about it is gone."
        code = found.get("code") or 400
        return self._pages.page("message.html", code if 400 <= code < 600 else 500, title="Something went wrong", text=text, kind="error",
                                actions=[("/", "To the start page"), ("/auth/login", "Log in")])

    async def _forbidden(self, request: Request, service: str) -> Response:
        person = await self._ory.person(request.headers.get("cookie", ""))
        who = f"You are logged in as {person}, and that account" if person else "Your account"
        return self._pages.page(
            "message.html", 403, title=f"You may not enter {service or 'this service'}", kind="forbidden", person=person,
            text=f"{who} is in none of the groups that may.", actions=[("/", "To your services"), ("/auth/logout", "Log in as somebody else")])

    async def static(self, request: Request) -> Response:
        """A file that pages load."""
        found = self._pages.static.response(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return found

    async def broken(self, request: Request, error: Exception) -> Response:
        """Kratos does not answer."""
        _LOG.error("%s: %s", request.url.path, error)
        return self._pages.page("message.html", 503, title="The login does not answer", text="Please try again in a moment.",
                                kind="error", actions=[(request.url.path, "Try again")])

    async def refused(self, request: Request, error: Exception) -> Response:
        """There is no such page."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        title = "There is no such page" if status == 404 else "This cannot be done here"
        return self._pages.page("message.html", status, title=title, text="The address may be misspelt, or the service may be gone.",
                                kind="error", actions=[("/", "To the start page")])


async def alive(_request: Request) -> Response:
    """For the probes of the cluster; no way leads here from outside without a login."""
    return PlainTextResponse("ok")


def create(given: Settings | None = None, transport: httpx.AsyncBaseTransport | None = None) -> Starlette:
    """Returns the application.

    Args:
        given: None to read them from the environment.
        transport: for tests; None for the network.

    Raises:
        ValueError: when a setting is missing.
    """
    settings = given or configuration.read(os.environ)
    ory, pages, catalogue = Ory(settings, transport), Pages(settings), Catalogue(settings.catalogue)
    flows, site = Flows(settings, ory, pages, catalogue), Site(settings, ory, pages, catalogue)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> t.AsyncIterator[None]:
        yield
        await ory.close()

    return Starlette(
        routes=[
            Route("/", site.landing),
            Route("/healthz", alive),
            Route("/auth/static/{name}", site.static),
            Route("/auth/error", site.error),
            Route("/auth/logout", flows.logout, methods=["GET", "POST"]),
            *(Route(f"/auth/{kind}", functools.partial(flows.show, kind)) for kind in ("login", "registration", "settings", "recovery", "verification")),
            Route("/auth", lambda _request: RedirectResponse("/auth/login", 303)),
            Route("/auth/", lambda _request: RedirectResponse("/auth/login", 303)),
        ],
        exception_handlers={Unreachable: site.broken, HTTPException: site.refused},
        lifespan=lifespan,
    )
