# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seals the Secrets under a passphrase, and opens them again. Pure functions.

The key comes from the passphrase by scrypt, the seal is AES-256-GCM: whoever changes a byte, or has another passphrase, opens nothing.
"""

from __future__ import annotations

import base64
import json
import os
import typing as t
import zlib

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    IMPORT_ERROR: str | None = None
except ImportError as error:  # pragma: no cover
    IMPORT_ERROR = str(error)

FORMAT = "openmlops-sealed-1"
SHORTEST = 12  # characters of a passphrase
# What a guess of the passphrase costs: 128 MiB and a third of a second (RFC 7914 names N, r and p).
_COST = {"n": 1 << 17, "r": 8, "p": 1}
_DEAREST = 1 << 20  # a header that asks for more is no header of ours


class SealError(Exception):
    """The passphrase, or what was to be opened, is not right; the text holds neither."""


def seal(content: t.Any, passphrase: str) -> bytes:
    """Returns JSON data sealed: a line that says how, and the sealed bytes."""
    salt, nonce = os.urandom(16), os.urandom(12)
    head = json.dumps({"format": FORMAT, "kdf": "scrypt", **_COST, "salt": _text(salt), "nonce": _text(nonce)}).encode()
    plain = zlib.compress(json.dumps(content, sort_keys=True).encode(), 9)
    return head + b"\n" + AESGCM(_key(passphrase, salt, _COST)).encrypt(nonce, plain, head)


def unseal(sealed: bytes, passphrase: str) -> t.Any:
    """Returns the data that was sealed.

    Raises:
        SealError: with another passphrase, or when a byte was changed.
    """
    head, newline, body = sealed.partition(b"\n")
    try:
        found = json.loads(head)
        cost = {name: int(found[name]) for name in _COST}
        salt, nonce = base64.b64decode(found["salt"]), base64.b64decode(found["nonce"])
        if not newline or found["format"] != FORMAT or cost["n"] > _DEAREST or cost["r"] > 32 or cost["p"] > 16:
            raise ValueError("another format")
    except (ValueError, KeyError, TypeError):
        raise SealError("the sealed Secrets are not in the form that this collection writes") from None
    try:
        plain = AESGCM(_key(passphrase, salt, cost)).decrypt(nonce, body, head)
    except InvalidTag:
        raise SealError("the Secrets of the backup do not open: backup_passphrase is another one than when they were sealed, "
                        "or the file was changed") from None
    return json.loads(zlib.decompress(plain))


def _key(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=32, **cost).derive(passphrase.encode())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
