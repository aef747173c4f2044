# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oathkeeper rules (regexp strategy) from the service catalogue and the rules that users add. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access import shapes, user_rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.handlers import handlers
from ansible_collections.openmlops.platform.plugins.module_utils.access.patterns import PatternError
from ansible_collections.openmlops.platform.plugins.module_utils.access.proof import Proof
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError, normalise
from ansible_collections.openmlops.platform.plugins.module_utils.access.user_rules import UserRule


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


def _of_service(
    entry: dict[str, t.Any], below: list[str], carving: list[UserRule], login_url: str, check_url: str | None,
) -> list[dict[str, t.Any]]:
    """Returns the rules of a service: one, or one for each set of methods that give way to the same rules of users."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for method in entry["methods"]:
        urls = {rule.document["match"]["url"] for rule in carving if method in rule.document["match"]["methods"]}
        groups.setdefault(tuple(sorted(urls)), []).append(method)
    found = []
    for minus, methods in groups.items():
        name = f"service:{entry['name']}"
        found.append({
            "id": name if len(groups) == 1 else f"{name}:{'+'.join(methods)}",
            "match": {"url": shapes.write(shapes.Shape(entry["host"], entry["prefix"], tuple(below), minus)), "methods": methods},
            **handlers(entry["name"], entry["allow"], entry["api"], entry["identity"], login_url, check_url),
        })
    return found


def _unknown(written: list[UserRule], names: set[str]) -> list[str]:
    return [
        f"access rule '{rule.document['id']}': {key}: there is no service '{name}'; the services are {', '.join(sorted(names))}"
        for rule in written for key in ("carve", "replaces") for name in getattr(rule, key) if name not in names
    ]


def _unreached(proof: Proof, written: list[UserRule]) -> list[str]:
    return [
        f"access rule '{rule.document['id']}': {key}: its pattern matches no URL of service '{name}'; "
        "correct the pattern or take the name out"
        for rule in written for key in ("carve", "replaces") for name in getattr(rule, key)
        if name not in proof.reached(rule.document["id"])
    ]


def rules(
    services: list[dict[str, t.Any]], hostname: str, login_url: str, check_url: str | None = None,
    access_rules: list[dict[str, t.Any]] | None = None, complete: bool = True,
) -> list[dict[str, t.Any]]:
    """Returns the Oathkeeper rules of the services and of the user, sorted by id and proved.

    No two match the same URL: hosts differ, or prefixes differ as whole path segments, or one prefix lies below the
    other and is carved out of it; a user's rule is carved out of the services that it names.

    Args:
        services: the catalogue.
        hostname: the host of entries that name none.
        login_url: where a browser without a session is sent; the page ``error`` beside it tells who is logged in but not
            allowed.
        check_url: Keto's check address, needed when a service names groups.
        access_rules: rules that the user wrote.
        complete: false when services are still missing; a user's rule may then be without one.

    Raises:
        AccessError: with all problems at once; also when there are rules of the user and the package interegular is missing.
    """
    entries = normalise(services, hostname)
    written = user_rules.normalise(access_rules or [], hostname, login_url)
    names = {entry["name"] for entry in entries}
    problems = [f"service '{entry['name']}': allow: names groups; give check_url"
                for entry in entries if isinstance(entry["allow"], list) and not check_url]
    problems += _unknown(written, names) if complete else []
    if problems:
        raise AccessError("\n".join(problems))
    below = _nearest_children(entries)
    replaced = {name for rule in written for name in rule.replaces}
    made = [
        rule for entry in entries if entry["name"] not in replaced
        for rule in _of_service(entry, below[entry["name"]], [r for r in written if entry["name"] in r.carve], login_url, check_url)
    ]
    documents = sorted([*made, *(rule.document for rule in written)], key=lambda rule: rule["id"])
    try:
        proof = Proof(documents, entries, complete)
    except (PatternError, ImportError) as error:
        raise AccessError(str(error)) from error
    problems = proof.problems + (_unreached(proof, written) if complete else [])
    if problems:
        raise AccessError("\n".join(problems))
    return documents
