# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from ansible_collections.openmlops.platform.plugins.module_utils.secrets import jwks, key_pairs
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref, SecretRef
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

HOME = SecretRef("a", "s")


def read(reader_function, **options):
    problems = []
    return reader_function(Reader("here", options, problems, HOME)), problems


def public_of(pem, encoding="pem"):
    derivation, problems = read(key_pairs.read_public_of, public_of="k", encoding=encoding)
    assert not problems
    assert derivation.sources == {"private_key": Ref("a", "s", "k")}
    return derivation.derive({"private_key": pem}, None, False)


@pytest.mark.parametrize(
    ("kind", "options", "header", "check"),
    [
        ("rsa", {}, b"BEGIN PRIVATE KEY", lambda key: key.key_size == 3072),
        (
            "rsa",
            {"bits": 2048, "encoding": "traditional"},
            b"BEGIN RSA PRIVATE KEY",
            lambda key: key.key_size == 2048,
        ),
        (
            "rsa",
            {"bits": "2048", "encoding": "openssh"},
            b"BEGIN OPENSSH PRIVATE KEY",
            lambda key: key.key_size == 2048,
        ),
        ("ecdsa", {}, b"BEGIN PRIVATE KEY", lambda key: key.curve.name == "secp256r1"),
        (
            "ecdsa",
            {"curve": "P-384", "encoding": "traditional"},
            b"BEGIN EC PRIVATE KEY",
            lambda key: key.curve.name == "secp384r1",
        ),
        ("ed25519", {}, b"BEGIN PRIVATE KEY", lambda key: isinstance(key, ed25519.Ed25519PrivateKey)),
        (
            "ed25519",
            {"encoding": "openssh"},
            b"BEGIN OPENSSH PRIVATE KEY",
            lambda key: isinstance(key, ed25519.Ed25519PrivateKey),
        ),
    ],
)
def test_private_key_and_its_public_key(kind, options, header, check):
    generator, problems = read(key_pairs.READERS[kind], **options)
    assert not problems
    pem = generator.generate()
    assert header in pem.splitlines()[0]
    key = key_pairs.load_private_key(pem)
    assert check(key)
    public = serialization.load_pem_public_key(public_of(pem))
    ssh = serialization.load_ssh_public_key(public_of(pem, "openssh"))
    for found in (public, ssh):
        if isinstance(key, rsa.RSAPrivateKey):
            found.verify(key.sign(b"x", padding.PKCS1v15(), SHA256()), b"x", padding.PKCS1v15(), SHA256())
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            found.verify(key.sign(b"x", ec.ECDSA(SHA256())), b"x", ec.ECDSA(SHA256()))
        else:
            found.verify(key.sign(b"x"), b"x")


def test_public_key_of_something_else():
    with pytest.raises(ValueError, match="is not a private key"):
        public_of(b"hunter2")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("rsa", {"bits": 1024}),
        ("ecdsa", {"curve": "P-192"}),
        ("ed25519", {"encoding": "traditional"}),
        ("jwks", {"algorithm": "HS256"}),
        ("jwks", {"algorithm": "ES256", "bits": 2048}),
        ("jwks", {"kid": "x", "keep_previous": 1}),
    ],
)
def test_refused(kind, options):
    assert read({**key_pairs.READERS, **jwks.READERS}[kind], **options)[1]


def to_key(member):
    """Rebuilds a private key from a JWK by its published definition, as a consumer would."""

    def number(name):
        return int.from_bytes(jwks.base64.urlsafe_b64decode(member[name] + "=="), "big")

    if member["kty"] == "RSA":
        public = rsa.RSAPublicNumbers(number("e"), number("n"))
        return rsa.RSAPrivateNumbers(
            number("p"), number("q"), number("d"), number("dp"), number("dq"), number("qi"), public
        ).private_key()
    if member["kty"] == "EC":
        public = ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1())
        return ec.EllipticCurvePrivateNumbers(number("d"), public).private_key()
    key = ed25519.Ed25519PrivateKey.from_private_bytes(jwks.base64.urlsafe_b64decode(member["d"] + "=="))
    assert key.public_key().public_bytes_raw() == jwks.base64.urlsafe_b64decode(member["x"] + "==")
    return key


@pytest.mark.parametrize("algorithm", jwks.ALGORITHMS)
def test_jwks(algorithm):
    generator, problems = read(jwks.read_jwks, algorithm=algorithm)
    assert not problems
    text = generator.generate()
    (member,) = json.loads(text)["keys"]
    assert (member["alg"], member["use"]) == (algorithm, "sig")
    assert member["kid"] == jwks.thumbprint(member)
    to_key(member)
    public = json.loads(jwks.PublicJwks(Ref("a", "s", "k")).derive({"jwks": text}, None, False))["keys"][0]
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(public)
    assert public == {name: member[name] for name in public}
    assert {"kty", "kid", "alg", "use"} < set(public)


def test_thumbprint_of_rfc_7638():
    key = {
        "kty": "RSA",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
        "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
        "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
        "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    }
    assert jwks.thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_jwks_keeps_older_keys_after_a_rotation():
    generator, _problems = read(jwks.read_jwks, algorithm="EdDSA", keep_previous=1)
    first = generator.generate()
    second = generator.generate(first)
    third = generator.generate(second)
    ids = [[key["kid"] for key in json.loads(text)["keys"]] for text in (first, second, third)]
    assert ids[1][1:] == ids[0]
    assert ids[2][1:] == ids[1][:1]
    assert len(json.loads(generator.generate(b"no set"))["keys"]) == 1


def test_kid_of_ones_own():
    generator, _problems = read(jwks.read_jwks, algorithm="EdDSA", kid="mine")
    assert json.loads(generator.generate())["keys"][0]["kid"] == "mine"
