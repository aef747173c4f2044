# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ory Kratos as this collection uses it, through the API server's proxy: needs no way into the cluster's network."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Answer, Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.people.asking import ask

# In metadata_admin: who made the identity. What others made is never changed but by being listed in the inventory.
MARK = {"managed_by": "openmlops"}
_PAGE = 250

Identity = dict[str, t.Any]


class ServiceError(Exception):
    """A service refused what it was asked for; the message says what and why, without any secret."""


class Kratos:
    """Kratos' admin and public API.

    Args:
        cluster: connection to the API server.
        namespace: where Kratos runs.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace

    def identities(self) -> list[Identity]:
        """Returns everybody."""
        return self._pages("identities", {}, "list identities")

    def all_sessions(self) -> dict[str, list[dict[str, t.Any]]]:
        """Returns everybody's active sessions, by the identity's id."""
        found: dict[str, list[dict[str, t.Any]]] = {}
        for session in self._pages("sessions", {"active": "true", "expand": "identity"}, "list sessions"):
            found.setdefault(session["identity"]["id"], []).append(session)
        return found

    def _pages(self, path: str, query: dict[str, t.Any], doing: str) -> list[t.Any]:
        found: list[t.Any] = []
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            answer = self._admin("GET", path, query={**query, "page_size": _PAGE, **more}, doing=doing)
            found += answer.body
            after = re.search(r'[?&]page_token=([^&>]+)[^>]*>; ?rel="next"', answer.headers.get("Link", ""))
            if not after or len(answer.body) < _PAGE:
                return found
            token = urllib.parse.unquote(after[1])

    def create(self, identity: Identity) -> Identity:
        """Makes an identity; returns it as it is now."""
        return self._admin("POST", "identities", body=identity, doing=f"create {_who(identity)}").body

    def update(self, found: Identity, wanted: Identity) -> None:
        """Replaces what is wanted of an identity; credentials stay as they are, unless some are given."""
        body = {key: wanted[key] for key in ("schema_id", "traits", "state", "metadata_public", "metadata_admin")}
        if "credentials" in wanted:
            body["credentials"] = wanted["credentials"]
        self._admin("PUT", f"identities/{found['id']}", body=body, doing=f"update {_who(wanted)}")

    def delete(self, found: Identity) -> None:
        """Forgets an identity, with its sessions."""
        self._admin("DELETE", f"identities/{found['id']}", doing=f"delete {_who(found)}", fine=(204, 404))

    def end_sessions(self, found: Identity) -> None:
        """Ends all sessions and tokens of an identity; the next request with one of them is refused.

        Setting an identity inactive alone would let them live on once it is active again.
        """
        who = _who(found)
        self._admin("DELETE", f"identities/{found['id']}/sessions", doing=f"end the sessions of {who}", fine=(204, 404))
        if self.sessions(found):
            raise ServiceError(f"Kratos still has sessions of {who} after it was told to end them")

    def sessions(self, found: Identity) -> list[dict[str, t.Any]]:
        """Returns the active sessions of an identity."""
        answer = self._admin(
            "GET", f"identities/{found['id']}/sessions", query={"active": "true", "page_size": _PAGE},
            doing=f"list the sessions of {_who(found)}", fine=(200, 404),
        )
        return answer.body if isinstance(answer.body, list) else []

    def extend(self, session: str) -> None:
        """Prolongs a session by the lifespan of sessions."""
        self._admin("PATCH", f"sessions/{session}/extend", doing="prolong a session", fine=(200, 204))

    def login(self, identifier: str, password: str) -> str:
        """Logs in as a program does; returns the session token."""
        flow = self._public("GET", "self-service/login/api", doing="begin a login")
        answer = self._public(
            "POST", "self-service/login", query={"flow": flow.body["id"]}, doing=f"log in as {identifier}",
            body={"method": "password", "identifier": identifier, "password": password},
        )
        return answer.body["session_token"]

    def browser_login(self, identifier: str, password: str) -> dict[str, str]:
        """Logs in as a browser does; returns the cookies by name, that of the session among them."""
        flow = self._public("GET", "self-service/login/browser", doing="begin a login in a browser")
        cookies = _cookies(flow)
        nodes = [node.get("attributes") or {} for node in (flow.body.get("ui") or {}).get("nodes") or []]
        csrf = next((node.get("value") for node in nodes if node.get("name") == "csrf_token"), "")
        answer = self._public(
            "POST", "self-service/login", query={"flow": flow.body["id"]}, doing=f"log in as {identifier}",
            headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
            body={"method": "password", "identifier": identifier, "password": password, "csrf_token": csrf},
        )
        return {**cookies, **_cookies(answer)}

    def whoami(self, token: str) -> dict[str, t.Any] | None:
        """Returns the session of a token, or None when it has none (any more)."""
        answer = self._public("GET", "sessions/whoami", headers={"X-Session-Token": token}, doing="look at a token", fine=(200, 401, 403))
        return answer.body if answer.status == 200 else None

    def _admin(self, method: str, path: str, *, doing: str, fine: tuple[int, ...] = (200, 201, 204), **more: t.Any) -> Answer:
        return self._ask("kratos-admin", method, f"/admin/{path}", doing, fine, more)

    def _public(self, method: str, path: str, *, doing: str, fine: tuple[int, ...] = (200,), **more: t.Any) -> Answer:
        return self._ask("kratos-public", method, f"/{path}", doing, fine, more)

    def _ask(self, service: str, method: str, path: str, doing: str, fine: tuple[int, ...], more: dict[str, t.Any]) -> Answer:
        answer = ask(self._cluster, self._namespace, service, method, path, **more)
        if answer.status not in fine:
            raise ServiceError(f"Kratos would not {doing}: HTTP {answer.status}{_reason(answer.body)}")
        return answer


def _cookies(answer: Answer) -> dict[str, str]:
    """Returns the cookies that an answer sets."""
    lines = answer.headers.getlist("Set-Cookie")  # type: ignore[attr-defined]
    return dict(line.partition(";")[0].strip().split("=", 1) for line in lines)


def _who(identity: Identity) -> str:
    traits = identity.get("traits") or {}
    return str(traits.get("email") or traits.get("name") or identity.get("id"))


def _reason(body: t.Any) -> str:
    """Returns what Kratos says of a refusal; never a body as a whole, which may repeat what was sent."""
    if not isinstance(body, dict):
        return ""
    error = body.get("error") if isinstance(body.get("error"), dict) else {}
    texts = [error.get("reason") or error.get("message")]
    ui = body.get("ui") if isinstance(body.get("ui"), dict) else {}
    texts += [message.get("text") for message in ui.get("messages") or []]
    texts += [message.get("text") for node in ui.get("nodes") or [] for message in node.get("messages") or []]
    told = "; ".join(str(text) for text in texts if text)
    return f": {told[:500]}" if told else ""
