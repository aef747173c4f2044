# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names Kubernetes accepts (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/)."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def is_namespace(name: str) -> bool:
    """Tells whether a text can name a namespace (RFC 1123 label, 63 characters at most)."""
    return bool(_LABEL.fullmatch(name))


def is_secret_name(name: str) -> bool:
    """Tells whether a text can name a Secret (RFC 1123 subdomain, 253 characters at most)."""
    return len(name) <= 253 and bool(_SUBDOMAIN.fullmatch(name))


def is_data_key(name: str) -> bool:
    """Tells whether a text can be a key of a Secret."""
    return bool(_KEY.fullmatch(name)) and name != "." and not name.startswith("..")


def is_label_key(name: str) -> bool:
    """Tells whether a text can be the key of a label or an annotation."""
    prefix, slash, rest = name.rpartition("/")
    return bool(_QUALIFIED.fullmatch(rest)) and (not slash or is_secret_name(prefix))


def is_label_value(value: str) -> bool:
    """Tells whether a text can be the value of a label."""
    return value == "" or bool(_QUALIFIED.fullmatch(value))
