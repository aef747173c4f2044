# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates: made once, renewed in time, made anew when an address changes."""

from __future__ import annotations

import datetime
import ssl
import stat

import pytest

pytest.importorskip("cryptography")

from cryptography import x509

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import pki

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.timezone.utc)


def wanted(address: str = "10.201.0.2") -> list[pki.Leaf]:
    return pki.leaves("openmlops-local", address, "10.96.0.1", "cluster.local")


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    made, _renew = pki.ensure(tmp_path / "pki", wanted(), NOW)
    assert made
    return tmp_path / "pki"


def test_a_second_call_makes_nothing(folder):
    before = contents(folder)
    made, renew_at = pki.ensure(folder, wanted(), NOW + datetime.timedelta(days=200))
    assert not made
    assert contents(folder) == before
    assert renew_at == NOW + datetime.timedelta(days=pki.LEAF_DAYS - pki.RENEW_DAYS)


def test_only_root_reads_them(folder):
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_each_certificate_is_signed_and_fits_its_key(folder):
    for leaf in wanted():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{leaf.file}.crt", folder / f"{leaf.file}.key")
        certificate = x509.load_pem_x509_certificate((folder / f"{leaf.file}.crt").read_bytes())
        certificate.verify_directly_issued_by(
            x509.load_pem_x509_certificate((folder / f"{leaf.authority}.crt").read_bytes()))


def test_what_ends_soon_is_renewed_and_the_authority_stays(folder):
    before = contents(folder)
    made, _renew = pki.ensure(folder, wanted(), NOW + datetime.timedelta(days=340))
    after = contents(folder)
    assert made
    assert after["admin.crt"] != before["admin.crt"]
    for name in ("ca.crt", "ca.key", "service-account.key", "service-account.pub"):
        assert after[name] == before[name]


def test_another_address_changes_only_those_that_name_it(folder):
    before = contents(folder)
    pki.ensure(folder, wanted("10.201.9.2"), NOW)
    changed = {name for name, data in contents(folder).items() if data != before[name] and name.endswith(".crt")}
    assert changed == {"apiserver.crt", "kubelet-server.crt"}


@pytest.mark.parametrize("lost", ["admin.key", "admin.crt", "service-account.pub"])
def test_a_lost_file_is_made_again(folder, lost):
    (folder / lost).unlink()
    pki.ensure(folder, wanted(), NOW)
    assert (folder / lost).exists()


def test_an_authority_that_lost_its_key_is_made_anew_with_all_it_signed(folder):
    before = contents(folder)
    (folder / "ca.key").unlink()
    pki.ensure(folder, wanted(), NOW)
    after = contents(folder)
    assert after["ca.crt"] != before["ca.crt"] and after["admin.crt"] != before["admin.crt"]
    assert after["etcd.crt"] == before["etcd.crt"]


def test_the_server_names_every_address_that_it_is_asked_by(folder):
    certificate = x509.load_pem_x509_certificate((folder / "apiserver.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {str(name.value) for name in names}
    assert {"10.201.0.2", "10.96.0.1", "127.0.0.1", "kubernetes.default.svc.cluster.local"} <= found
