# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generators of random text: password, hex, base64, uuid, fernet. Randomness comes from the operating system only."""

from __future__ import annotations

import base64
import secrets
import string
import typing as t
import uuid
from dataclasses import dataclass

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

AMBIGUOUS = frozenset("0O1Il|5S2Z8B`'\"")
# Without quotes, backslash, dollar, space and the delimiters of URLs: safe inside double quotes, INI files and DSNs.
SYMBOLS = "-_.~!*+=^%"
CLASSES: dict[str, str] = {"lower": string.ascii_lowercase, "upper": string.ascii_uppercase, "digits": string.digits}
_MOST_TRIES = 10_000


@dataclass(frozen=True)
class Password:
    """A text of ``length`` characters, at least one from each of ``classes``."""

    length: int = 32
    classes: tuple[str, ...] = (CLASSES["lower"], CLASSES["upper"], CLASSES["digits"])

    def generate(self, previous: bytes | None = None) -> bytes:
        """Returns a text drawn evenly from all texts that hold a character of each class."""
        alphabet = "".join(sorted(set("".join(self.classes))))
        for _try in range(_MOST_TRIES):
            # Drawing again as a whole keeps the choice even; forcing single characters would not.
            text = "".join(secrets.choice(alphabet) for _position in range(self.length))
            if all(any(character in group for character in text) for group in self.classes):
                return text.encode()
        raise ValueError("no password with these classes was found; ask for a greater length")


@dataclass(frozen=True)
class Hex:
    """``size`` random bytes as lower-case hexadecimal digits (two for each byte)."""

    size: int = 32

    def generate(self, previous: bytes | None = None) -> bytes:
        """Returns a new value."""
        return secrets.token_hex(self.size).encode()


@dataclass(frozen=True)
class Base64:
    """``size`` random bytes in base64."""

    size: int = 32
    urlsafe: bool = False
    padding: bool = True

    def generate(self, previous: bytes | None = None) -> bytes:
        """Returns a new value."""
        raw = secrets.token_bytes(self.size)
        text = base64.urlsafe_b64encode(raw) if self.urlsafe else base64.b64encode(raw)
        return text if self.padding else text.rstrip(b"=")


@dataclass(frozen=True)
class Uuid:
    """A random UUID (version 4)."""

    def generate(self, previous: bytes | None = None) -> bytes:
        """Returns a new value."""
        return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)).encode()


@dataclass(frozen=True)
class Fernet:
    """A key for ``cryptography.fernet``: 32 random bytes in URL-safe base64."""

    def generate(self, previous: bytes | None = None) -> bytes:
        """Returns a new value."""
        return base64.urlsafe_b64encode(secrets.token_bytes(32))


def read_password(reader: Reader) -> Password:
    """Reads length, classes, symbols, characters, exclude_ambiguous."""
    length = reader.integer("length", 32, 8, 4096)
    wanted = reader.texts("classes") or ["lower", "upper", "digits"]
    symbols = reader.text("symbols", SYMBOLS)
    characters = reader.text("characters")
    exclude = AMBIGUOUS if reader.flag("exclude_ambiguous", False) else frozenset()
    unknown = sorted(set(wanted) - {*CLASSES, "symbols"})
    if unknown:
        reader.problem("classes may hold lower, upper, digits, symbols")
    if characters and (reader.has("classes") or reader.has("symbols")):
        reader.problem("characters stands alone: leave out classes and symbols")
    if any(ord(character) < 32 for character in characters + symbols):
        reader.problem("characters and symbols must not hold control characters")
    if characters:
        groups = [characters]
    else:
        groups = [
            symbols if name == "symbols" else CLASSES[name] for name in dict.fromkeys(wanted) if name not in unknown
        ]
    cleaned = tuple("".join(c for c in dict.fromkeys(group) if c not in exclude) for group in groups)
    if any(not group for group in cleaned) or len(set("".join(cleaned))) < 10:
        reader.problem("there must be 10 different characters to choose from, and one in each class")
        return Password()
    return Password(length, cleaned)


def read_hex(reader: Reader) -> Hex:
    """Reads bytes."""
    return Hex(reader.integer("bytes", 32, 8, 4096))


def read_base64(reader: Reader) -> Base64:
    """Reads bytes, urlsafe, padding."""
    return Base64(reader.integer("bytes", 32, 8, 4096), reader.flag("urlsafe", False), reader.flag("padding", True))


def read_uuid(reader: Reader) -> Uuid:
    """Reads nothing."""
    return Uuid()


def read_fernet(reader: Reader) -> Fernet:
    """Reads nothing."""
    return Fernet()


READERS: dict[str, t.Callable[[Reader], t.Any]] = {
    "password": read_password,
    "hex": read_hex,
    "base64": read_base64,
    "uuid": read_uuid,
    "fernet": read_fernet,
}
