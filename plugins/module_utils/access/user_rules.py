# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules as users write them (``platform_access_rules``), checked and completed. Pure functions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access import globs, patterns, services
from ansible_collections.openmlops.platform.plugins.module_utils.access.handlers import handlers

# Those that the role ory switches on; a rule with another is invalid, and its URLs answer with errors.
HANDLERS = {
    "authenticators": ("anonymous", "bearer_token", "cookie_session", "noop", "unauthorized"),
    "authorizer": ("allow", "deny", "remote_json"),
    "mutators": ("header", "id_token", "noop"),
    "errors": ("json", "redirect"),
}
_DEFAULTS = {"authorizer": {"handler": "allow"}, "mutators": [{"handler": "noop"}], "errors": [{"handler": "json"}]}
_KEYS = ("id", "description", "match", "carve", "replaces", "allow", "api", "identity", *HANDLERS)
_SHORT = ("allow", "api", "identity")
_ID = re.compile(r"(?!service:)[A-Za-z0-9][A-Za-z0-9:._-]{0,127}\Z")
_HINTS = {
    "upstream": "the gateway knows where a service runs; take it out",
    "credentials_issuer": "a name of long ago; write mutators",
    "version": "Oathkeeper fills it in; take it out",
}


@dataclasses.dataclass(frozen=True)
class UserRule:
    """A checked rule: the document for Oathkeeper and the services whose own rules make room."""

    document: dict[str, t.Any]
    carve: tuple[str, ...]
    replaces: tuple[str, ...]


def _handler(value: t.Any, kind: str) -> dict[str, t.Any] | str:
    """Returns a handler in Oathkeeper's form, or what is wrong with it."""
    made = {"handler": value} if isinstance(value, str) else value
    if not isinstance(made, dict) or set(made) - {"handler", "config"} or not isinstance(made.get("config", {}), dict):
        return f"{kind}: must be a name, or a mapping with handler and config; it is {value!r}"
    if made.get("handler") not in HANDLERS[kind]:
        return f"{kind}: handler must be one of {', '.join(HANDLERS[kind])}; it is {made.get('handler')!r}"
    return made


def _written(rule: dict[str, t.Any], problems: list[str]) -> dict[str, t.Any]:
    """Returns the handlers of a rule that names them itself."""
    found: dict[str, t.Any] = {}
    for kind in HANDLERS:
        value = rule.get(kind)
        if value is None:
            if kind == "authenticators":
                problems.append("authenticators: is missing; write it, or allow: authenticated")
            found[kind] = _DEFAULTS.get(kind)
            continue
        several = kind != "authorizer"
        if several and not (isinstance(value, list) and value):
            problems.append(f"{kind}: must be a list, not empty")
            continue
        made = [_handler(one, kind) for one in (value if several else [value])]
        problems += [one for one in made if isinstance(one, str)]
        found[kind] = made if several else made[0]
        if kind == "errors" and sum(isinstance(one, dict) and not one.get("config", {}).get("when") for one in made) > 1:
            problems.append("errors: two without config.when both answer, which Oathkeeper turns into 500; leave one")
    return found


def _short(rule: dict[str, t.Any], name: str, login_url: str, problems: list[str]) -> dict[str, t.Any]:
    """Returns the handlers of a rule that says ``allow``, as a service does."""
    before = len(problems)
    if rule["allow"] not in services.WORDS:
        groups = "; to admit groups, make it a service of its own in platform_services" if isinstance(rule["allow"], list) else ""
        problems.append(f"allow: must be one of {', '.join(services.WORDS)}{groups}; it is {rule['allow']!r}")
    for key in ("api", "identity"):
        right, told = services.CHECKS[key]
        if rule.get(key) is not None and not right(rule[key]):
            problems.append(f"{key}: {told}; it is {rule[key]!r}")
    identity = rule.get("identity") or "none"
    if rule["allow"] in ("public", "nobody") and identity != "none":
        problems.append(f"identity: nobody is known where allow is {rule['allow']}; set it to none")
    for kind in HANDLERS:
        if rule.get(kind) is not None:
            problems.append(f"{kind}: stands beside allow, which makes it; take one of them out")
    if len(problems) > before:
        return {}
    return handlers(name, rule["allow"], rule.get("api") or False, identity, login_url, None)


def _pattern(match: dict[str, t.Any], hostname: str) -> str:
    """Returns the guarded pattern of one of url, glob and path. Raises ValueError with what is wrong."""
    ways = [way for way in ("url", "glob", "path") if match.get(way) is not None]
    if len(ways) != 1:
        raise ValueError("match: needs one of url, glob and path")
    way = ways[0]
    value = match[way]
    if not isinstance(value, str):
        raise ValueError(f"match.{way}: must be text; it is {value!r}")
    host = match.get("host") or hostname
    if match.get("host") is not None and (way != "path" or not services.is_host(host)):
        raise ValueError("match.host: goes with path, and is a lower-case DNS name or an IPv4 address")
    try:
        if way == "path" and not value.startswith("/"):
            raise ValueError("begins with /")
        if way == "path":
            value = f"<https?>://{host}<(?::[0-9]+)?>{value}"
        return patterns.guarded(globs.to_regexp(value, patterns.split) if way == "glob" else value)
    except ValueError as error:
        raise ValueError(f"match.{way}: {error}") from error


def _match(rule: dict[str, t.Any], hostname: str, problems: list[str]) -> dict[str, t.Any]:
    match = rule.get("match")
    if not isinstance(match, dict):
        problems.append("match: is missing; it must be a mapping with url, glob or path, and methods")
        return {}
    unknown = set(map(str, match)) - {"url", "glob", "path", "host", "methods"}
    problems += [f"match.{key}: unknown key; take it out" for key in sorted(unknown)]
    right, told = services.CHECKS["methods"]
    methods = match.get("methods") if match.get("methods") is not None else list(services.METHODS)
    if not right(methods):
        problems.append(f"match.methods: {told}; it is {methods!r}")
        methods = []
    try:
        return {"url": _pattern(match, hostname), "methods": sorted(set(methods))}
    except ValueError as error:
        problems.append(str(error))
        return {}


def _one(rule: dict[str, t.Any], hostname: str, login_url: str, problems: list[str]) -> UserRule:
    for key in sorted(set(map(str, rule)) - set(_KEYS)):
        problems.append(f"{key}: {_HINTS.get(key, 'unknown key; take it out')} (known: {', '.join(_KEYS)})")
    if not (isinstance(rule.get("id"), str) and _ID.match(rule["id"])):
        problems.append(f"id: must be letters, digits, ':', '.', '_', '-', and not begin with service:; it is {rule.get('id')!r}")
    if not (rule.get("description") is None or isinstance(rule["description"], str)):
        problems.append("description: must be text")
    names: dict[str, tuple[str, ...]] = {}
    for key in ("carve", "replaces"):
        value = rule.get(key) or []
        if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            problems.append(f"{key}: must be a list of services' names; it is {value!r}")
            value = []
        names[key] = tuple(sorted(set(value)))
    match = _match(rule, hostname, problems)
    name = next(iter(names["carve"] + names["replaces"]), str(rule.get("id")))
    if rule.get("allow") is not None:
        made = _short(rule, name, login_url, problems)
    else:
        problems += [f"{key}: goes with allow only; take it out" for key in _SHORT[1:] if rule.get(key) is not None]
        made = _written(rule, problems)
    described = {"description": rule["description"]} if rule.get("description") else {}
    return UserRule({"id": rule.get("id"), **described, "match": match, **made}, names["carve"], names["replaces"])


def normalise(rules: t.Any, hostname: str, login_url: str) -> list[UserRule]:
    """Returns the rules, checked and complete, in the order of their ids.

    Args:
        rules: as users write them; docs/access.md tells the keys.
        hostname: the host of ``match.path`` without one.
        login_url: where browsers without a session are sent.

    Raises:
        AccessError: with all problems at once, each naming the rule, the key and the cure.
    """
    if not isinstance(rules, list):
        raise services.AccessError("platform_access_rules: must be a list of rules")
    problems: list[str] = []
    found = []
    for number, rule in enumerate(rules, start=1):
        if not isinstance(rule, dict):
            problems.append(f"access rule number {number}: must be a mapping with id, match and allow")
            continue
        label = f"access rule '{rule['id']}'" if isinstance(rule.get("id"), str) else f"access rule number {number}"
        own: list[str] = []
        found.append(_one(rule, hostname, login_url, own))
        problems += [f"{label}: {problem}" for problem in own]
    if problems:
        raise services.AccessError("\n".join(problems))
    return sorted(found, key=lambda rule: rule.document["id"])
