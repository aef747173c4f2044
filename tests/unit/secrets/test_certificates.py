# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from cryptography import x509

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.certificates import read_certificate
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.key_pairs import PrivateKey
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import SecretRef
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

CA = {"ca_certificate": "ca/tls.crt", "ca_private_key": "ca/tls.key"}


def read(**options):
    problems = []
    return read_certificate(Reader("here", {"certificate": options}, problems, SecretRef("a", "s"))), problems


def certificate(**options):
    found, problems = read(**{"private_key": "tls.key", "common_name": "x", **options})
    assert not problems, problems
    return found


@pytest.fixture(scope="module")
def keys():
    return {kind: PrivateKey(kind, bits=2048).generate() for kind in ("rsa", "ecdsa", "ed25519")}


@pytest.fixture(scope="module")
def authority(keys):
    return certificate(common_name="CA", is_ca=True).derive({"private_key": keys["ecdsa"]}, None, False)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_self_signed(keys, kind):
    wanted = certificate(dns_names=["a.example.org", "*.b.example.org"], ip_addresses=["10.0.0.1", "::1"], days=30)
    found = x509.load_pem_x509_certificate(wanted.derive({"private_key": keys[kind]}, None, False))
    found.verify_directly_issued_by(found)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.org", "*.b.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1", "::1"]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert found.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc) <= datetime.timedelta(days=30)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_signed_by_an_authority(keys, authority, kind):
    wanted = certificate(**CA, dns_names=["x.example.org"], common_name="")
    values = {"private_key": keys[kind], "ca_certificate": authority, "ca_private_key": keys["ecdsa"]}
    pem = wanted.derive(values, None, False)
    found = x509.load_pem_x509_certificate(pem)
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    assert found.subject.rfc4514_string() == "CN=x.example.org"
    assert wanted.derive(values, pem, False) is pem


def test_made_anew_when_key_or_authority_change_or_on_request(keys, authority):
    wanted = certificate(**CA)
    values = {"private_key": keys["rsa"], "ca_certificate": authority, "ca_private_key": keys["ecdsa"]}
    pem = wanted.derive(values, None, False)
    assert wanted.derive(values, pem, True) != pem
    assert wanted.derive({**values, "private_key": keys["ed25519"]}, pem, False) != pem
    other = certificate(common_name="CA", is_ca=True).derive({"private_key": keys["ed25519"]}, None, False)
    changed = {**values, "ca_certificate": other, "ca_private_key": keys["ed25519"]}
    assert wanted.derive(changed, pem, False) != pem
    assert wanted.derive(values, b"something else", False) != pem


def test_a_renewed_authority_with_the_same_key_keeps_the_certificate(keys, authority):
    wanted = certificate(**CA)
    values = {"private_key": keys["rsa"], "ca_certificate": authority, "ca_private_key": keys["ecdsa"]}
    pem = wanted.derive(values, None, False)
    renewed = certificate(common_name="CA", is_ca=True).derive({"private_key": keys["ecdsa"]}, authority, True)
    assert renewed != authority
    assert wanted.derive({**values, "ca_certificate": renewed}, pem, False) == pem


def test_age_and_names_are_reported_only(keys):
    old = certificate(dns_names=["a.example.org"], days=5).derive({"private_key": keys["ecdsa"]}, None, False)
    wanted = certificate(dns_names=["a.example.org", "b.example.org"], ip_addresses=["0:0::1"])
    assert wanted.derive({"private_key": keys["ecdsa"]}, old, False) == old
    report = wanted.report(old)
    assert report.days_left == 4
    assert report.missing_names == ["b.example.org", "::1"]
    assert report.expires.endswith("Z")


def test_authority_whose_halves_do_not_fit(keys, authority):
    values = {"private_key": keys["rsa"], "ca_certificate": authority, "ca_private_key": keys["rsa"]}
    with pytest.raises(ValueError, match="do not belong together"):
        certificate(**CA).derive(values, None, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "private_key is required"),
        ({"private_key": "k"}, "common_name is required"),
        ({"private_key": "k", "common_name": "x" * 65}, "common_name is required"),
        ({"private_key": "k", "common_name": "x", "ca_certificate": "c"}, "go together"),
        ({"private_key": "k", "common_name": "x", "ip_addresses": ["300.0.0.1"]}, "ip_addresses must hold"),
        ({"private_key": "k", "common_name": "x", "dns_names": ["a b"]}, "dns_names must hold"),
        ({"private_key": "k", "common_name": "x", "usages": ["email"]}, "usages may hold"),
        ({"private_key": "k", "common_name": "x", "days": 0}, "days must be"),
        ({"private_key": "k", "common_name": "x", "dayz": 1}, "did you mean days?"),
    ],
)
def test_refused(options, message):
    assert any(message in problem for problem in read(**options)[1])


def test_it_is_made_anew_before_it_ends_where_that_is_asked_for(keys):
    values = {"private_key": keys["ecdsa"]}
    old = certificate(days=20).derive(values, None, False)
    assert certificate(days=60, renew_days=10).derive(values, old, False) == old
    new = certificate(days=60, renew_days=30).derive(values, old, False)
    assert new != old and certificate(days=60, renew_days=30).derive(values, new, False) == new
    assert certificate(days=60).report(new).days_left > 30


def test_it_must_not_be_made_anew_each_time():
    _found, problems = read(private_key="tls.key", common_name="x", days=30, renew_days=30)
    assert any("renew_days must be fewer than days" in problem for problem in problems)
