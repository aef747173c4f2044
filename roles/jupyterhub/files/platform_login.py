# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JupyterHub's login is the platform's: the hub believes what Oathkeeper signed, and nothing else.

The gateway sends requests for /hub/login with Oathkeeper's id_token (``Authorization: Bearer <JWT>``), so nobody meets a
login form. All other requests carry the person's address in X-User-Email, which no client can set: a cookie of the hub
counts only for the person who is logged in to the platform now. Who logs out there, or logs in as somebody else, has no
session here.
"""

from __future__ import annotations

import asyncio
import typing as t

import jwt
from jupyterhub.auth import Authenticator
from jupyterhub.handlers import LogoutHandler
from tornado import web
from traitlets import Integer, Set, Unicode

_ALGORITHMS = ["RS256", "ES256", "EdDSA"]


class PlatformLogoutHandler(LogoutHandler):
    """Logging out here is logging out of the platform: otherwise the next page would log in again."""

    async def render_logout_page(self) -> None:
        """Sends the browser on to the platform's logout, once the hub's own session is over."""
        self.redirect(self.authenticator.logout_redirect, permanent=False)


class PlatformAuthenticator(Authenticator):
    """People, groups and rights as the platform has them. A user's name is the e-mail address."""

    jwks_url = Unicode(help="Address of the key set that verifies the id_token.").tag(config=True)
    issuer = Unicode(help="Who must have issued it: Oathkeeper's issuer_url.").tag(config=True)
    logout_redirect = Unicode(help="Where the platform's session ends.").tag(config=True)
    leeway = Integer(30, help="Seconds by which the clocks of issuer and hub may differ.").tag(config=True)
    allowed_groups = Set(help="Groups whose members may use the hub, beside allowed_users.").tag(config=True)
    admin_groups = Set(help="Groups whose members administer the hub.").tag(config=True)

    def __init__(self, **options: t.Any) -> None:
        super().__init__(**options)
        # Keys are kept for five minutes; an unknown one is looked for at once, so that a rotation is no outage.
        self._keys = jwt.PyJWKClient(self.jwks_url, cache_keys=True, lifespan=300, timeout=10)

    def get_handlers(self, app: t.Any) -> list[tuple[str, type]]:
        """Returns the pages that are other than the hub's own."""
        return [("/logout", PlatformLogoutHandler)]

    def check_allowed(self, username: str, authentication: dict[str, t.Any] | None = None) -> bool:
        """Tells whether somebody may use the hub. JupyterHub itself knows no groups here."""
        if super().check_allowed(username, authentication):
            return True
        found = authentication or {}
        return bool(found.get("admin")) or bool(self.allowed_groups & set(found.get("groups") or ()))

    async def authenticate(self, handler: web.RequestHandler, data: t.Any = None) -> dict[str, t.Any] | None:
        """Returns who sent the request; raises 401 or 403 with the reason when nobody vouches for it."""
        scheme, _space, token = handler.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise web.HTTPError(401, "This way does not lead through the platform's gateway.")
        try:
            claims = await asyncio.get_running_loop().run_in_executor(None, self._claims, token.strip())
        except jwt.PyJWKClientConnectionError as error:
            self.log.error("%s does not answer: %s", self.jwks_url, error)
            raise web.HTTPError(503, "The keys of the platform's login cannot be read now.") from None
        except jwt.PyJWTError as error:
            self.log.warning("An identity was refused: %s", error)
            raise web.HTTPError(401, "Nobody vouches for this identity.") from None
        name = claims.get("email")
        if not isinstance(name, str) or not name:
            raise web.HTTPError(403, "This account has no e-mail address, so it has no notebooks.")
        groups = _groups(claims)
        name = self.normalize_username(name)
        return {
            "name": name,
            "groups": groups,
            "admin": name in self.admin_users or bool(self.admin_groups & set(groups)),
        }

    async def refresh_user(self, user: t.Any, handler: web.RequestHandler | None = None, **_more: t.Any) -> bool:
        """Tells whether a cookie still stands for the person at the gateway. Asked on each request (auth_refresh_age: -1)."""
        if handler is None or getattr(handler, "_token_authenticated", False):
            return True
        headers = handler.request.headers
        if self.normalize_username(headers.get("X-User-Email", "")) != user.name:
            return False
        told = {group for group in headers.get("X-User-Groups", "").split(",") if group}
        # A change of groups takes a new login, which the browser does not notice: rights follow what is signed.
        return not self.manage_groups or told == {group.name for group in user.orm_user.groups}

    def _claims(self, token: str) -> dict[str, t.Any]:
        key = self._keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key.key, algorithms=_ALGORITHMS, issuer=self.issuer, leeway=self.leeway,
                          options={"require": ["exp", "iat", "iss", "sub"], "verify_aud": False})


def _groups(claims: dict[str, t.Any]) -> list[str]:
    """Returns the groups out of the Kratos session that Oathkeeper puts into the id_token."""
    identity = (claims.get("session") or {}).get("identity") or {}
    groups = (identity.get("metadata_public") or {}).get("groups") or []
    return sorted({group for group in groups if isinstance(group, str) and group})
