# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe found, as a table and as a document. Pure functions."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.probe.asking import NOTHING
from ansible_collections.openmlops.platform.plugins.module_utils.probe.lines import ALLOWED, UNKNOWN, Line

_SHOWN = 20


@dataclasses.dataclass
class Found:
    """What a probe found.

    Attributes:
        url: the platform's address.
        rules: what is wrong with Oathkeeper's rules as such, by id.
        oathkeeper: the decision on each line.
        gateway: the same through the gateway, on the lines that may be sent there.
        skipped: why the gateway was not asked; "" when it was.
        unjudged: ids of the user's rules whose decisions cannot be foretold.
        seconds: how long all of it took.
    """

    url: str
    rules: dict[str, str] = dataclasses.field(default_factory=dict)
    oathkeeper: dict[Line, str] = dataclasses.field(default_factory=dict)
    gateway: dict[Line, str] = dataclasses.field(default_factory=dict)
    skipped: str = ""
    unjudged: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    @property
    def deviations(self) -> list[tuple[Line, str, str]]:
        """Returns (line, real decision, who said so) of all that is not as intended."""
        found = [(line, real, "Oathkeeper") for line, real in self.oathkeeper.items() if real != line.intended]
        return found + [(line, real, "the gateway") for line, real in self.gateway.items() if not agrees(line, real)]

    @property
    def failed(self) -> bool:
        """Whether anything is not as intended."""
        return bool(self.rules or self.deviations)


def agrees(line: Line, real: str) -> bool:
    """Tells whether what a client of the gateway met is what the line intends.

    A plain 404 is right where there need not be a route, and may be the service's own answer to who may enter.
    """
    return real == line.intended or real == NOTHING and (line.intended in (ALLOWED, UNKNOWN) or not line.routed)


def through_gateway(line: Line) -> bool:
    """Tells whether a line may be sent through the gateway: what is refused, and of what is allowed only GET."""
    return line.intended != ALLOWED or line.method == "GET"


def document(found: Found) -> dict[str, t.Any]:
    """Returns everything, for JSON."""
    return {
        "result": "failed" if found.failed else "passed",
        "url": found.url,
        "seconds": round(found.seconds, 2),
        "gateway": {"asked": not found.skipped, "reason": found.skipped},
        "rules": found.rules,
        "unjudged": found.unjudged,
        "lines": [
            {"service": line.service, "method": line.method, "host": line.host, "path": line.path, "who": line.who,
             "intended": line.intended, "oathkeeper": real, "gateway": found.gateway.get(line)}
            for line, real in found.oathkeeper.items()
        ],
        "deviations": [
            {"service": line.service, "method": line.method, "host": line.host, "path": line.path, "who": line.who,
             "intended": line.intended, "real": real, "by": by}
            for line, real, by in found.deviations
        ],
    }


def summary(found: Found) -> str:
    """Returns one line."""
    services = len({line.service for line in found.oathkeeper})
    visitors = len({line.who for line in found.oathkeeper})
    gateway = f"{len(found.gateway)} through the gateway" if not found.skipped else f"the gateway was not asked ({found.skipped})"
    verdict = "all as intended" if not found.failed else f"{len(found.rules) + len(found.deviations)} NOT as intended"
    if found.unjudged:
        verdict += f", without those of your rules {', '.join(found.unjudged[:3])}{' and others' if len(found.unjudged) > 3 else ''}"
    return (f"probe: {services} services, {visitors} visitors, {len(found.oathkeeper)} decisions, {gateway}: {verdict} "
            f"({found.seconds:.1f} s)")


def complaint(found: Found) -> str:
    """Returns what is wrong and what to do, for a run that fails."""
    told = [f"rule {name} {what}" for name, what in found.rules.items()]
    told += [f"{line.service}: {line.method} {line.host}{line.path} as {line.who}: should be «{line.intended}», is «{real}» ({by})"
             for line, real, by in found.deviations]
    more = [f"... and {len(told) - _SHOWN} more; platform_probe_file names a file for all of them"] if len(told) > _SHOWN else []
    return "\n".join([
        "The live probe found decisions that the service catalogue does not intend:", *told[:_SHOWN], *more,
        "Run `make up` (or site.yml): it writes rules, routes and rights anew. If it stays, docs/probe.md tells what each means.",
    ])


def table(found: Found) -> list[str]:
    """Returns the lines of a table: services down, visitors across."""
    visitors = sorted({line.who for line in found.oathkeeper}, key=lambda who: (who.startswith("member"), who != "nobody", who != "user", who))
    rows = [["SERVICE", *(who.upper() if not who.startswith("member") else who for who in visitors)]]
    for service, group in itertools.groupby(found.oathkeeper.items(), key=lambda one: one[0].service):
        decisions: dict[str, dict[str, list[str]]] = {}
        for line, real in group:
            wrong = real != line.intended or (line in found.gateway and not agrees(line, found.gateway[line]))
            decisions.setdefault(line.who, {}).setdefault(("!! " if wrong else "") + real, []).append(line.method)
        rows.append([service, *(_cell(decisions.get(who, {})) for who in visitors)])
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]


def _cell(decisions: dict[str, list[str]]) -> str:
    """Returns the decision of one visitor; the methods only where they differ, without those that have no rule."""
    real = {decision: methods for decision, methods in decisions.items() if decision != UNKNOWN} or decisions
    if not real:
        return "-"
    if len(decisions) == 1:
        return next(iter(decisions))
    return ", ".join(f"{decision} ({' '.join(methods)})" for decision, methods in real.items())
