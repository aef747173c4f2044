# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values of Secrets can be replaced by new ones, and which of them a word means. Pure functions on plans."""

from __future__ import annotations

import difflib
import typing as t

ALL = "all"


class Rotatable(t.NamedTuple):
    """A value that is generated.

    Attributes:
        kind: how, such as ``password``.
        by_name: whether it is left out when all are meant, since more depends on it than pods.
    """

    component: str
    ref: str  # namespace/secret/key
    kind: str
    by_name: bool


class RotationError(ValueError):
    """A word means no value that can be replaced; the text names it and what comes close."""


def listed(plan: t.Iterable[tuple[str, dict[str, t.Any]]], given: t.Callable[[str], bool]) -> list[Rotatable]:
    """Returns the values that can be replaced.

    Args:
        plan: component and specification of each Secret.
        given: tells whether the inventory has a value for a variable; such a value is changed there.
    """
    found = []
    for component, spec in plan:
        for key, entry in (spec.get("data") or {}).items():
            if "generate" in entry and not (entry.get("variable") and given(entry["variable"])):
                ref = f"{spec['namespace']}/{spec['name']}/{key}"
                found.append(Rotatable(component, ref, str(entry["generate"]), bool(entry.get("only_by_name"))))
    return found


def expand(words: t.Sequence[str], known: list[Rotatable], others: t.Container[str] = ()) -> list[str]:
    """Returns the references that words mean, each once.

    Args:
        words: ``namespace/secret/key``, the name of a component, or ``all``.
        others: references that may be named although they are not generated: the reader of declarations judges them.

    Raises:
        RotationError: for a word that means nothing.
    """
    found: dict[str, None] = {}
    components = {entry.component for entry in known}
    refs = [entry.ref for entry in known]
    for word in (str(word).strip() for word in words):
        if word == ALL or word in components:
            found.update(dict.fromkeys(entry.ref for entry in known if not entry.by_name and word in (ALL, entry.component)))
        elif word in refs or word in others:
            found[word] = None
        elif word:
            close = [ref for ref in refs if word in ref][:3] or difflib.get_close_matches(word, [*refs, *components, ALL], n=3, cutoff=0.5)
            raise RotationError(f"platform_rotate: '{word}' is no generated value, no component that has one, and not '{ALL}'"
                                + (f"; did you mean {' or '.join(close)}?" if close else "; playbooks/rotate.yml without it lists them"))
    return list(found)


def declared(plan: t.Iterable[tuple[str, dict[str, t.Any]]]) -> set[str]:
    """Returns the references of all values that are declared."""
    return {f"{spec['namespace']}/{spec['name']}/{key}" for _component, spec in plan for key in spec.get("data") or {}}


def table(known: list[Rotatable], rotated: t.Mapping[str, str]) -> str:
    """Returns what can be replaced, for people.

    Args:
        rotated: by reference, when it was replaced last.
    """
    rows = [("COMPONENT", "KEY", "KIND", "LAST ROTATED", "")]
    rows += [(entry.component, entry.ref, entry.kind, rotated.get(entry.ref, "never"), "only by its name" if entry.by_name else "")
             for entry in known]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip() for row in rows)
