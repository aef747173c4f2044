# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
from urllib.parse import unquote, urlsplit

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.secrets import derived
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref, SecretRef
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


def read(reader_function, **options):
    problems = []
    return reader_function(Reader("here", options, problems, SecretRef("a", "s"))), problems


def formatted(text, values, **options):
    derivation, problems = read(derived.read_format, format=text, **options)
    assert not problems, problems
    return derivation.derive({name: value.encode() for name, value in values.items()}, None, False).decode()


@given(user=TEXT, password=TEXT)
def test_a_url_holds_any_user_and_password(user, password):
    url = urlsplit(
        formatted("postgresql://{user}:{password}@db:5432/x?o={password}", {"user": user, "password": password})
    )
    assert (unquote(url.username), unquote(url.password), url.hostname, url.port) == (user, password, "db", 5432)
    assert unquote(url.query) == f"o={password}"


@given(value=TEXT)
def test_json_quoting(value):
    assert json.loads(formatted('{{"x": "{v:json}"}}', {"v": value})) == {"x": value}


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("{p}", {}, "a%2Fb%20%C3%A9"),
        ("{p:raw}", {}, "a/b é"),
        ("{p}|{p:url}", {"quote": "raw"}, "a/b é|a%2Fb%20%C3%A9"),
        ("{p:base64}", {}, base64.b64encode("a/b é".encode()).decode()),
        ("{{{p:raw}}}", {}, "{a/b é}"),
        ("no places", {}, "no places"),
    ],
)
def test_quoting(text, options, expected):
    assert formatted(text, {"p": "a/b é"}, **options) == expected


def test_places_are_keys_of_this_secret_or_of_others():
    derivation, problems = read(
        derived.read_format, format="{tls.key}{other}{third}", **{"from": {"other": "o/k", "third": "n/o/k"}}
    )
    assert not problems
    assert derivation.sources == {
        "tls.key": Ref("a", "s", "tls.key"),
        "other": Ref("a", "o", "k"),
        "third": Ref("n", "o", "k"),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "{a"}, "single brace at position 1"),
        ({"format": "x}"}, "single brace at position 2"),
        ({"format": "{a:rot13}"}, "quoting of {a} must be one of"),
        ({"format": "{a}", "from": {"b": "x/y"}}, "unknown option b"),
        ({"format": "{a}", "from": {"a": "NOT/ok"}}, "must be a reference"),
        ({"format": "{a}", "quote": "html"}, "quote must be one of"),
        ({"format": ""}, "format is required"),
    ],
)
def test_format_refuses(options, message):
    assert any(message in problem for problem in read(derived.read_format, **options)[1])


def test_bytes_that_are_no_text():
    derivation, _problems = read(derived.read_format, format="{p:raw}")
    with pytest.raises(ValueError, match="not text"):
        derivation.derive({"p": b"\xff\xfe"}, None, False)


def htpasswd(**options):
    derivation, problems = read(derived.read_htpasswd, cost=4, **options)
    assert not problems, problems
    return derivation


def test_htpasswd():
    derivation = htpasswd(
        htpasswd=[{"username": "ann", "password_from": "p"}, {"username_from": "u", "password": "given"}]
    )
    values = {"password 0": b"first", "username 1": b"bob"}
    text = derivation.derive(values, None, False)
    ann, bob = (line.split(":", 1) for line in text.decode().splitlines())
    assert (ann[0], bob[0]) == ("ann", "bob")
    assert ann[1].startswith("$2y$04$")
    assert bcrypt.checkpw(b"first", ann[1].encode())
    assert bcrypt.checkpw(b"given", bob[1].encode())
    # a hash that fits stays, whatever its salt; only the one that does not fit is made anew
    assert derivation.derive(values, text, False) == text
    changed = derivation.derive({**values, "password 0": b"second"}, text, False).decode().splitlines()
    assert changed[0] != ":".join(ann)
    assert bcrypt.checkpw(b"second", changed[0].split(":", 1)[1].encode())
    assert changed[1] == ":".join(bob)


def test_htpasswd_replaces_what_is_no_bcrypt_hash():
    derivation = htpasswd(htpasswd={"username": "ann", "password": "p"})
    assert b"$2y$" in derivation.derive({}, b"ann:{SHA}xxxx\nolder:line\n", False)
    assert b"older" not in derivation.derive({}, b"ann:{SHA}xxxx\nolder:line\n", False)


@pytest.mark.parametrize(
    ("username", "password", "message"),
    [("a:b", "p", "user name"), ("a", "p" * 73, "72 bytes"), ("a", "é" * 37, "72 bytes")],
)
def test_htpasswd_refuses_values(username, password, message):
    with pytest.raises(ValueError, match=message):
        htpasswd(htpasswd={"username": username, "password": password}).derive({}, None, False)


def test_dockerconfigjson():
    derivation, problems = read(
        derived.read_dockerconfigjson,
        dockerconfigjson=[
            {"registry": "one.example.org", "username": "u", "password_from": "p", "email": "e@example.org"},
            {"registry": "two.example.org", "username": "v", "password": "w"},
        ],
    )
    assert not problems
    text = derivation.derive({"password 0": b"s:ecret"}, None, False)
    auths = json.loads(text)["auths"]
    assert base64.b64decode(auths["one.example.org"]["auth"]) == b"u:s:ecret"
    assert auths["one.example.org"]["email"] == "e@example.org"
    assert "email" not in auths["two.example.org"]
    same = json.dumps(json.loads(text), indent=2).encode()
    assert derivation.derive({"password 0": b"s:ecret"}, same, False) is same
    assert derivation.derive({"password 0": b"other"}, same, False) != same


@pytest.mark.parametrize(
    "login",
    [
        {"username": "u"},
        {"username": "u", "password": "p", "password_from": "q"},
        {"password": "p"},
        {"username": "u", "password": "p", "shell": "x"},
        "text",
    ],
)
def test_logins_refused(login):
    assert read(derived.read_htpasswd, htpasswd=[login])[1]
    assert read(derived.read_dockerconfigjson, dockerconfigjson=[login])[1]


def test_registry_is_required():
    assert read(derived.read_dockerconfigjson, dockerconfigjson={"username": "u", "password": "p"})[1]


def test_no_value_in_repr():
    login, _problems = read(derived.read_htpasswd, htpasswd={"username": "u", "password": "hunter2"})
    text, _problems = read(derived.read_format, format="hunter2{x}")
    assert "hunter2" not in repr(login) + repr(text)
