# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People, machines and groups as the inventory names them."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import PeopleError, members


def test_everybody_with_defaults():
    found = members([{"email": "b@example.org", "groups": ["y", "x", "y"]}, {"email": "a@example.org", "schema": "admin", "state": "disabled"}],
                    [{"name": "nightly", "groups": ["ci"]}], [])
    assert [(m.key, m.schema, m.groups, m.state) for m in found] == [
        ("a@example.org", "admin", (), "disabled"), ("b@example.org", "person", ("x", "y"), "present"), ("nightly", "machine", ("ci",), "present")]
    assert [m.secret for m in found] == ["user-a-example-org", "user-b-example-org", "machine-nightly"]
    assert found[0].traits == {"email": "a@example.org"} and found[2].traits == {"name": "nightly"}


@pytest.mark.parametrize(("users", "machines", "groups", "parts"), [
    ([{"email": "A@example.org"}], [], [], ["platform_users, 'A@example.org'", "email", "lower case"]),
    ([{"email": "a@example.org"}, {"email": "a@example.org"}], [], [], ["is there twice"]),
    ([{"mail": "a@example.org"}], [], [], ["platform_users, entry 1", "mail: unknown key"]),
    ([{"email": "a@example.org", "schema": "machine"}], [], [], ["schema: must be person or admin"]),
    ([{"email": "a@example.org", "state": "gone"}], [], [], ["state: must be one of present, disabled, absent"]),
    ([{"email": "a@example.org", "groups": ["x"]}], [], [{"name": "y"}], ["platform_groups has no x"]),
    ([{"email": "a@example.org", "groups": "x"}], [], [], ["groups: must be a list"]),
    ([], [{"name": "A"}], [], ["platform_machines, 'A'"]),
    ([], [], [{"name": "y"}, {"name": "y"}], ["platform_groups, 'y': is there twice"]),
    ([{"email": "a.b@example.org"}, {"email": "a-b@example.org"}], [], [], ["would share the Secret user-a-b-example-org"]),
    ("x", "y", "z", ["platform_users: must be a list", "platform_machines: must be a list", "platform_groups: must be a list"]),
])
def test_all_problems_name_the_entry_and_the_cure(users, machines, groups, parts):
    with pytest.raises(PeopleError) as error:
        members(users, machines, groups)
    for part in parts:
        assert part in str(error.value)
