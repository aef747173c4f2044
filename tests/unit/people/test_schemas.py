# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity schemas take what the collection writes, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2
import jsonschema
import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import members

TEMPLATES = Path(__file__).resolve().parents[3] / "roles" / "ory" / "templates"


def schema(name: str) -> dict:
    text = (TEMPLATES / f"{name}.schema.json.j2").read_text()
    found = json.loads(jinja2.Environment(autoescape=False).from_string(text).render(platform_url="https://ml.example.org"))
    jsonschema.Draft7Validator.check_schema(found)
    return found


def errors(name: str, traits: dict) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(schema(name)).iter_errors({"traits": traits})]


@pytest.mark.parametrize("member", members(
    [{"email": "ada@example.org"}, {"email": "root@example.org", "schema": "admin"}], [{"name": "ci"}, {"name": "x" * 63}, {"name": "a"}], []))
def test_members_fit_their_schema(member):
    assert errors(member.schema, member.traits) == []


@pytest.mark.parametrize(("name", "traits"), [
    ("person", {}), ("person", {"email": "ada@example.org", "groups": ["admins"]}), ("person", {"email": 1}), ("person", {"name": "ci"}),
    ("admin", {}), ("admin", {"email": "ada@example.org", "x": 1}),
    ("machine", {}), ("machine", {"name": "Ci"}), ("machine", {"name": "ci@example.org"}), ("machine", {"name": "x" * 64}), ("machine", {"name": ""}),
    ("machine", {"name": "ci", "email": "ada@example.org"}),
])
def test_other_traits_are_refused(name, traits):
    assert errors(name, traits)


def test_people_log_in_and_recover_by_address_and_machines_do_not():
    for name in ("person", "admin"):
        rules = schema(name)["properties"]["traits"]["properties"]["email"]["ory.sh/kratos"]
        assert rules["credentials"]["password"] == {"identifier": True} and rules["recovery"] == {"via": "email"}
    rules = schema("machine")["properties"]["traits"]["properties"]["name"]["ory.sh/kratos"]
    assert rules == {"credentials": {"password": {"identifier": True}}}
