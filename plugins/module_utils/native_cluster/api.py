# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few requests to the API server with the administrator's certificate; the standard library is enough for them."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any


class Api:
    """The API server of one cluster.

    Args:
        address: IP address of the server.
        pki: folder of the certificates.
    """

    def __init__(self, address: str, pki: Path) -> None:
        self.address = address
        self.pki = pki

    def request(self, method: str, path: str, body: dict[str, Any] | None = None, timeout: float = 3.0) -> tuple[int, Any]:
        """Send one request.

        Returns:
            Status and answer (decoded JSON, or text); status 0 and the reason when the server cannot be reached.
        """
        try:
            context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
            context.load_cert_chain(self.pki / "admin.crt", self.pki / "admin.key")
            connection = http.client.HTTPSConnection(self.address, 6443, timeout=timeout, context=context)
        except (OSError, ssl.SSLError) as error:
            return 0, str(error)
        try:
            headers = {"Accept": "application/json", "Content-Type": "application/json"}
            connection.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def get(self, path: str) -> Any:
        """The object at *path*, or None when there is none or nobody answers."""
        status, answer = self.request("GET", path)
        return answer if status == 200 else None
