# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight found, and how it is told. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"
_LEVELS = (OK, NOTE, WARNING, ERROR)

# The checks in the order in which they are told.
CHECKS = (
    "inventory", "cluster", "rights", "api", "storage", "capacity", "definitions", "releases", "objects", "namespaces", "dns",
    "clock", "tools", "licences",
)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: one of ``CHECKS``.
        level: ``ok``; ``note``, good to know; ``warning``, may go wrong; ``error``, a run will fail or do harm.
        cause: what is so, a sentence.
        cure: what to do about it; empty when there is nothing to do.
    """

    check: str
    level: str
    cause: str
    cure: str = ""


def ok(check: str, cause: str) -> Finding:
    """Returns the finding of a check that has nothing to complain about."""
    return Finding(check, OK, cause)


def note(check: str, cause: str, cure: str = "") -> Finding:
    """Returns something that is good to know."""
    return Finding(check, NOTE, cause, cure)


def warning(check: str, cause: str, cure: str) -> Finding:
    """Returns something that may go wrong."""
    return Finding(check, WARNING, cause, cure)


def error(check: str, cause: str, cure: str) -> Finding:
    """Returns something that makes a run fail, or does harm."""
    return Finding(check, ERROR, cause, cure)


def summary(findings: list[Finding]) -> dict[str, t.Any]:
    """Returns the findings as data: ``findings`` in the order of the checks, and the number of each level."""
    order = sorted(findings, key=lambda entry: (CHECKS.index(entry.check), -_LEVELS.index(entry.level)))
    return {
        "findings": [dataclasses.asdict(entry) for entry in order],
        **{f"{level}s": sum(entry.level == level for entry in findings) for level in (NOTE, WARNING, ERROR)},
    }


def table(document: dict[str, t.Any]) -> str:
    """Returns a summary as a table for people: each finding with its cure below."""
    head = document["cluster"]
    lines = [f"cluster    {head.get('server') or '-'}  {head.get('version') or 'not reached'}",
             f"context    {head.get('context') or '-'}", ""]
    rows = [("CHECK", "RESULT", "WHAT"),
            *((entry["check"], entry["level"].upper() if entry["level"] in (WARNING, ERROR) else entry["level"], entry["cause"])
              for entry in document["findings"])]
    cures = ["", *(entry["cure"] for entry in document["findings"])]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    margin = " " * (sum(widths) + 4)
    for row, cure in zip(rows, cures, strict=True):
        first, *more = row[2].splitlines() or [""]
        lines.append(f"{row[0].ljust(widths[0])}  {row[1].ljust(widths[1])}  {first}".rstrip())
        lines += [margin + line for line in more]
        lines += [f"{margin}{'cure: ' if not number else '      '}{line}" for number, line in enumerate(cure.splitlines())]
    return "\n".join([*lines, "", verdict(document)])


def verdict(document: dict[str, t.Any]) -> str:
    """Returns the result in one line."""
    if not document["errors"] and not document["warnings"]:
        return "preflight: nothing stands in the way"
    counts = ", ".join(f"{document[key]} {key if document[key] != 1 else key[:-1]}" for key in ("errors", "warnings") if document[key])
    return f"preflight: {counts}" + ("" if document["errors"] else "; nothing stands in the way")


def shortened(names: t.Iterable[str], most: int = 6) -> str:
    """Returns names as one text; beyond ``most`` only their number."""
    known = sorted(names)
    rest = len(known) - most
    return ", ".join(known[:most]) + (f" and {rest} more" if rest > 0 else "")
