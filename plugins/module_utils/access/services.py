# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service catalogue: what is reachable, where, and for whom. Pure functions.

An entry as users write it has the keys of CHECKS; docs/access.md tells what each means. normalise() returns entries with
every key filled in; all that is derived (rules, routes, policies, probes, landing page) reads those.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
WORDS = ("authenticated", "nobody", "public")
IDENTITIES = ("headers", "id_token", "none")

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_PREFIX = re.compile(r"(/|(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)+/?)\Z")
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?\Z")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")
_REQUIRED = ("name", "prefix", "service", "namespace", "port", "allow")


class AccessError(ValueError):
    """The catalogue cannot be used; the message lists every problem, one a line."""


def is_host(value: t.Any) -> bool:
    """Tells whether a value is a lower-case DNS name or an IPv4 address, without a port."""
    if not isinstance(value, str) or not _HOST.match(value):
        return False
    if re.fullmatch(r"[0-9.]+", value):
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            return False
    return True


def _is_name(value: t.Any) -> bool:
    return isinstance(value, str) and _NAME.match(value) is not None


def _is_number(value: t.Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_names(value: t.Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _is_methods(value: t.Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(m, str) and m in METHODS for m in value)


def _is_allow(value: t.Any) -> bool:
    return value in WORDS if isinstance(value, str) else bool(value) and _is_names(value)


def _is_selector(value: t.Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and _LABEL_KEY.match(key) and isinstance(text, str) and _LABEL.match(text)
        for key, text in value.items()
    )


def _is_bool(value: t.Any) -> bool:
    return isinstance(value, bool)


def _is_line(value: t.Any) -> bool:
    return isinstance(value, str) and value.isprintable()


_A_NAME = "must be lower-case letters, digits and '-', at most 63, such as my-service"
_A_BOOL = "must be true or false"
_A_LINE = "must be one line of text"
_A_PORT = "must be a number from 1 to 65535"

# key -> (what is right, what to tell when it is not)
CHECKS: dict[str, tuple[t.Callable[[t.Any], bool], str]] = {
    "name": (_is_name, _A_NAME),
    "title": (_is_line, _A_LINE),
    "description": (_is_line, _A_LINE),
    "section": (_is_line, _A_LINE),
    "host": (is_host, "must be a lower-case DNS name or an IPv4 address, without a scheme and without a port"),
    "prefix": (
        lambda value: isinstance(value, str) and _PREFIX.match(value) is not None,
        "must be a clean path such as / or /mlflow/ (letters, digits, '.', '_', '~', '-'; no '//', '..', '%', '<')",
    ),
    "service": (_is_name, _A_NAME),
    "namespace": (_is_name, _A_NAME),
    "port": (lambda value: _is_number(value, 1, 65535), _A_PORT),
    "target_port": (lambda value: _is_number(value, 1, 65535), _A_PORT),
    "selector": (_is_selector, "must be a mapping of pod labels, such as {app: mlflow}"),
    "clients": (_is_names, "must be a list of namespaces"),
    "methods": (_is_methods, f"must be a list, not empty, of {', '.join(METHODS)}"),
    "allow": (_is_allow, "must be public, authenticated, nobody or a list of groups, not empty"),
    "api": (_is_bool, _A_BOOL),
    "identity": (lambda value: isinstance(value, str) and value in IDENTITIES, f"must be one of {', '.join(IDENTITIES)}"),
    "strip_prefix": (_is_bool, _A_BOOL),
    "websocket": (_is_bool, _A_BOOL),
    "timeout": (lambda value: _is_number(value, 0, 604800), "must be seconds from 0 (no limit) to 604800"),
    "idle_timeout": (lambda value: _is_number(value, 0, 604800), "must be seconds from 0 (no limit) to 604800"),
    "landing": (_is_bool, _A_BOOL),
}


def _check(entry: dict[str, t.Any], label: str) -> list[str]:
    known = ", ".join(CHECKS)
    problems = [f"{label}: {key}: unknown key; take it out (known: {known})" for key in sorted(set(map(str, entry)) - set(CHECKS))]
    for key, (right, told) in CHECKS.items():
        value = entry.get(key)
        if value is None:
            if key in _REQUIRED:
                problems.append(f"{label}: {key}: is missing; it {told}")
        elif not right(value):
            problems.append(f"{label}: {key}: {told}; it is {value!r}")
    if not problems and entry["allow"] in ("public", "nobody") and (entry.get("identity") or "none") != "none":
        problems.append(
            f"{label}: identity: nobody is known where allow is {entry['allow']}; set identity to none, or allow to authenticated"
        )
    return problems


def _complete(entry: dict[str, t.Any], hostname: str) -> dict[str, t.Any]:
    """Returns a checked entry with every default filled in. A key with the value null counts as not given."""
    given = {key: value for key, value in entry.items() if value is not None}
    allow, api = given["allow"], given.get("api", False)
    return {
        "name": given["name"],
        "title": given.get("title") or given["name"],
        "description": given.get("description", ""),
        "section": given.get("section", ""),
        "host": given.get("host", hostname),
        "prefix": given["prefix"].rstrip("/"),
        "service": given["service"],
        "namespace": given["namespace"],
        "port": given["port"],
        "target_port": given.get("target_port", given["port"]),
        "selector": dict(sorted(given.get("selector", {}).items())),
        "clients": sorted(set(given.get("clients", []))),
        "methods": sorted(set(given.get("methods", METHODS))),
        "allow": sorted(set(allow)) if isinstance(allow, list) else allow,
        "api": api,
        "identity": given.get("identity", "none"),
        "strip_prefix": given.get("strip_prefix", False),
        "websocket": given.get("websocket", False),
        "timeout": given.get("timeout", 300),
        "idle_timeout": given.get("idle_timeout", 3600),
        "landing": given.get("landing", not api and allow not in ("public", "nobody")),
    }


def normalise(services: list[dict[str, t.Any]], hostname: str) -> list[dict[str, t.Any]]:
    """Returns the entries with every key filled in, sorted by name. Normalised entries stay as they are.

    ``hostname`` is the host of entries that name none: a DNS name or an IPv4 address without a port. ``prefix`` loses
    its final ``/`` (the root becomes an empty string). ``selector`` {} means that no policy closes the pods.
    Raises AccessError with all problems at once, each naming the service, the key and the cure.
    """
    problems: list[str] = []
    if not is_host(hostname):
        problems.append(
            f"hostname: must be a lower-case DNS name or an IPv4 address, without a scheme and without a port; it is {hostname!r}"
        )
    if not isinstance(services, list):
        raise AccessError("services: must be a list of entries")
    names: set[str] = set()
    places: dict[tuple[str, str], str] = {}
    result = []
    for number, entry in enumerate(services, start=1):
        if not isinstance(entry, dict):
            problems.append(f"service number {number}: must be a mapping with {', '.join(_REQUIRED)}")
            continue
        if entry.get("host") == "":  # a role's variable that was left empty
            entry = {**entry, "host": None}
        label = f"service '{entry['name']}'" if _is_name(entry.get("name")) else f"service number {number}"
        found = _check(entry if entry.get("prefix") != "" else {**entry, "prefix": "/"}, label)
        if found:
            problems += found
            continue
        made = _complete(entry, hostname)
        if made["name"] in names:
            problems.append(f"{label}: name: is used twice; rename one")
        names.add(made["name"])
        place = (made["host"], made["prefix"])
        other = places.setdefault(place, made["name"])
        if other != made["name"]:
            problems.append(
                f"{label}: prefix: service '{other}' answers the same https://{place[0]}{place[1]}/; change one prefix or host"
            )
        result.append(made)
    if problems:
        raise AccessError("\n".join(problems))
    return sorted(result, key=lambda service: service["name"])
