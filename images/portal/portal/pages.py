# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates and static files."""

from __future__ import annotations

import hashlib
import mimetypes
import typing as t
from pathlib import Path

import jinja2
from starlette.responses import HTMLResponse, Response

from portal import colours, security
from portal.settings import Settings

HERE = Path(__file__).parent


def environment() -> jinja2.Environment:
    """Returns the templates; every value in them is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )


class Static:
    """The files that pages load, by name. Their addresses have a hash, so that browsers may keep them."""

    def __init__(self, settings: Settings) -> None:
        self._files: dict[str, bytes] = {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir())}
        self._files["portal.css"] = colours.stylesheet(settings.accent).encode() + self._files["portal.css"]
        self.logo = ""
        if settings.logo:
            self.logo = "logo" + Path(settings.logo).suffix
            self._files[self.logo] = Path(settings.logo).read_bytes()

    def url(self, name: str) -> str:
        """Returns a file's address."""
        return f"/auth/static/{name}?v={hashlib.sha256(self._files[name]).hexdigest()[:12]}"

    def response(self, name: str) -> Response | None:
        """Returns a file, nothing when there is none of this name."""
        if name not in self._files:
            return None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        # An image that somebody opens by itself must not run anything either.
        return Response(self._files[name], media_type=kind, headers={
            **security.HEADERS, "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        })


class Pages:
    """Makes pages out of templates."""

    def __init__(self, settings: Settings) -> None:
        self.static = Static(settings)
        self._templates = environment()
        self._templates.globals |= {"settings": settings, "static": self.static.url, "logo": self.static.logo}

    def text(self, template: str, **values: t.Any) -> str:
        """Returns a page as text."""
        return self._templates.get_template(template).render(**{"person": "", "scripts": [], **values})

    def page(self, template: str, status: int = 200, csp: str = "", **values: t.Any) -> HTMLResponse:
        """Returns a page that no cache keeps."""
        return HTMLResponse(self.text(template, **values), status, {
            **security.HEADERS, "Cache-Control": "no-store", "Content-Security-Policy": csp or security.policy(),
        })
