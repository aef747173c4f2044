# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action ``require``: many checks in one task, each with the message that ``assert`` would give."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
GOOD = {"that": ["one == 1", "pools | length == 2"], "message": "{{ nowhere_defined }}"}
# name: checks, and words of the message (None: all holds)
CASES = {
    "all hold": ([GOOD, {"that": "one == 1", "message": "no"}], None),
    "the first that does not": ([GOOD, {"that": ["one == 1", "one == 2"], "message": "one ({{ one }}) must be 2"}, {"that": "one == 3", "message": "no"}],
                                "one (1) must be 2"),
    "not asked for": ([{"that": "one == 2", "when": "one == 3", "message": "no"}, {"that": "one == 2", "when": ["one == 1", "false"], "message": "no"}], None),
    "each holds": ([{"each": "pools", "that": "item.name in ['a', 'b']", "message": "no"}], None),
    "one of each does not": ([{"each": "pools", "that": "item.name != 'b'", "message": "pools[{{ index }}] is {{ item.name }}"}], "pools[1] is b"),
    "an empty list": ([{"each": "[]", "that": "false", "message": "no"}], None),
    "no list": ([{"each": "one", "that": "true", "message": "no"}], "each (one) must be a list"),
    "a key too many": ([{"that": "true", "message": "no", "loop": []}], "each check has message, that and may have"),
    "no message": ([{"that": "true"}], "each check has message, that and may have"),
    "an undefined variable": ([{"that": "nowhere_defined == 1", "message": "no"}], "nowhere_defined"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Name of a case -> what its task gave; all in one run of Ansible."""
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    tasks = [{"name": name, "openmlops.platform.require": {"checks": checks}, "ignore_errors": True} for name, (checks, _words) in CASES.items()]
    play = [{"name": "all", "hosts": "localhost", "gather_facts": False, "tasks": tasks,
             "vars": {"one": 1, "indirect": "a", "pools": [{"name": "{{ indirect }}"}, {"name": "b"}]}}]
    path = tmp_path_factory.mktemp("require") / "play.yml"
    path.write_text(yaml.safe_dump(play), encoding="utf-8")
    done = subprocess.run([ansible, "-i", "localhost,", "-c", "local", str(path)], cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return {task["task"]["name"]: task["hosts"]["localhost"] for task in json.loads(done.stdout)["plays"][0]["tasks"]}


@pytest.mark.parametrize("name", CASES)
def test_a_case(told, name):
    words = CASES[name][1]
    found = told[name]
    assert bool(found.get("failed")) == (words is not None), found
    if words is not None:
        assert words in found["msg"]
    assert not found.get("changed")


def test_what_does_not_hold_is_named(told):
    assert told["one of each does not"]["assertion"] == "item.name != 'b'" and told["one of each does not"]["check"] == "one of each does not"
