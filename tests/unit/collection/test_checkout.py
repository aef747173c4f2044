# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection runs from a plain checkout, for every inventory."""

from __future__ import annotations

import json

import pytest


def test_the_four_inventories_are_there(root):
    assert {path.parent.name for path in root.glob("inventories/*/hosts.yml")} >= {"local", "kind", "minikube", "gke"}


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
@pytest.mark.parametrize("target", ["local", "kind", "minikube", "gke"])
def test_site_passes_the_syntax_check(target, ansible):
    ansible("ansible-playbook", "site.yml", "-i", f"inventories/{target}", "--syntax-check")


def test_playbook_passes_the_syntax_check(playbook, ansible):
    ansible("ansible-playbook", str(playbook), "-i", "inventories/gke", "--syntax-check")
