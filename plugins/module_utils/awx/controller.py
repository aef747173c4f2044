# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's REST API: AWX, or an automation platform that has it below a gateway."""

from __future__ import annotations

import base64
import json
import ssl
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.openmlops.platform.plugins.module_utils.awx.data import AwxError

_SECONDS = 30


class Controller:
    """One controller.

    Args:
        host: address, without a path.
        token: of an application or a person; or else username and password.
        prefix: of the API; ``/api/controller/v2`` behind the gateway of an automation platform.
    """

    def __init__(
        self, host: str, token: str = "", username: str = "", password: str = "", validate_certs: bool = True, prefix: str = "/api/v2"
    ) -> None:
        self.host, self._prefix = host.rstrip("/"), prefix.rstrip("/")
        # One context for all requests: reading the system's authorities takes a quarter of a second.
        context = ssl.create_default_context()
        if not validate_certs:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        basic = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._authorization = f"Bearer {token}" if token else f"Basic {basic}"

    def ask(self, method: str, path: str, body: dict[str, t.Any] | None = None, query: dict[str, t.Any] | None = None) -> t.Any:
        """Sends one request and returns the decoded answer; None for an empty one.

        Raises:
            AwxError: with the controller's own words.
        """
        url = f"{self.host}{self._prefix}/{path.strip('/')}/" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        try:
            request = urllib.request.Request(
                url, method=method, data=json.dumps(body).encode() if body is not None else None,
                headers={"Authorization": self._authorization, "Content-Type": "application/json", "Accept": "application/json"},
            )
            with self._opener.open(request, timeout=_SECONDS) as answer:
                text = answer.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")[:500]
            cure = " (is the token current, and may its owner write here?)" if error.code in (401, 403) else ""
            raise AwxError(f"{self.host} refuses {method} {path}: {error.code} {said}{cure}") from None
        except (OSError, ValueError) as error:
            raise AwxError(f"{self.host}: no answer of a controller to {method} {path}: {error}. Check awx_host.") from None

    def find(self, endpoint: str, **query: t.Any) -> dict[str, t.Any] | None:
        """Returns the one object of a kind that a query finds, or None."""
        found = self.ask("GET", endpoint, query=query)["results"]
        if len(found) > 1:
            raise AwxError(f"{self.host} has {len(found)} {endpoint} with {query}: delete or rename all but one")
        return found[0] if found else None

    def related(self, path: str) -> list[dict[str, t.Any]]:
        """Returns all objects of a list."""
        return list(self.ask("GET", path, query={"page_size": 200})["results"])
