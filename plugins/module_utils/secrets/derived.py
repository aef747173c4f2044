# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values put together from others: texts such as a DSN, htpasswd files, registry logins, copies."""

from __future__ import annotations

import base64
import json
import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

try:
    import bcrypt

    HAS_BCRYPT = True
except ImportError:
    HAS_BCRYPT = False

# {name} or {name:quoting}; {{ and }} stand for single braces.
_PART = re.compile(r"\{\{|\}\}|\{([-._a-zA-Z0-9]+)(?::([a-z0-9]+))?\}|[{}]")
_BCRYPT_LIMIT = 72  # bytes; bcrypt ignores what follows, so a longer password would not be checked in full


def _json_text(value: bytes) -> str:
    return json.dumps(value.decode())[1:-1]


# Nothing but letters, digits and -_.~ stays as it is in a URL: right in user, password, path and query alike.
QUOTINGS: dict[str, t.Callable[[bytes], str]] = {
    "url": lambda value: quote(value, safe=""),
    "raw": lambda value: value.decode(),
    "json": _json_text,
    "base64": lambda value: base64.b64encode(value).decode(),
}


@dataclass(frozen=True)
class Copy:
    """The same value as another key."""

    sources: t.Mapping[str, Ref]
    label: str = "copied"
    rotatable: bool = False

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns the source's value."""
        return values["source"]


@dataclass(frozen=True)
class Format:
    """A text with the values of other keys in it.

    Args:
        parts: literal texts (str) and places (name, quoting) in their order.
    """

    parts: tuple[str | tuple[str, str], ...] = field(repr=False)
    sources: t.Mapping[str, Ref]
    label: str = "derived"
    rotatable: bool = False

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns the text."""
        try:
            return "".join(
                part if isinstance(part, str) else QUOTINGS[part[1]](values[part[0]]) for part in self.parts
            ).encode()
        except UnicodeDecodeError:
            raise ValueError("a part is not text: use {name:base64} or {name:url} for it") from None


@dataclass(frozen=True)
class Login:
    """One user: each of name and password is a literal (bytes) or the name of a source."""

    username: bytes | str = field(repr=False)
    password: bytes | str = field(repr=False)
    registry: str = ""
    email: str = ""

    def resolve(self, values: t.Mapping[str, bytes]) -> tuple[str, bytes]:
        """Returns name and password."""
        username = values[self.username] if isinstance(self.username, str) else self.username
        password = values[self.password] if isinstance(self.password, str) else self.password
        return username.decode(errors="replace"), password


@dataclass(frozen=True)
class Htpasswd:
    """A password file of Apache and nginx with bcrypt hashes.

    A stored hash is checked against the password, never compared with a new one: each hash has a salt of its own.
    """

    logins: tuple[Login, ...]
    cost: int
    sources: t.Mapping[str, Ref]
    label: str = "derived"
    rotatable: bool = False

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns the file; lines whose hash still fits stay as they are."""
        stored = dict(
            line.split(":", 1) for line in (existing or b"").decode(errors="replace").splitlines() if ":" in line
        )
        lines = []
        for login in self.logins:
            username, password = login.resolve(values)
            if not username or any(c in username for c in ":\r\n"):
                raise ValueError("a user name for htpasswd must not be empty or hold a colon or a line break")
            if len(password) > _BCRYPT_LIMIT or b"\0" in password:
                raise ValueError(f"a password for htpasswd must have {_BCRYPT_LIMIT} bytes at most and no zero byte")
            hashed = stored.get(username, "")
            if not _matches(password, hashed):
                # $2y$ and $2b$ are the same algorithm; Apache and nginx know the first name only.
                hashed = bcrypt.hashpw(password, bcrypt.gensalt(self.cost)).decode().replace("$2b$", "$2y$", 1)
            lines.append(f"{username}:{hashed}\n")
        return "".join(lines).encode()


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password, hashed.encode())
    except ValueError:
        return False  # not a bcrypt hash


@dataclass(frozen=True)
class DockerConfig:
    """Logins to container registries in the form of ``.dockerconfigjson``."""

    logins: tuple[Login, ...]
    sources: t.Mapping[str, Ref]
    label: str = "derived"
    rotatable: bool = False

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns the JSON; ``existing`` itself while it says the same in another order or spacing."""
        auths: dict[str, dict[str, str]] = {}
        for login in self.logins:
            username, password = login.resolve(values)
            text = password.decode(errors="replace")
            auths[login.registry] = {
                "username": username,
                "password": text,
                "auth": base64.b64encode(f"{username}:{text}".encode()).decode(),
                **({"email": login.email} if login.email else {}),
            }
        wanted = {"auths": auths}
        try:
            if existing and json.loads(existing) == wanted:
                return existing
        except ValueError:
            pass  # not JSON: replaced
        return json.dumps(wanted, sort_keys=True, separators=(",", ":")).encode()


def parse_format(text: str) -> tuple[list[str | tuple[str, str | None]], list[str]]:
    """Splits a text into literals and places.

    Returns:
        The parts, each a str or (name, quoting or None), and what is wrong with the text.
    """
    parts: list[str | tuple[str, str | None]] = []
    problems: list[str] = []
    position = 0
    for match in _PART.finditer(text):
        parts.append(text[position : match.start()])
        position = match.end()
        if match[1]:
            parts.append((match[1], match[2]))
        elif match[0] in ("{{", "}}"):
            parts.append(match[0][0])
        else:
            problems.append(
                f"format has a single brace at position {match.start() + 1}: write {{{{ or }}}} for a brace"
            )
    parts.append(text[position:])
    return [part for part in parts if part], problems


def read_copy(reader: Reader) -> Copy | None:
    """Reads copy (a reference)."""
    source = reader.key_ref("copy", required=True)
    return Copy({"source": source}) if source else None


def read_format(reader: Reader) -> Format | None:
    """Reads format, quote, from."""
    text = reader.text("format", required=True)
    default = reader.choice("quote", "url", tuple(QUOTINGS))
    outer = Reader(f"{reader.where}: from", reader.mapping("from"), reader.problems, reader.home)
    found, problems = parse_format(text)
    for problem in problems:
        reader.problem(problem)
    sources: dict[str, Ref] = {}
    parts: list[str | tuple[str, str]] = []
    for part in found:
        if isinstance(part, str):
            parts.append(part)
            continue
        name, quoting = part
        if quoting is not None and quoting not in QUOTINGS:
            reader.problem(f"format: the quoting of {{{name}}} must be one of {', '.join(QUOTINGS)}")
        parts.append((name, quoting or default))
        if outer.has(name):
            source = outer.key_ref(name)
        else:
            source = Ref(*reader.home, name) if reader.home else None
        if source:
            sources[name] = source
    outer.finish()
    return Format(tuple(parts), sources)


def _login(reader: Reader, sources: dict[str, Ref], index: int, registry: bool) -> Login:
    """Reads username or username_from, password or password_from."""
    found: dict[str, bytes | str] = {}
    for name in ("username", "password"):
        literal, ref = reader.text(name), reader.key_ref(f"{name}_from")
        if bool(literal) == reader.has(f"{name}_from"):
            reader.problem(f"give either {name} or {name}_from")
        if ref:
            sources[f"{name} {index}"] = ref
        found[name] = f"{name} {index}" if ref else literal.encode()
    host = reader.text("registry", required=True) if registry else ""
    email = reader.text("email") if registry else ""
    reader.finish()
    return Login(found["username"], found["password"], host, email)


def _logins(reader: Reader, option: str) -> tuple[tuple[Login, ...], dict[str, Ref]]:
    raw = reader.take(option)
    entries = raw if isinstance(raw, list) else [raw]
    if not entries:
        reader.problem(f"{option} must not be empty")
    sources: dict[str, Ref] = {}
    logins = tuple(
        _login(
            Reader(f"{reader.where}: {option}[{index}]", entry, reader.problems, reader.home),
            sources,
            index,
            option == "dockerconfigjson",
        )
        for index, entry in enumerate(entries)
    )
    return logins, sources


def read_htpasswd(reader: Reader) -> Htpasswd:
    """Reads htpasswd (a login or a list of them), cost."""
    if not HAS_BCRYPT:
        reader.problem("htpasswd needs the Python package bcrypt on the controller")
    logins, sources = _logins(reader, "htpasswd")
    return Htpasswd(logins, reader.integer("cost", 10, 4, 16), sources)


def read_dockerconfigjson(reader: Reader) -> DockerConfig:
    """Reads dockerconfigjson (a login or a list of them)."""
    logins, sources = _logins(reader, "dockerconfigjson")
    return DockerConfig(logins, sources)
