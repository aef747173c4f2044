# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection runs from a plain checkout, for every inventory."""

from __future__ import annotations

import json
import os
import subprocess

import pytest


TARGETS = ["local", "kind", "minikube", "gke", "eks", "openshift"]


def test_the_inventories_are_there(root):
    assert {path.parent.name for path in root.glob("inventories/*/hosts.yml")} >= set(TARGETS)


def test_inventory_has_one_host_on_the_controller(inventory, ansible):
    listed = json.loads(ansible("ansible-inventory", "-i", str(inventory.parent), "--list").stdout)
    name = inventory.parent.name
    assert listed["clusters"]["hosts"] == [name]
    facts = listed["_meta"]["hostvars"][name]
    assert facts["ansible_connection"] == "local"
    assert facts["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"


def test_inventory_variables_are_options_of_a_role(inventory, root, load):
    """A variable with a typing error would silently do nothing."""
    known = set()
    for specs in root.glob("roles/*/meta/argument_specs.yml"):
        for entry in load(specs)["argument_specs"].values():
            known |= set(entry.get("options", {}))
    # and what a role hands out to the others, which an inventory may know beforehand
    for tasks in root.glob("roles/*/tasks/*.yml"):
        for task in load(tasks):
            known |= set(task.get("ansible.builtin.set_fact", {}))
    named = {name for path in inventory.parent.glob("group_vars/*/*.yml") if "private" not in path.name for name in load(path)}
    assert named - known == set()


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_site_passes_the_syntax_check(target, ansible):
    ansible("ansible-playbook", "site.yml", "-i", f"inventories/{target}", "--syntax-check")


def test_playbook_passes_the_syntax_check(playbook, ansible):
    ansible("ansible-playbook", str(playbook), "-i", "inventories/gke", "--syntax-check")


FILLED = {
    "gke": {"platform_hostname": "ml.example.org"},
    "eks": {"platform_hostname": "ml.example.org", "object_store_bucket_prefix": "acme-ml-"},
    "openshift": {"platform_hostname": "ml.apps.example.org"},
}


@pytest.mark.slow
@pytest.mark.parametrize("target", FILLED)
def test_a_user_only_fills_in(target, root, tmp_path):
    """With what its comments ask for, an inventory makes sense: what preflight still says is of a cluster that is not there."""
    report = tmp_path / "report.json"
    given = {**FILLED[target], "platform_kubeconfig": str(tmp_path / "none"), "platform_context": "none", "platform_components": ["mlflow"],
             "portal_image_repository": "registry.example.org/portal", "portal_image_tag": "1", "platform_preflight_file": str(report),
             "platform_preflight_format": "json"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_HOME": str(tmp_path / "home"), "OPENMLOPS_ACM_CERTIFICATE": "arn:aws:acm:eu-west-1:1:certificate/x"}
    done = subprocess.run(["ansible-playbook", "playbooks/preflight.yml", "-i", f"inventories/{target}", "-e", json.dumps(given)],
                          cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert report.exists(), done.stdout + done.stderr
    document = json.loads(report.read_text())
    wrong = [entry for entry in document["findings"] if entry["level"] == "error" and entry["check"] not in ("cluster", "tools")]
    assert wrong == [] and any(entry["check"] == "inventory" and entry["level"] == "ok" for entry in document["findings"])


def test_what_must_be_filled_in_says_so(root, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "OPENMLOPS_"))}
    done = subprocess.run(
        ["ansible", "eks", "-i", str(root / "inventories/eks"), "-m", "ansible.builtin.debug", "-a", "msg={{ ambassador_service_annotations }}"],
        cwd=root, env=environment | {"ANSIBLE_HOME": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=120)
    assert "Fill in the ARN of the ACM certificate" in done.stdout + done.stderr
