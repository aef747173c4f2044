# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""platform_registries: what is refused, what becomes of it, and that no password is where one could see it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins
from ansible_collections.openmlops.platform.plugins.module_utils.registries.logins import LoginError
from ansible_collections.openmlops.platform.plugins.module_utils.secrets import declare

LOGIN = {"server": "registry.example.org:5000", "username": "robot", "password_variable": "registry_password"}
VALUES = {"registry_password": "pass:word\"'"}


def test_nothing_is_nothing():
    assert logins.parse([]) == logins.parse(None) == []


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("x", ["must be a list"]),
        (["x"], ["platform_registries[0] must be a mapping"]),
        ([{}], ["[0]: server and username and password_variable must be given"]),
        ([{**LOGIN, "password": "hunter2"}], ["[0]: write no password here", "password_variable", "vault"]),
        ([{**LOGIN, "pasword": "hunter2"}], ["[0]: unknown keys pasword"]),
        ([LOGIN, {**LOGIN, "username": "other"}], ["[1]: server registry.example.org:5000 is there twice"]),
        ([{**LOGIN, "server": "https://registry.example.org"}], ["server is 'https://registry.example.org'", "without https://"]),
        ([{**LOGIN, "password_variable": "hunter2!"}], ["password_variable must be the name of a variable"]),
    ],
)
def test_what_is_wrong_is_told_with_the_variable(raw, parts):
    with pytest.raises(LoginError) as caught:
        logins.parse(raw)
    assert all(part in str(caught.value) for part in parts)
    assert "hunter2" not in str(caught.value)


def test_everything_wrong_at_once():
    with pytest.raises(LoginError, match=r"\[0\].*\[1\]"):
        logins.parse([{**LOGIN, "username": ""}, {**LOGIN, "server": "a b"}])


def test_the_secret_is_what_secret_bootstrap_takes():
    spec = logins.secret("ml", logins.parse([LOGIN]))
    assert "pass:word" not in json.dumps(spec)
    (entry,) = spec["data"][".dockerconfigjson"]["dockerconfigjson"]
    filled = {**spec, "data": {".dockerconfigjson": {"dockerconfigjson": [logins.with_password(entry, VALUES.get)]}}}
    declared, problems = declare.declarations([filled])
    assert problems == [] and str(declared[0].ref) == "ml/platform-registries"
    derivation = declared[0].data[".dockerconfigjson"].derivation
    made = json.loads(derivation.derive({}, None, False))
    found = made["auths"]["registry.example.org:5000"]
    assert base64.b64decode(found["auth"]).decode() == "robot:pass:word\"'"


@pytest.mark.parametrize("value", [None, ""])
def test_a_password_that_is_missing_is_named(value):
    with pytest.raises(LoginError, match="the variable registry_password, named as the password of registry.example.org:5000"):
        logins.check(logins.parse([LOGIN]), lambda name: value)
    with pytest.raises(LoginError, match="registry_password"):
        logins.with_password({"registry": "r", "username": "u", "password_variable": "registry_password"}, lambda name: value)


def test_a_login_with_its_password_stays():
    entry = {"registry": "r", "username": "u", "password": "p"}
    assert logins.with_password(entry, lambda name: None) is entry


def test_the_file_is_read_by_children_and_gone_afterwards():
    text = logins.auths(logins.parse([LOGIN]), VALUES.get)
    with logins.file(text) as path:
        read = [sys.executable, "-c", f"print(open({path!r}).read(), end='')"]
        for _twice in range(2):
            assert subprocess.run(read, capture_output=True, text=True, check=True).stdout == text
        assert "memfd" in os.readlink(path) or not path.startswith("/proc/")
    assert not os.path.exists(path)
    assert json.loads(text)["auths"]["registry.example.org:5000"]["auth"]
