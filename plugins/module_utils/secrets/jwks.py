# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Web Key Sets (RFC 7517): private sets to sign with, and the public set that belongs to one."""

from __future__ import annotations

import base64
import hashlib
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.key_pairs import HAS_CRYPTOGRAPHY, PrivateKey
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

ALGORITHMS = ("RS256", "ES256", "EdDSA")
# RFC 7638: the members that make up the thumbprint of each kind of key; all of them are public.
_PUBLIC = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_DESCRIPTION = ("alg", "kid", "use")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value: int, size: int | None = None) -> str:
    return _text(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _members(algorithm: str, bits: int) -> dict[str, str]:
    """Returns the members of a new private key."""
    if algorithm == "RS256":
        numbers = PrivateKey("rsa", bits=bits).new_key().private_numbers()
        public = numbers.public_numbers
        return {
            "kty": "RSA",
            "n": _number(public.n),
            "e": _number(public.e),
            "d": _number(numbers.d),
            "p": _number(numbers.p),
            "q": _number(numbers.q),
            "dp": _number(numbers.dmp1),
            "dq": _number(numbers.dmq1),
            "qi": _number(numbers.iqmp),
        }
    if algorithm == "ES256":
        numbers = PrivateKey("ecdsa").new_key().private_numbers()
        public = numbers.public_numbers
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": _number(public.x, 32),
            "y": _number(public.y, 32),
            "d": _number(numbers.private_value, 32),
        }
    key = PrivateKey("ed25519").new_key()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _text(key.public_key().public_bytes_raw()),
        "d": _text(key.private_bytes_raw()),
    }


def thumbprint(key: t.Mapping[str, str]) -> str:
    """Returns the thumbprint of RFC 7638 of a key."""
    members = {name: key[name] for name in _PUBLIC[key["kty"]]}
    return _text(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def load(text: bytes) -> list[dict[str, t.Any]]:
    """Returns the keys of a set.

    Raises:
        ValueError: when the text is no JSON Web Key Set.
    """
    try:
        keys = json.loads(text)["keys"]
        if not all(key["kty"] in _PUBLIC and all(name in key for name in _PUBLIC[key["kty"]]) for key in keys):
            raise KeyError("kty")
    except (ValueError, KeyError, TypeError):
        raise ValueError("is not a JSON Web Key Set") from None
    return keys


def dump(keys: list[dict[str, t.Any]]) -> bytes:
    """Returns a set as JSON, always the same for the same keys."""
    return json.dumps({"keys": keys}, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Jwks:
    """A private set with one new key, before up to ``keep_previous`` keys of the set that it replaces.

    Args:
        kid: the new key's id; its thumbprint when empty.
        keep_previous: how many older keys stay after a rotation, so that what they signed stays valid.
    """

    algorithm: str = "RS256"
    bits: int = 3072
    kid: str = ""
    use: str = "sig"
    keep_previous: int = 0

    def generate(self, previous: bytes | None = None) -> bytes:
        """Returns a new set."""
        members = _members(self.algorithm, self.bits)
        key = {**members, "alg": self.algorithm, "use": self.use, "kid": self.kid or thumbprint(members)}
        older: list[dict[str, t.Any]] = []
        if previous and self.keep_previous:
            try:
                older = load(previous)[: self.keep_previous]
            except ValueError:
                pass  # what was there was no set: nothing can be kept of it
        return dump([key, *older])


@dataclass(frozen=True)
class PublicJwks:
    """The public set that belongs to a private one."""

    source: Ref
    label: str = "derived"
    rotatable: bool = False
    sources: t.Mapping[str, Ref] = field(default_factory=dict)

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns the set with the public members only."""
        return dump(
            [
                {name: key[name] for name in (*_PUBLIC[key["kty"]], *_DESCRIPTION) if name in key}
                for key in load(values["jwks"])
            ]
        )


def read_jwks(reader: Reader) -> Jwks:
    """Reads algorithm, bits, kid, use, keep_previous."""
    if not HAS_CRYPTOGRAPHY:
        reader.problem("needs the Python package cryptography on the controller")
    algorithm = reader.choice("algorithm", "RS256", ALGORITHMS)
    if reader.has("bits") and algorithm != "RS256":
        reader.problem("bits is for RS256 only")
    kid = reader.text("kid")
    keep_previous = reader.integer("keep_previous", 0, 0, 10)
    if kid and keep_previous:
        reader.problem("kid and keep_previous exclude each other: two keys of a set would have the same id")
    return Jwks(
        algorithm,
        reader.choice("bits", 3072, (2048, 3072, 4096)),
        kid,
        reader.choice("use", "sig", ("sig", "enc")),
        keep_previous,
    )


def read_public_jwks_of(reader: Reader) -> PublicJwks | None:
    """Reads public_jwks_of (a reference to the private set)."""
    source = reader.key_ref("public_jwks_of", required=True)
    return PublicJwks(source, sources={"jwks": source}) if source else None


READERS: dict[str, t.Callable[[Reader], t.Any]] = {"jwks": read_jwks}
