# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What access rules that a user wrote intend, where they stand in for a service's own. Pure functions."""

from __future__ import annotations

import dataclasses
import re
import typing as t
import urllib.parse

from ansible_collections.openmlops.platform.plugins.module_utils.access import patterns
from ansible_collections.openmlops.platform.plugins.module_utils.access.proof import Proof
from ansible_collections.openmlops.platform.plugins.module_utils.probe.lines import ALLOWED, FORBIDDEN, LOGIN, MACHINE, NOBODY, USER, Line

Rule = dict[str, t.Any]


def with_user_rules(lines: list[Line], rules: list[Rule], entries: list[dict[str, t.Any]]) -> tuple[list[Line], list[str]]:
    """Returns the lines as the user's rules change them, with lines of their own, and the ids of rules that cannot be judged.

    A rule with a configuration of its own for who somebody is, with ``remote_json``, or with a redirect for programs decides
    in ways that are not known here: its lines are left out.

    Args:
        lines: of lines.lines().
        rules: all of Oathkeeper's, as derived from the catalogue.
        entries: of services.normalise().
    """
    written = [rule for rule in rules if not rule["id"].startswith("service:")]
    if not written:
        return lines, []
    found = {}
    for line in [*lines, *_own(written, Proof(rules, entries))]:
        rule = next((one for one in written if _matches(one, line)), None)
        decision = intended(rule, line.who) if rule else line.intended
        if decision is not None:
            found[line.host, line.path, line.method, line.who] = dataclasses.replace(line, intended=decision)
    return list(found.values()), sorted(rule["id"] for rule in written if intended(rule, NOBODY) is None or intended(rule, USER) is None)


def intended(rule: Rule, who: str) -> str | None:
    """Returns the decision of a user's rule on a visitor; None when it cannot be known."""
    if any(one.get("config") for one in rule["authenticators"]) or any(
            one["handler"] == "redirect" and not (one.get("config") or {}).get("when") for one in rule["errors"]):
        return None
    for handler in (one["handler"] for one in rule["authenticators"]):
        if handler == "unauthorized":
            return LOGIN
        # anonymous is not responsible for who sends an Authorization header
        known = {"noop": True, "anonymous": who != MACHINE, "bearer_token": who == MACHINE, "cookie_session": who not in (NOBODY, MACHINE)}
        if known[handler]:
            return {"allow": ALLOWED, "deny": FORBIDDEN}.get(rule["authorizer"]["handler"])
    return LOGIN


def _own(written: list[Rule], proof: Proof) -> t.Iterator[Line]:
    """Returns lines at a URL of each rule below each service that it stands in for."""
    for rule in written:
        for service, url in proof.reached(rule["id"]).items():
            parts = urllib.parse.urlsplit(url)
            for method in rule["match"]["methods"]:
                for who in (NOBODY, USER, MACHINE):
                    yield Line(service, parts.hostname or "", parts.path, method, who, LOGIN)


def _matches(rule: Rule, line: Line) -> bool:
    url = f"https://{line.host}{line.path}"
    return line.method in rule["match"]["methods"] and re.fullmatch(patterns.compiled(rule["match"]["url"]), url) is not None
