# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of playbooks follows from the files."""

from __future__ import annotations

import re

import pytest
from docsite import playbooks

PLAYBOOK = """---
# Does it; docs/people.md. -e what_file=<path> [-e what_kind=one|two]
# And more.
- name: What
  hosts: clusters
  vars:
    what_who: somebody
    what_many: []
  tasks:
    - name: Do
      ansible.builtin.debug:
        msg: "{{ what_file | default(omit) }} {{ what_kind | default('one') }} {{ ory_state | default('x') }} {{ __private | default(1) }}"
"""


@pytest.fixture
def section(tmp_path):
    path = tmp_path / "what.yml"
    path.write_text(PLAYBOOK)
    return playbooks.section(path, {"what": "what"}, {"ory_state"})


def test_what_it_says_of_itself(section):
    assert "Does it; [people](../docs/people.md). `-e what_file=<path>` `-e what_kind=one|two` And more.\n" in section
    assert "    ansible-playbook playbooks/what.yml -i inventories/gke\n    make what\n" in section


def test_what_can_be_given(section):
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", section, re.MULTILINE)
    assert rows == [
        ("what_who", "", "`somebody`"),
        ("what_many", "", "`[]`"),
        ("what_file", "`path`", ""),
        ("what_kind", "`one\\|two`", "`'one'`"),
    ]


def test_verbs_are_those_of_the_script(root):
    found = playbooks.verbs((root / "scripts/playbook").read_text(encoding="utf-8"))
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert found["site"] == "up" and found["teardown"] == "down" and {"preflight", "status", "users", "probe"} <= set(found)
    for playbook, verb in found.items():
        assert (root / f"playbooks/{playbook}.yml").is_file(), playbook
        assert re.search(rf"^{verb}:.*\n\t@scripts/playbook {verb}$", makefile, re.MULTILINE), verb


def test_every_playbook_has_a_section_and_says_what_it_does(root, options):
    text = playbooks.page(root, options)
    for path in root.glob("playbooks/*.yml"):
        assert f"\n## {path.stem}\n" in text
        assert len(playbooks.remarks(path.read_text(encoding="utf-8"))) > 20, path
