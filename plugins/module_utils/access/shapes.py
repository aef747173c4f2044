# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pattern of a generated rule: written from a place in the catalogue, and read back for the proof. Pure functions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access import patterns

_GUARD = patterns.guard("https://h")
_ANCHORED = "$)"


@dataclasses.dataclass(frozen=True)
class Shape:
    """The URLs of a host below a prefix, without those below ``below`` and without what the patterns ``minus`` match."""

    host: str
    prefix: str
    below: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()


def look(pattern: str) -> str:
    """Returns the look-ahead that keeps what a pattern matches out of another, at the start of the URL."""
    return f"(?!{patterns.compiled(pattern)}{_ANCHORED}"


def write(shape: Shape) -> str:
    """Returns the pattern: literal text outside ``<>``, regular expressions inside."""
    carved = f"(?!(?:{'|'.join(map(re.escape, shape.below))})(?:/|$))" if shape.below else ""
    minus = "".join(map(look, shape.minus))
    # [^<>]-free text only: these two delimit. [\s\S] and not the dot, which stops at a line's end, as $ does.
    return f"<{minus}https?>://{shape.host}<(?::[0-9]+)?>{shape.prefix}<{_GUARD}{carved}(?:/.*)?>"


_TEXT = re.compile(
    r"<(?P<minus>[^<>]*)https\?>://(?P<host>[a-z0-9.-]+)<\(\?::\[0-9\]\+\)\?>(?P<prefix>[^<>]*)<" + re.escape(_GUARD)
    + r"(?:\(\?!\(\?:(?P<below>[^<>()]+)\)\(\?:/\|\$\)\))?\(\?:/\.\*\)\?>\Z"
)


def read(url: str, looks: t.Mapping[str, str]) -> Shape | None:
    """Returns the shape of a pattern, None when it is not a generated one.

    Args:
        url: the pattern.
        looks: the patterns of other rules by their look-aheads.
    """
    found = _TEXT.match(url)
    if not found:
        return None
    rest, minus = found["minus"], []
    while rest:
        # The longest, when one is the beginning of another.
        known = max((text for text in looks if rest.startswith(text)), key=len, default=None)
        if known is None:
            return None
        minus.append(looks[known])
        rest = rest[len(known):]
    below = re.sub(r"\\(.)", r"\1", found["below"]).split("|") if found["below"] else []
    return Shape(found["host"], found["prefix"], tuple(below), tuple(minus))
