# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of Oathkeeper's regexp strategy: text, with regular expressions inside ``<>``. Pure functions.

Oathkeeper compiles them with a .NET-like engine. What is read here is the part of that language which means the same to it and
to the automata of the proof: no references, no look-behind, no classes that depend on Unicode.
"""

from __future__ import annotations

import dataclasses
import re
import string
import typing as t

# What a gateway or a service may read in another way than Oathkeeper: dot segments (with parameters too: /..;x is /.. to
# Java's servers), empty segments, control characters, and percent-encoded unreserved characters, control characters, slashes
# and backslashes. No rule matches them. The path that Oathkeeper judges is raw where the gateway sends X-Forwarded-Uri, and
# decoded once where it appends it to /decisions.
TRICK_INSIDE = (
    r"/\.{1,2}[/;]|//|[\\\x00-\x1f\x7f]"
    r"|%(?:[01][0-9a-fA-F]|2[dDeEfF]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[cCfF]|7[eEfF])"
)
TRICK_AT_END = r"/\.{1,2}"
TRICKS = f"(?:{TRICK_INSIDE}|{TRICK_AT_END}$)"
# One character that stands for all that no pattern names: those outside ASCII.
OTHER = "\u00e9"
# Characters of URLs without tricks, in the order in which examples are looked for.
CHARACTERS = "/" + string.ascii_lowercase + string.digits + string.ascii_uppercase + "".join(
    sorted(set(map(chr, range(0x20, 0x7F))) - set("/\\") - set(string.ascii_letters + string.digits))) + OTHER

_SPECIAL = set(r"\.+*?()|[]{}^$")
_DIGITS = frozenset(string.digits)
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_PUNCTUATION = frozenset(string.punctuation + " ")
_REPEAT = re.compile(r"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??")
_MOST = 64


class PatternError(ValueError):
    """A pattern is wrong or cannot be proved; the message says what and the cure."""


def split(pattern: str) -> list[tuple[str, str | None]]:
    """Returns the pattern's parts: plain text and what stands between ``<`` and ``>`` behind it, None after the last.

    Raises:
        PatternError: when ``<`` and ``>`` do not come in pairs.
    """
    found: list[tuple[str, str | None]] = []
    rest = pattern
    while True:
        text, opened, rest = rest.partition("<")
        if ">" in text:
            raise PatternError("a > stands without its <")
        if not opened:
            return [*found, (text, None)]
        inner, closed, rest = rest.partition(">")
        if not closed or "<" in inner:
            raise PatternError("< and > enclose a pattern, which holds neither; look-behind and named groups are not to be had")
        found.append((text, inner))


def quote(text: str) -> str:
    """Returns the regular expression of plain text, the same for Oathkeeper's engine and for Python's."""
    return "".join("\\" + char if char in _SPECIAL else char for char in text)


# A tree is a list of alternatives, each a list of items: a text for the automata library, a Look or END.
END = "end"


@dataclasses.dataclass(frozen=True)
class Look:
    """A look-ahead: what follows must (or, negated, must not) begin so."""

    negated: bool
    inner: Tree


@dataclasses.dataclass(frozen=True)
class Tree:
    """A regular expression: alternatives of sequences of plain expressions (str), ends (END), look-aheads and trees."""

    alternatives: tuple[tuple[t.Any, ...], ...]

    @property
    def plain(self) -> str | None:
        """The expression as one text, when it has no look-ahead and no end in it."""
        found = []
        for items in self.alternatives:
            if not all(isinstance(item, tuple) for item in items):
                return None
            found.append("".join(item[0] for item in items))
        return "|".join(found)


class _Reader:
    """Reads one regular expression; strict for those that users write, with all of TRICKS' characters otherwise."""

    def __init__(self, text: str, strict: bool) -> None:
        self.text, self.strict, self.at = text, strict, 0
        self.written = ""  # the same expression with what depends on Unicode spelled out

    def fail(self, told: str) -> t.NoReturn:
        raise PatternError(f"{told} (in {self.text!r}, character {self.at + 1})")

    def peek(self) -> str:
        return self.text[self.at:self.at + 1]

    def take(self, count: int = 1) -> str:
        taken = self.text[self.at:self.at + count]
        self.at += count
        return taken

    def tree(self, depth: int = 0) -> Tree:
        alternatives: list[tuple[t.Any, ...]] = []
        items: list[t.Any] = []
        while self.peek():
            char = self.peek()
            if char == ")":
                if not depth:
                    self.fail("a ) stands without its (")
                break
            if char == "|":
                self.written += self.take()
                alternatives.append(tuple(items))
                items = []
            elif char == "$":
                self.written += self.take()
                items.append(END)
                self._no_repeat("$")
            else:
                items.append(self._item(char, depth))
        return Tree((*alternatives, tuple(items)))

    def _item(self, char: str, depth: int) -> t.Any:
        if char == "(":
            return self._group(depth)
        if char == "[":
            return (self._class() + self._repeat(),)
        if char == ".":
            self.written += self.take()
            return ("." + self._repeat(),)
        if char == "\\":
            chars, written = self._escape()
            self.written += written
            return (_class_text(chars, False) + self._repeat(),)
        if char in "*+?{":
            self.fail(f"{char} repeats nothing; write \\{char} for the character")
        if char in "^]}":
            self.fail("the pattern is anchored as a whole; take ^ out" if char == "^" else f"write \\{char} for the character {char}")
        self._literal(char)
        self.written += self.take()
        return (_class_text(frozenset(char), False) + self._repeat(),)

    def _literal(self, char: str) -> None:
        if self.strict and char == "%":
            self.fail("% is decoded before Oathkeeper sees it; match it by . or [^/]")
        if self.strict and not " " <= char <= "~":
            self.fail("only printable ASCII characters can be named; match others by . or [^/]")

    def _group(self, depth: int) -> t.Any:
        opening = next((mark for mark in ("(?:", "(?!", "(?=") if self.text.startswith(mark, self.at)), "(")
        if opening == "(" and self.text.startswith("(?", self.at):
            self.fail("of the groups that begin with (?, only (?:, (?= and (?! can be proved")
        self.written += self.take(len(opening))
        inner = self.tree(depth + 1)
        if self.take() != ")":
            self.fail("a ( is not closed")
        self.written += ")"
        if opening in ("(?!", "(?="):
            self._no_repeat("a look-ahead")
            return Look(opening == "(?!", inner)
        plain = inner.plain
        if plain is None:
            if self.peek() == "?" and self.text[self.at + 1:self.at + 2] not in ("?", "*", "+", "{"):
                self.written += self.take()
                return Tree((*inner.alternatives, ()))
            self._no_repeat("a group with $ or a look-ahead inside")
            return inner
        return (f"(?:{plain})" + self._repeat(),)

    def _no_repeat(self, what: str) -> None:
        if _REPEAT.match(self.text, self.at):
            self.fail(f"{what} cannot be repeated; take {self.peek()} out")

    def _repeat(self) -> str:
        found = _REPEAT.match(self.text, self.at)
        if not found:
            return ""
        text = self.take(len(found[0]))
        self.written += text
        if _REPEAT.match(self.text, self.at):
            self.fail("one repetition follows another; put the first into (?: )")
        bounds = [int(number) for number in re.findall("[0-9]+", text)]
        if any(number > _MOST for number in bounds) or bounds != sorted(bounds):
            self.fail(f"{text} must count upwards, to {_MOST} at most")
        return text.removesuffix("?") if len(text) > 1 else text

    def _escape(self) -> tuple[frozenset[str], str]:
        """Returns the characters that an escape stands for, and how to write it inside or outside a class."""
        self.take()
        char = self.take()
        if char in _PUNCTUATION and char:
            if self.strict and char in "\\%":
                self.fail("no URL that is let through has a backslash; match % by . or [^/]")
            return frozenset(char), "\\" + char if char in string.punctuation else char
        if char in ("d", "w"):
            return (_DIGITS, "[0-9]") if char == "d" else (_WORD, "[A-Za-z0-9_]")
        if char == "x" and not self.strict:
            digits = self.take(2)
            return frozenset(chr(int(digits, 16))), "\\x" + digits
        return self.fail(f"\\{char} means different things to different engines; use [a-z], [0-9], . or (?! )")

    def _class(self) -> str:
        if self.text.startswith(r"[\s\S]", self.at) and not self.strict:
            self.written += self.take(6)
            return "."
        self.take()
        negated = self.peek() == "^"
        self.written += "[" + (self.take() if negated else "")
        chars: set[str] = set()
        first = True
        while first or self.peek() != "]":
            first = False
            low, written = self._member()
            if self.peek() == "-" and self.text[self.at + 1:self.at + 2] not in ("]", ""):
                self.take()
                high, more = self._member()
                ends = [*low, *high]
                if len(low) != 1 or len(high) != 1 or ends[0] > ends[1]:
                    self.fail("a range goes from one character up to another")
                self.written += f"{written}-{more}"
                chars |= set(map(chr, range(ord(ends[0]), ord(ends[1]) + 1)))
            else:
                self.written += written
                chars |= low
        self.written += self.take()
        return _class_text(frozenset(chars), negated)

    def _member(self) -> tuple[frozenset[str], str]:
        char = self.peek()
        if not char:
            self.fail("a [ is not closed")
        if char == "\\":
            chars, written = self._escape()
            return chars, written.strip("[]") if len(chars) > 1 else written
        if char in "[]":
            self.fail(f"write \\{char} for {char} inside [ ]")
        self._literal(char)
        self.take()
        return frozenset(char), "\\" + char if char in "-^" else char


def _class_text(chars: frozenset[str], negated: bool) -> str:
    """Returns a class for the automata library."""
    if len(chars) == 1 and not negated:
        return "".join("\\" + char if char in _SPECIAL else char for char in chars)
    return f"[{'^' if negated else ''}{''.join(chr(92) + c if c in '^-[]' + chr(92) else c for c in sorted(chars))}]"


def read(text: str, strict: bool = True) -> tuple[Tree, str]:
    """Returns a regular expression's tree, and the expression with what depends on Unicode spelled out.

    Raises:
        PatternError: what Oathkeeper would not take, or the proof cannot follow.
    """
    reader = _Reader(text, strict)
    tree = reader.tree()
    return tree, reader.written


def compiled(pattern: str) -> str:
    """Returns the regular expression that Oathkeeper makes of a pattern, without its anchors."""
    return "".join(quote(text) + (f"({inner})" if inner is not None else "") for text, inner in split(pattern))


def tree(pattern: str, strict: bool = True) -> Tree:
    """Returns the tree of a whole pattern."""
    items: list[t.Any] = []
    for text, inner in split(pattern):
        items += [(quote(text),)] if text else []
        items += [read(inner, strict)[0]] if inner is not None else []
    return Tree((tuple(items),))


def guard(literal: str) -> str:
    """Returns the look-ahead that refuses tricks, for a place behind the literal beginning of a URL (empty: the start)."""
    if not literal:
        return rf"(?!https?://[\s\S]*{TRICKS})"
    across = next((more for end, more in (("/..", "(?:[/;]|$)|"), ("/.", r"\.?(?:[/;]|$)|"), ("/", r"/|\.{1,2}(?:[/;]|$)|"))
                   if literal.endswith(end)), "")
    return rf"(?!{across}[\s\S]*{TRICKS})"


def guarded(pattern: str) -> str:
    """Returns a user's pattern as Oathkeeper gets it: tricks are refused, and no class depends on Unicode.

    Its groups keep their numbers.

    Raises:
        PatternError: what is wrong and the cure.
    """
    parts = split(pattern)
    first = parts[0][0]
    if not (re.match("https?://", first) or (not first and parts[0][1] is not None)):
        raise PatternError("a URL begins with <https?>://, https:// or http://")
    for text, _inner in parts:
        odd = next((char for char in text if not "!" <= char <= "~" or char in "%\\?#"), None)
        if odd is not None:
            raise PatternError(f"{odd!r} does not stand in a path as Oathkeeper sees it; match it by <.> or <[^/]*>, without the query")
    behind = first.partition("://")[2] + ("" if parts[0][1] is None else "x")
    if first and re.search(TRICKS, behind):
        raise PatternError("paths with //, /./ or /../ are refused; write the path that is meant")
    made = []
    for number, (text, inner) in enumerate(parts):
        if inner is None:
            made.append(text)
            continue
        written = read(inner)[1]
        if number == 0:
            written = guard(first) + (f"(?:{written})" if "|" in written else written)
        made.append(f"{text}<{written}>")
    return "".join(made)


def unguarded(pattern: str) -> str | None:
    """Returns a user's pattern without the look-ahead that guarded() gave it, None when it has none."""
    parts = split(pattern)
    first, inner = parts[0]
    if inner is None:
        return pattern if re.match("https?://", first) and not re.search(TRICKS, first.partition("://")[2]) else None
    look = guard(first)
    return f"{first}<{inner[len(look):]}>{pattern[len(first) + len(inner) + 2:]}" if inner.startswith(look) else None
