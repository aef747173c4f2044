# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kratos and Keto, as far as the portal asks them."""

from __future__ import annotations

import asyncio
import typing as t

import httpx

from portal import answers
from portal.settings import Settings


class Unreachable(Exception):
    """Kratos or Keto does not answer, or not as it should."""


class Ory:
    """Kratos' public API and Keto's read API.

    Args:
        transport: for tests; None for the network.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        # Proxies of the environment are for the world outside.
        self._client = httpx.AsyncClient(timeout=settings.timeout, trust_env=False, transport=transport)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def _kratos(self, path: str, cookie: str, **params: str) -> tuple[int, dict[str, t.Any]]:
        try:
            answer = await self._client.get(
                self._settings.kratos + path, params=params, headers={"Accept": "application/json", "Cookie": cookie})
            body = answer.json() if answer.content else {}
        except (httpx.HTTPError, ValueError) as error:
            raise Unreachable(f"Kratos, {path}: {error!r}") from error
        if answer.status_code >= 500 and path != "/self-service/errors":
            raise Unreachable(f"Kratos, {path}: {answer.status_code}")
        return answer.status_code, body if isinstance(body, dict) else {}

    async def flow(self, kind: str, flow: str, cookie: str, cookies: t.Container[str]) -> answers.Show | answers.Go | answers.Tell:
        """Returns what becomes of a flow that a browser is in."""
        status, body = await self._kratos(f"/self-service/{kind}/flows", cookie, id=flow)
        return answers.decide(self._settings.kratos_public, kind, status, body, cookies)

    async def session(self, cookie: str) -> str:
        """Returns ``none``, ``half`` when the second step is still to be taken, or ``whole``."""
        status = (await self._kratos("/sessions/whoami", cookie))[0] if cookie else 401
        return {200: "whole", 403: "half"}.get(status, "none")

    async def person(self, cookie: str) -> str:
        """Returns the e-mail (or name) of whose session it is, empty without one."""
        if not cookie:
            return ""
        status, body = await self._kratos("/sessions/whoami", cookie)
        return name_of(body.get("identity") or {}) if status == 200 else ""

    async def logout(self, cookie: str) -> str:
        """Returns where a session is ended, empty when there is none."""
        status, body = await self._kratos("/self-service/logout/browser", cookie)
        return body.get("logout_url", "") if status == 200 else ""

    async def error(self, name: str) -> dict[str, t.Any]:
        """Returns code, message and reason of an error that Kratos kept, empty when it is gone."""
        _status, body = await self._kratos("/self-service/errors", "", id=name)
        return body.get("error") or {}

    async def allowed(self, subject: str, services: list[str]) -> dict[str, bool | None]:
        """Returns for each service whether somebody may enter it, by the question that the gateway asks; None: no answer."""
        found = await asyncio.gather(*(self._check(subject, name) for name in services))
        return dict(zip(services, found, strict=True))

    async def _check(self, subject: str, service: str) -> bool | None:
        question = {"namespace": "Service", "object": service, "relation": "access", "subject_id": subject}
        try:
            answer = await self._client.post(f"{self._settings.keto}/relation-tuples/check", json=question)
        except httpx.HTTPError:
            return None
        return {200: True, 403: False}.get(answer.status_code)


def name_of(identity: dict[str, t.Any]) -> str:
    """Returns the e-mail of an identity, or the name of a machine."""
    traits = identity.get("traits") or {}
    return str(traits.get("email") or traits.get("name") or "")
