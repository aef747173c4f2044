# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service catalogue: what is reachable, where, and for whom. Pure functions."""

from __future__ import annotations

import re
import typing as t

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")
_PREFIX = re.compile(r"(/|(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)+/?)\Z")
_KEYS = {"name", "host", "prefix", "service", "namespace", "port", "methods", "allow", "api"}


class AccessError(ValueError):
    """The catalogue cannot be used; the message lists every problem, one a line."""


def _check(entry: dict[str, t.Any], label: str) -> list[str]:
    problems = [f"{label}: unknown key '{key}'; take it out" for key in sorted(set(map(str, entry)) - _KEYS)]
    for key in ("name", "service", "namespace"):
        if not _NAME.match(str(entry.get(key, ""))):
            problems.append(f"{label}: {key} must be lower-case letters, digits and '-', at most 63")
    if not isinstance(entry.get("prefix"), str) or not _PREFIX.match(entry["prefix"]):
        problems.append(f"{label}: prefix must be a clean path such as / or /mlflow/ (no '//', '..', '%', '<')")
    port = entry.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        problems.append(f"{label}: port must be a number from 1 to 65535")
    host = entry.get("host")
    if host is not None and not (isinstance(host, str) and _HOST.match(host)):
        problems.append(f"{label}: host must be a lower-case DNS name without a port")
    methods = entry.get("methods", list(METHODS))
    if not isinstance(methods, list) or not methods or any(method not in METHODS for method in methods):
        problems.append(f"{label}: methods must be a list, not empty, of {', '.join(METHODS)}")
    allow = entry.get("allow")
    groups = isinstance(allow, list) and allow and all(isinstance(g, str) and _NAME.match(g) for g in allow)
    if not groups and not (isinstance(allow, str) and allow in ("public", "authenticated")):
        problems.append(f"{label}: allow must be public, authenticated or a list of groups, not empty")
    if not isinstance(entry.get("api", False), bool):
        problems.append(f"{label}: api must be true or false")
    return problems


def normalise(services: list[dict[str, t.Any]], hostname: str) -> list[dict[str, t.Any]]:
    """Returns the entries with every default filled in, sorted by name.

    ``host`` defaults to ``hostname``; ``prefix`` loses its final ``/`` (the root becomes an empty string).
    Raises AccessError with all problems at once.
    """
    problems: list[str] = []
    if not isinstance(hostname, str) or not _HOST.match(hostname):
        problems.append("hostname must be a lower-case DNS name without a port")
    if not isinstance(services, list):
        raise AccessError("services must be a list of entries")
    names: set[str] = set()
    places: dict[tuple[str, str], str] = {}
    result = []
    for number, entry in enumerate(services, start=1):
        if not isinstance(entry, dict):
            problems.append(f"service number {number}: must be a mapping")
            continue
        label = f"service '{entry.get('name', f'number {number}')}'"
        found = _check(entry, label)
        if found:
            problems += found
            continue
        if entry["name"] in names:
            problems.append(f"{label}: the name is used twice; rename one")
        names.add(entry["name"])
        host, prefix = entry.get("host") or hostname, entry["prefix"].rstrip("/")
        other = places.setdefault((host, prefix), entry["name"])
        if other != entry["name"]:
            problems.append(f"{label} and service '{other}' both answer https://{host}{prefix}/; change one prefix")
        allow = entry["allow"]
        result.append({
            "name": entry["name"], "host": host, "prefix": prefix, "service": entry["service"],
            "namespace": entry["namespace"], "port": entry["port"], "api": entry.get("api", False),
            "methods": sorted(set(entry.get("methods", METHODS))),
            "allow": sorted(set(allow)) if isinstance(allow, list) else allow,
        })
    if problems:
        raise AccessError("\n".join(problems))
    return sorted(result, key=lambda service: service["name"])
