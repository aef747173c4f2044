# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when certificates hold. Reads the public part of a Secret only."""

from __future__ import annotations

import base64
import datetime
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden, NotFound

try:
    from cryptography import x509
except ImportError:  # pragma: no cover - module_utils/secrets tells it
    pass

_TYPE = "type=kubernetes.io/tls"


def read(cluster: Cluster, namespaces: t.Iterable[str], now: datetime.datetime) -> list[dict[str, t.Any]]:
    """Returns the certificates in the TLS Secrets of namespaces; those that may not be read are left out."""
    found = []
    for namespace in namespaces:
        try:
            secrets = cluster.list("v1", "Secret", namespace, field_selector=_TYPE)
        except (Forbidden, NotFound):
            continue
        found += [entry for entry in (described(secret, now) for secret in secrets) if entry]
    return found


def described(secret: Object, now: datetime.datetime) -> dict[str, t.Any] | None:
    """Returns ``secret``, ``namespace``, ``names``, ``expires`` and ``days_left`` of a TLS Secret; None without a certificate."""
    pem = base64.b64decode((secret.get("data") or {}).get("tls.crt") or "")
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
    except (ValueError, IndexError):
        return None
    end = certificate.not_valid_after_utc
    return {
        "secret": secret["metadata"]["name"], "namespace": secret["metadata"]["namespace"], "names": _names(certificate),
        "expires": end.isoformat(), "days_left": (end - now).days,
    }


def _names(certificate: t.Any) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [*map(str, found.get_values_for_type(x509.DNSName)), *map(str, found.get_values_for_type(x509.IPAddress))]
