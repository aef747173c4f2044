# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service catalogue, read again when its file changes."""

from __future__ import annotations

import json
import logging
import os
import typing as t
import urllib.parse

_LOG = logging.getLogger("uvicorn.error")


class Catalogue:
    """The catalogue in a file.

    Args:
        path: a JSON file with ``url`` and ``services``, as the platform's converge action writes it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._url = ""
        self._services: list[dict[str, t.Any]] = []

    def services(self) -> list[dict[str, t.Any]]:
        """Returns the entries. A file that cannot be read leaves those that were read before."""
        try:
            # A ConfigMap's files are links to a folder that is exchanged as a whole: the file behind changes.
            found = os.stat(self._path)
            mark = (found.st_mtime_ns, found.st_ino)
            if mark != self._seen:
                with open(self._path, encoding="utf-8") as file:
                    content = json.load(file)
                self._url, self._services, self._seen = content["url"].rstrip("/"), content["services"], mark
        except FileNotFoundError:  # nothing has been catalogued yet
            pass
        except (OSError, ValueError, KeyError) as error:
            _LOG.error("catalogue %s: %s", self._path, error)
        return self._services

    def title(self, name: str) -> str:
        """Returns the title of a service, empty when the catalogue does not have it."""
        return next((entry["title"] for entry in self.services() if entry["name"] == name), "")

    def address(self, entry: dict[str, t.Any]) -> str:
        """Returns where browsers meet a service."""
        return address(self._url, entry)

    def origins(self) -> list[str]:
        """Returns scheme, host and port of all services that have a host of their own."""
        found = {urllib.parse.urlsplit(self.address(entry)) for entry in self.services()}
        own = urllib.parse.urlsplit(self._url)
        return sorted({f"{url.scheme}://{url.netloc}" for url in found if url.netloc != own.netloc})


def address(url: str, entry: dict[str, t.Any]) -> str:
    """Returns the address of a service.

    Args:
        url: the platform's, whose scheme and port all hosts share.
        entry: of the catalogue.
    """
    parts = urllib.parse.urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{entry['host']}{port}{entry['prefix']}/"
