# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An opaque mark of a Secret's content: for annotations that make pods roll when a value changes.

It is an HMAC under a random key, which a Secret of its own in the same namespace keeps. A plain hash, or one under the
Secret's uid, would let everyone who sees a pod's annotations try out short passwords at leisure.
"""

from __future__ import annotations

import hashlib
import hmac
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import (
    Declaration,
    KeySpec,
    Ref,
    SecretRef,
)
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.random_text import Hex

KEY_SECRET = "openmlops-fingerprint-key"
KEY_NAME = "key"
NOT_KNOWN = "known-after-apply"


def key_declarations(declared: t.Sequence[Declaration]) -> list[Declaration]:
    """Returns the declarations of the keys, one for each namespace in which there is a Secret to mark."""
    present = [declaration for declaration in declared if not declaration.absent]
    taken = {declaration.ref for declaration in declared}
    found = []
    for namespace in dict.fromkeys(declaration.ref.namespace for declaration in present):
        ref = SecretRef(namespace, KEY_SECRET)
        if ref not in taken:
            spec = KeySpec(Ref(*ref, KEY_NAME), generator=Hex(32))
            found.append(Declaration(ref, data={KEY_NAME: spec}, internal=True))
    return found


def fingerprint(key: bytes, ref: SecretRef, secret_type: str, data: t.Mapping[str, bytes]) -> str:
    """Returns 32 hexadecimal digits; the same as long as type, keys and values are the same.

    The Secret's name is part of it, so that equal values in two Secrets cannot be seen.
    """
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in (ref.namespace.encode(), ref.name.encode(), secret_type.encode()):
        digest.update(_framed(part))
    for name in sorted(data):
        digest.update(_framed(name.encode()) + _framed(data[name]))
    return digest.hexdigest()[:32]


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part
