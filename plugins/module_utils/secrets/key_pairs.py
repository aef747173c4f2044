# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private keys (RSA, ECDSA, Ed25519) in PEM, and the public key that belongs to one.

``cryptography`` is imported when a key is made or read, not before: most calls need none.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

try:  # only to learn whether the library is there: importing its root costs next to nothing
    import cryptography

    HAS_CRYPTOGRAPHY = bool(cryptography.__version__)
except ImportError:
    HAS_CRYPTOGRAPHY = False

_CURVES = {"P-256": "SECP256R1", "P-384": "SECP384R1", "P-521": "SECP521R1"}
_FORMATS = {"pkcs8": "PKCS8", "traditional": "TraditionalOpenSSL", "openssh": "OpenSSH"}


@dataclass(frozen=True)
class PrivateKey:
    """A new private key in PEM, without a passphrase.

    Args:
        kind: ``rsa``, ``ecdsa`` or ``ed25519``.
        bits: length of an RSA key.
        curve: curve of an ECDSA key.
        encoding: ``pkcs8``, ``traditional`` (PKCS#1 or SEC1) or ``openssh``.
    """

    kind: str
    bits: int = 3072
    curve: str = "P-256"
    encoding: str = "pkcs8"

    def generate(self, previous: bytes | None = None) -> bytes:
        """Returns a new key."""
        from cryptography.hazmat.primitives import serialization

        return self.new_key().private_bytes(
            serialization.Encoding.PEM,
            getattr(serialization.PrivateFormat, _FORMATS[self.encoding]),
            serialization.NoEncryption(),
        )

    def new_key(self) -> t.Any:
        """Returns a new key as an object of ``cryptography``."""
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        if self.kind == "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=self.bits)
        if self.kind == "ecdsa":
            return ec.generate_private_key(getattr(ec, _CURVES[self.curve])())
        return ed25519.Ed25519PrivateKey.generate()


def load_private_key(pem: bytes) -> t.Any:
    """Returns the private key in a PEM or OpenSSH text.

    Raises:
        ValueError: when there is none, or it has a passphrase.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        if b"OPENSSH PRIVATE KEY" in pem:
            return serialization.load_ssh_private_key(pem, password=None)
        # The full check of an RSA key takes 50 ms and more; a Secret's own key needs none on each run.
        return serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is not a private key in PEM without a passphrase") from None


@dataclass(frozen=True)
class PublicKey:
    """The public key that belongs to a private key in PEM."""

    source: Ref
    encoding: str = "pem"
    label: str = "derived"
    rotatable: bool = False
    sources: t.Mapping[str, Ref] = field(default_factory=dict)

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns the public key: PEM (SubjectPublicKeyInfo) or the one line of OpenSSH."""
        from cryptography.hazmat.primitives import serialization

        public = load_private_key(values["private_key"]).public_key()
        if self.encoding == "openssh":
            return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _needs_cryptography(reader: Reader) -> None:
    if not HAS_CRYPTOGRAPHY:
        reader.problem("needs the Python package cryptography on the controller")


def read_rsa(reader: Reader) -> PrivateKey:
    """Reads bits, encoding."""
    _needs_cryptography(reader)
    bits = reader.choice("bits", 3072, (2048, 3072, 4096))
    return PrivateKey("rsa", bits=bits, encoding=reader.choice("encoding", "pkcs8", tuple(_FORMATS)))


def read_ecdsa(reader: Reader) -> PrivateKey:
    """Reads curve, encoding."""
    _needs_cryptography(reader)
    curve = reader.choice("curve", "P-256", tuple(_CURVES))
    return PrivateKey("ecdsa", curve=curve, encoding=reader.choice("encoding", "pkcs8", tuple(_FORMATS)))


def read_ed25519(reader: Reader) -> PrivateKey:
    """Reads encoding."""
    _needs_cryptography(reader)
    return PrivateKey("ed25519", encoding=reader.choice("encoding", "pkcs8", ("pkcs8", "openssh")))


def read_public_of(reader: Reader) -> PublicKey | None:
    """Reads public_of (a reference to the private key) and encoding."""
    _needs_cryptography(reader)
    source = reader.key_ref("public_of", required=True)
    encoding = reader.choice("encoding", "pem", ("pem", "openssh"))
    return PublicKey(source, encoding, sources={"private_key": source}) if source else None


READERS: dict[str, t.Callable[[Reader], t.Any]] = {"rsa": read_rsa, "ecdsa": read_ecdsa, "ed25519": read_ed25519}
