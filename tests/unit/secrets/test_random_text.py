# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import string
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.secrets import random_text
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader


def generate(name, **options):
    problems = []
    reader = Reader("here", {"generate": name, **options}, problems)
    reader.take("generate")
    generator = random_text.READERS[name](reader)
    reader.finish()
    assert not problems, problems
    return generator.generate(None).decode()


def problems_of(name, **options):
    problems = []
    random_text.READERS[name](Reader("here", options, problems))
    return problems


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(8, 64),
    classes=st.lists(
        st.sampled_from(["lower", "upper", "digits", "symbols"]), min_size=1, max_size=4, unique=True
    ).filter(lambda found: len(found) > 1 or found != ["symbols"]),
    exclude=st.booleans(),
)
def test_password_holds_every_class_and_nothing_else(length, classes, exclude):
    if exclude and classes == ["digits"]:
        return  # too few different characters are left: refused, see below
    groups = {**random_text.CLASSES, "symbols": random_text.SYMBOLS}
    text = generate("password", length=length, classes=classes, exclude_ambiguous=exclude)
    assert len(text) == length
    assert all(set(text) & set(groups[name]) for name in classes)
    assert set(text) <= set("".join(groups[name] for name in classes))
    assert not exclude or not set(text) & random_text.AMBIGUOUS


def test_password_defaults():
    text = generate("password")
    assert len(text) == 32
    assert set(text) <= set(string.ascii_letters + string.digits)


def test_password_of_own_characters():
    assert set(generate("password", length=200, characters="0123456789")) == set(string.digits)
    assert set(generate("password", length=200, classes=["lower", "symbols"], symbols="#")) - set(
        string.ascii_lowercase
    ) == {"#"}


def test_characters_are_drawn_evenly():
    text = "".join(generate("password", length=4096, characters="0123456789") for _index in range(10))
    counts = [text.count(digit) for digit in string.digits]
    # 40,960 draws: expected 4,096 each, standard deviation 61; six of them are never exceeded by chance
    assert max(abs(count - 4096) for count in counts) < 366


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 7}, "length must be a whole number from 8 to 4096"),
        ({"length": "many"}, "length must be a whole number"),
        ({"length": True}, "length must be a whole number"),
        ({"classes": ["lower", "greek"]}, "classes may hold"),
        ({"classes": "lower"}, "classes must be a list"),
        ({"characters": "abc"}, "10 different characters"),
        ({"characters": "0123456789", "exclude_ambiguous": True}, "10 different characters"),
        ({"characters": "0123456789\n"}, "control characters"),
        ({"characters": "0123456789", "classes": ["lower"]}, "characters stands alone"),
    ],
)
def test_password_refuses(options, message):
    assert any(message in problem for problem in problems_of("password", **options))


@pytest.mark.parametrize("size", [8, 16, 32, 4096])
def test_hex(size):
    assert len(bytes.fromhex(generate("hex", bytes=size))) == size


@pytest.mark.parametrize("size", [8, 31, 32, 33])
def test_base64(size):
    assert len(base64.b64decode(generate("base64", bytes=size), validate=True)) == size
    urlsafe = generate("base64", bytes=size, urlsafe=True, padding=False)
    assert "=" not in urlsafe
    assert len(base64.urlsafe_b64decode(urlsafe + "=" * (-len(urlsafe) % 4))) == size


def test_uuid():
    found = uuid.UUID(generate("uuid"))
    assert (found.version, found.variant) == (4, uuid.RFC_4122)


def test_fernet():
    from cryptography.fernet import Fernet

    fernet = Fernet(generate("fernet"))
    assert fernet.decrypt(fernet.encrypt(b"text")) == b"text"


@pytest.mark.parametrize("name", sorted(random_text.READERS))
def test_new_each_time(name):
    assert len({generate(name) for _index in range(50)}) == 50


@pytest.mark.parametrize("name", sorted(random_text.READERS))
def test_unknown_option(name):
    problems = []
    reader = Reader("here", {"lenght": 3}, problems)
    random_text.READERS[name](reader)
    reader.finish()
    assert problems and "unknown option lenght" in problems[-1]
