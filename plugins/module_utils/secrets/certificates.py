# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""X.509 certificates: self-signed, or signed by a certificate authority that another key holds.

A certificate that exists is kept while it belongs to its private key and to its authority. It is made anew when one of
those has changed, on request, and when it ends within ``renew_days``, where these are given; otherwise its age and its names
alone never replace it, they are only reported.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from dataclasses import dataclass, field

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.key_pairs import (
    HAS_CRYPTOGRAPHY,
    load_private_key,
)
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

_BACKDATED = datetime.timedelta(hours=1)  # clocks of machines differ
_USAGES = {"server": "SERVER_AUTH", "client": "CLIENT_AUTH"}


class Report(t.NamedTuple):
    """What is worth telling about a certificate."""

    expires: str  # ISO 8601, UTC
    days_left: int
    missing_names: list[str]


@dataclass(frozen=True)
class Certificate:
    """A certificate for a private key.

    Args:
        sources: ``private_key``, and for a signed one ``ca_certificate`` and ``ca_private_key``.
        days: how long a new one is valid.
        renew_days: days before its end from which on it is made anew; 0 for never.
    """

    common_name: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    organization: str = ""
    days: int = 365
    renew_days: int = 0
    is_ca: bool = False
    usages: tuple[str, ...] = ("server", "client")
    label: str = "derived"
    rotatable: bool = True
    sources: t.Mapping[str, Ref] = field(default_factory=dict)

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns ``existing`` while it fits the private key and the authority and holds, else a new certificate in PEM."""
        key = load_private_key(values["private_key"])
        authority = _load(values["ca_certificate"]) if "ca_certificate" in values else None
        if existing and not rotate and _fits(existing, key, authority) and not self._ends(existing):
            return existing
        return self._issue(key, authority, values.get("ca_private_key"))

    def _ends(self, pem: bytes) -> bool:
        left = _load(pem).not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
        return left < datetime.timedelta(days=self.renew_days) if self.renew_days else False

    def _issue(self, key: t.Any, authority: t.Any, authority_pem: bytes | None) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        signer = key
        if authority is not None and authority_pem is not None:
            signer = load_private_key(authority_pem)
            if _public_bytes(signer.public_key()) != _public_bytes(authority.public_key()):
                raise ValueError("the authority's certificate and private key do not belong together")
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        subject = self._subject()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject if authority is not None else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + datetime.timedelta(days=self.days))
            .add_extension(x509.BasicConstraints(ca=self.is_ca, path_length=None), critical=True)
            .add_extension(_key_usage(self.is_ca), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if not self.is_ca:
            oids = [getattr(x509.oid.ExtendedKeyUsageOID, _USAGES[usage]) for usage in self.usages]
            builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=False)
        if self.dns_names or self.ip_addresses:
            alternatives: list[t.Any] = [x509.DNSName(name) for name in self.dns_names]
            alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in self.ip_addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(signer, digest).public_bytes(serialization.Encoding.PEM)

    def _subject(self) -> t.Any:
        from cryptography import x509

        parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, self.common_name)]
        if self.organization:
            parts.insert(0, x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, self.organization))
        return x509.Name(parts)

    def report(self, pem: bytes) -> Report:
        """Returns when a certificate ends and which of the wanted names it lacks.

        Raises:
            ValueError: when it is none.
        """
        from cryptography import x509

        certificate = _load(pem)
        names: set[str] = set()
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names |= set(extension.get_values_for_type(x509.DNSName))
            names |= {str(address) for address in extension.get_values_for_type(x509.IPAddress)}
        except x509.ExtensionNotFound:
            pass
        wanted = [*self.dns_names, *(str(ipaddress.ip_address(address)) for address in self.ip_addresses)]
        end = certificate.not_valid_after_utc
        left = end - datetime.datetime.now(datetime.timezone.utc)
        return Report(end.strftime("%Y-%m-%dT%H:%M:%SZ"), left.days, [name for name in wanted if name not in names])


def _key_usage(is_ca: bool) -> t.Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load(pem: bytes) -> t.Any:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise ValueError("is not a certificate in PEM") from None


def _public_bytes(key: t.Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _fits(pem: bytes, key: t.Any, authority: t.Any) -> bool:
    """Tells whether a certificate belongs to a private key and was signed by an authority (None: by itself)."""
    from cryptography.exceptions import InvalidSignature

    try:
        certificate = _load(pem)
        if _public_bytes(certificate.public_key()) != _public_bytes(key.public_key()):
            return False
        certificate.verify_directly_issued_by(authority if authority is not None else certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def read_certificate(reader: Reader) -> Certificate | None:
    """Reads certificate: {private_key, common_name, dns_names, ip_addresses, days, is_ca, ca_certificate, ...}."""
    inner = Reader(f"{reader.where}: certificate", reader.take("certificate"), reader.problems, reader.home)
    if not HAS_CRYPTOGRAPHY:
        inner.problem("needs the Python package cryptography on the controller")
    sources = {
        "private_key": inner.key_ref("private_key", required=True),
        "ca_certificate": inner.key_ref("ca_certificate"),
        "ca_private_key": inner.key_ref("ca_private_key"),
    }
    if (sources["ca_certificate"] is None) != (sources["ca_private_key"] is None):
        inner.problem("ca_certificate and ca_private_key go together")
    dns_names = tuple(inner.texts("dns_names"))
    addresses = tuple(inner.texts("ip_addresses"))
    common_name = inner.text("common_name", dns_names[0] if dns_names else "")
    if not common_name or len(common_name) > 64:
        inner.problem("common_name is required (up to 64 characters), or dns_names whose first fits")
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            inner.problem("ip_addresses must hold addresses such as 10.0.0.1")
    if any(not name or not name.isascii() or " " in name for name in dns_names):
        inner.problem("dns_names must hold host names in ASCII")
    usages = tuple(dict.fromkeys(inner.texts("usages"))) or ("server", "client")
    if set(usages) - set(_USAGES):
        inner.problem("usages may hold server, client")
    organization = inner.text("organization")
    days = inner.integer("days", 365, 1, 36500)
    renew_days = inner.integer("renew_days", 0, 0, 36500)
    if renew_days >= days:
        inner.problem("renew_days must be fewer than days, or each run would make it anew")
    is_ca = inner.flag("is_ca", False)
    inner.finish()
    if sources["private_key"] is None:
        return None
    known = {name: ref for name, ref in sources.items() if ref is not None}
    return Certificate(common_name, dns_names, addresses, organization, days, renew_days, is_ca, usages, sources=known)
