# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oathkeeper's glob patterns as patterns of its regexp strategy. Pure functions.

The grammar is that of gobwas/glob with the separators ``.`` and ``/``, which Oathkeeper compiles glob patterns with.
"""

from __future__ import annotations

import re
import typing as t

_NOT_SEPARATOR = "[^./]"


class GlobError(ValueError):
    """A glob pattern is wrong; the message says what and the cure."""


def _quote(text: str) -> str:
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _member(char: str) -> str:
    return "\\" + char if char in "[]^-\\" else char


def _set(text: str, negated: bool) -> str:
    return f"[{'^' if negated else ''}{''.join(map(_member, text))}]"


class _Reader:
    """Reads one glob, the text between ``<`` and ``>``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def alternatives(self, depth: int) -> str:
        """Returns the regular expression of the pattern up to its end or, inside braces, to the closing one."""
        found, current = [], ""
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if depth and char == "}":
                return "(?:" + "|".join([*found, current]) + ")"
            if depth and char == ",":
                found.append(current)
                current = ""
            else:
                current += self._one(char, depth)
        if depth:
            raise GlobError(f"glob {self.text!r}: a {{ is not closed; write {{a,b}}, all of it between one < and >")
        return current

    def _one(self, char: str, depth: int) -> str:
        if char == "{":
            return self.alternatives(depth + 1)
        if char == "*":
            if self.text.startswith("*", self.at):
                self.at += 1
                return ".*"
            return _NOT_SEPARATOR + "*"
        if char == "?":
            return _NOT_SEPARATOR
        if char == "[":
            return self._range()
        if char == "\\":
            if self.at == len(self.text):
                raise GlobError(f"glob {self.text!r}: ends with a backslash; take it out")
            self.at += 1
            return _quote(self.text[self.at - 1])
        return _quote(char)

    def _range(self) -> str:
        """One range of characters, or a list of them that takes everything but ``]`` as it is."""
        negated = self.text.startswith("!", self.at)
        self.at += negated
        rest = self.text[self.at:]
        if len(rest) >= 4 and rest[1] == "-" and rest[3] == "]":
            if rest[2] < rest[0]:
                raise GlobError(f"glob {self.text!r}: [{rest[:3]}] runs backwards; turn it round")
            self.at += 4
            return f"[{'^' if negated else ''}{_member(rest[0])}-{_member(rest[2])}]"
        if rest[1:2] == "-":
            raise GlobError(f"glob {self.text!r}: [ ] holds one range or a list of characters; write {{[a-z],[0-9]}} for several")
        chars = ""
        while self.at < len(self.text) and self.text[self.at] != "]":
            if self.text[self.at] == "\\":
                self.at += 1
            chars += self.text[self.at:self.at + 1]
            self.at += 1
        if not chars or self.at >= len(self.text):
            raise GlobError(f"glob {self.text!r}: a [ is not closed or empty; write [abc], [!abc], [a-z] or \\[")
        self.at += 1
        return _set(chars, negated)


def to_regexp(glob: str, parts: t.Callable[[str], list[tuple[str, str | None]]]) -> str:
    """Returns the pattern of the regexp strategy that matches just what the glob pattern matches.

    ``**`` is any text, ``*`` any without ``.`` and ``/``, ``?`` one such character, ``[abc]``, ``[!abc]`` and ``[a-z]`` one of
    these whatever they are, ``{a,b}`` one of these patterns, and a backslash takes away a character's meaning.

    Args:
        glob: with globs inside ``<>`` and plain text outside.
        parts: patterns.split, which divides it.

    Raises:
        GlobError: with what is wrong and the cure.
    """
    return "".join(text + (f"<{_Reader(inner).alternatives(0)}>" if inner is not None else "") for text, inner in parts(glob))
