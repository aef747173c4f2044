# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oathkeeper rules (regexp strategy) from the service catalogue. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError, normalise

# What a gateway may read in another way than Oathkeeper 0.40, which judges the raw path: dot segments, empty
# segments, and percent-encoded unreserved characters, slashes, backslashes and NUL. No rule matches them.
_TRICKS = r"(?:/\.{1,2}(?:/|$)|//|\\|%(?:00|2[dDeEfF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[cCfF]|7[eE]))"


def _nearest_children(entries: list[dict[str, t.Any]]) -> dict[str, list[str]]:
    """Returns for each service name the prefixes, below its own, that belong to other services."""
    by_place = {(entry["host"], entry["prefix"]): entry["name"] for entry in entries}
    children: dict[str, list[str]] = {entry["name"]: [] for entry in entries}
    for entry in entries:
        parent = entry["prefix"]
        while parent:
            parent = parent.rpartition("/")[0]
            owner = by_place.get((entry["host"], parent))
            if owner is not None:
                children[owner].append(entry["prefix"][len(parent):])
                break
    return {name: sorted(below) for name, below in children.items()}


def _url(entry: dict[str, t.Any], below: list[str]) -> str:
    """Returns the pattern: literal text outside ``<>``, regular expressions inside."""
    carved = f"(?!(?:{'|'.join(map(re.escape, below))})(?:/|$))" if below else ""
    return f"<https?>://{entry['host']}<(?::[0-9]+)?>{entry['prefix']}<(?!.*{_TRICKS}){carved}(?:/.*)?>"


def _authorizer(entry: dict[str, t.Any], check_url: str | None) -> dict[str, t.Any]:
    if not isinstance(entry["allow"], list):
        return {"handler": "allow"}
    payload = (
        f'{{"namespace":"Service","object":"{entry["name"]}","relation":"access",'
        '"subject_id":"{{ print .Subject }}"}'
    )
    return {"handler": "remote_json", "config": {"remote": check_url, "payload": payload}}


def _rule(entry: dict[str, t.Any], below: list[str], login_url: str, check_url: str | None) -> dict[str, t.Any]:
    public = entry["allow"] == "public"
    redirect = {
        "handler": "redirect",
        "config": {
            "to": login_url, "return_to_query_param": "return_to",
            "when": [{"error": ["unauthorized"], "request": {"header": {"accept": ["text/html"]}}}],
        },
    }
    return {
        "id": f"service:{entry['name']}",
        "match": {"url": _url(entry, below), "methods": entry["methods"]},
        # noop, not anonymous: anonymous refuses whoever sends an Authorization header.
        "authenticators": [{"handler": name} for name in (["noop"] if public else ["cookie_session", "bearer_token"])],
        "authorizer": _authorizer(entry, check_url),
        "mutators": [{"handler": "noop"}],
        "errors": [{"handler": "json"} if public or entry["api"] else redirect],
    }


def rules(
    services: list[dict[str, t.Any]], hostname: str, login_url: str, check_url: str | None = None
) -> list[dict[str, t.Any]]:
    """Returns one Oathkeeper rule per service, sorted by id.

    No two match the same URL: hosts differ, or prefixes differ as whole path segments, or one prefix lies below the
    other and is carved out of it. ``check_url`` is Keto's check address, needed when a service names groups.
    Raises AccessError with all problems at once.
    """
    entries = normalise(services, hostname)
    lacking = [entry["name"] for entry in entries if isinstance(entry["allow"], list) and not check_url]
    if lacking:
        raise AccessError("\n".join(f"service '{name}': allow names groups; give check_url" for name in lacking))
    below = _nearest_children(entries)
    return [_rule(entry, below[entry["name"]], login_url, check_url) for entry in entries]
