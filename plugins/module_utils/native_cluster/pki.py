# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a native cluster: made once, renewed before they end or when an address changes."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.files import write

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 30


@dataclass(frozen=True)
class Leaf:
    """One certificate.

    Args:
        file: name of its files, without ending.
        authority: name of the files of the authority that signs it.
        common_name: the user or server that it names.
        organization: the user's group, or "".
        names: DNS names and IP addresses of the server; none for a client.
        client: whether it may be used as a client.
    """

    file: str
    authority: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()
    client: bool = True


def leaves(node_name: str, node_address: str, service_address: str, domain: str) -> list[Leaf]:
    """Every certificate that the components of a node with these addresses need."""
    local = ("localhost", "127.0.0.1")
    api = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}",
           node_name, *local, node_address, service_address)
    return [
        Leaf("apiserver", "ca", "kube-apiserver", names=api, client=False),
        Leaf("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", "system:masters"),
        Leaf("kubelet-server", "ca", f"system:node:{node_name}", "system:nodes", (node_name, node_address), client=False),
        Leaf("kubelet", "ca", f"system:node:{node_name}", "system:nodes"),
        Leaf("controller-manager", "ca", "system:kube-controller-manager"),
        Leaf("scheduler", "ca", "system:kube-scheduler"),
        Leaf("kube-proxy", "ca", "system:kube-proxy"),
        Leaf("kube-router", "ca", "system:kube-router"),
        Leaf("admin", "ca", "openmlops-admin", "system:masters"),
        Leaf("front-proxy-client", "front-proxy-ca", "front-proxy-client"),
        Leaf("etcd", "etcd-ca", "etcd", names=local),
        Leaf("apiserver-etcd-client", "etcd-ca", "kube-apiserver-etcd-client"),
    ]


def ensure(folder: Path, wanted: list[Leaf], now: datetime.datetime | None = None) -> tuple[bool, datetime.datetime]:
    """Make what is missing in *folder*, and renew what ends soon or names other addresses.

    Args:
        folder: where the certificates (``.crt``) and keys (``.key``) lie, each of mode 0600.
        wanted: the certificates.
        now: the time, for tests.

    Returns:
        Whether anything was made, and the moment at which the first one must be renewed.

    Raises:
        NodeError: the library is missing, or an authority's key is gone while its certificate is there.
    """
    if not HAS_CRYPTOGRAPHY:
        raise NodeError("The Python library 'cryptography' is missing: install requirements/controller.txt.")
    now = now or datetime.datetime.now(datetime.timezone.utc)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    changed = False
    authorities = {}
    for name in sorted({leaf.authority for leaf in wanted}):
        certificate, key, made = _authority(folder, name, now)
        authorities[name] = (certificate, key)
        changed |= made
    changed |= _service_account_key(folder)
    first_end = None
    for leaf in wanted:
        certificate, made = _leaf(folder, leaf, *authorities[leaf.authority], now)
        changed |= made
        end = certificate.not_valid_after_utc
        first_end = end if first_end is None else min(first_end, end)
    return changed, (first_end or now) - datetime.timedelta(days=RENEW_DAYS)


def _authority(folder: Path, name: str, now: datetime.datetime):
    """The authority *name*, made when missing: certificate, key, and whether it was made."""
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    if key_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        write(key_file, _pem(key))
    if certificate_file.exists():
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if certificate.public_key() == key.public_key() and certificate.not_valid_after_utc > now:
            return certificate, key, False
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"openmlops {name}")])
    certificate = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key, True


def _leaf(folder: Path, leaf: Leaf, authority, authority_key, now: datetime.datetime):
    """The certificate *leaf*, made when it is missing, ends soon or differs; and whether it was made."""
    certificate_file, key_file = folder / f"{leaf.file}.crt", folder / f"{leaf.file}.key"
    if certificate_file.exists() and key_file.exists():
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if _fits(certificate, leaf, authority, now):
            return certificate, False
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
    if leaf.organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organization))
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH] if leaf.client else []
    if leaf.names:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _builder(x509.Name(attributes), authority.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if leaf.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternative(leaf.names)), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    # The key first: a certificate without its key is made again, see above.
    certificate_file.unlink(missing_ok=True)
    write(key_file, _pem(key))
    write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, True


def _fits(certificate, leaf: Leaf, authority, now: datetime.datetime) -> bool:
    """Whether *certificate* is what *leaf* describes, signed by *authority*, and lasts long enough."""
    if certificate.not_valid_after_utc - datetime.timedelta(days=RENEW_DAYS) <= now:
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # pylint: disable=broad-except  # wrong issuer, wrong signature: either way it must be made again
        return False
    found: set[str] = set()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found = {str(name.value) for name in extension.value}
    except x509.ExtensionNotFound:
        pass
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return found == set(leaf.names) and bool(names) and names[0].value == leaf.common_name


def _service_account_key(folder: Path) -> bool:
    """The key pair that signs the tokens of service accounts; returns whether it was made."""
    private, public = folder / "service-account.key", folder / "service-account.pub"
    made = not private.exists()
    if made:
        write(private, _pem(ec.generate_private_key(ec.SECP256R1())))
    if made or not public.exists():
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
        encoding, shape = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        write(public, key.public_key().public_bytes(encoding, shape))
    return made


def _builder(subject, issuer, public_key, now: datetime.datetime, days: int):
    """What authority and leaf have in common. Valid an hour back, since clocks of virtual machines jump."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(sign_certificates: bool):
    """The key usage of an authority, or of a leaf."""
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=sign_certificates, crl_sign=sign_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )


def _alternative(names: tuple[str, ...]) -> list:
    """The names of a server as a certificate holds them."""
    result = []
    for name in names:
        try:
            result.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            result.append(x509.DNSName(name))
    return result


def _pem(key) -> bytes:
    """A private key as a file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
