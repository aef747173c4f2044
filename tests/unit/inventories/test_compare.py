# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How inventories differ, without a secret getting out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.inventories.comparing import Setting, differences, table

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"


def settings(given, **defaults):
    return {**{name: Setting(value, False) for name, value in defaults.items()}, **{name: Setting(value, True) for name, value in given.items()}}


def test_differences():
    first = settings({"a": 1, "b": [1], "c": "x"}, d=4, key="s3cret-1")
    second = settings({"a": 1, "b": [2], "d": 4, "key": "s3cret-2"}, c="y")
    found = differences(first, second, {"key"})
    assert found == [
        {"name": "b", "first": "[1]", "second": "[2]"},
        {"name": "c", "first": '"x"', "second": '"y" (default)'},
        {"name": "key", "first": "(hidden) (default)", "second": "(hidden)"},
    ]
    assert "s3cret" not in table(("one", "two"), found, 2)


def test_secrets_inside_are_hidden():
    found = differences(settings({"x_values": {"auth": {"password": "s3cret-1"}}}), settings({"x_values": {"auth": {"password": "s3cret-2"}}}), ())
    assert len(found) == 1 and "s3cret" not in json.dumps(found)


def compare(tmp_path, first, second):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "OPENMLOPS_", "KUBECONFIG"))}
    environment |= {"ANSIBLE_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    return subprocess.run(
        [PLAYBOOK, "playbooks/compare.yml", "-e", f"first={first}", "-e", f"second={second}", "-e", f"platform_compare_file={tmp_path / 'out.json'}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_two_of_ours(tmp_path):
    done = compare(tmp_path, "gke", "eks")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {entry["name"]: (entry["first"], entry["second"]) for entry in json.loads((tmp_path / "out.json").read_text())["differences"]}
    assert found["platform_storage_class"] == ('"standard-rwo"', '"gp3"')
    assert found["platform_tls"] == ('"local_ca" (default)', '"none"')
    assert "platform_gateway" not in found and "OPENMLOPS_ACM_CERTIFICATE" in found["ambassador_service_annotations"][1]
    assert "variables differ between gke and eks" in done.stdout


def test_a_users_own_with_a_secret(tmp_path):
    for name, secret in (("one", "s3cret-1"), ("two", "s3cret-2")):
        folder = tmp_path / name / "group_vars/all"
        folder.mkdir(parents=True)
        (tmp_path / name / "hosts.yml").write_text(f"all: {{children: {{clusters: {{hosts: {{{name}: {{ansible_connection: local}}}}}}}}}}\n")
        (folder / "main.yml").write_text(f"platform_api_key: {secret}\nplatform_users: [{{email: a@example.org, password: {secret}}}]\n")
    done = compare(tmp_path, tmp_path / "one", tmp_path / "two")
    assert done.returncode == 0 and "platform_api_key" in done.stdout, done.stdout + done.stderr
    assert "s3cret" not in done.stdout + (tmp_path / "out.json").read_text()


@pytest.mark.parametrize("first", ["nowhere", "gke#other"])
def test_wrong_names(tmp_path, first):
    done = compare(tmp_path, first, "eks")
    assert done.returncode == 2 and ("there is no inventory" in done.stdout or "has no host other" in done.stdout)
