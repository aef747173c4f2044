# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the molecule scenarios share, run on roles that only tell what they are asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.selection import select

PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"


@pytest.mark.skipif(not PLAYBOOK.exists(), reason="ansible-playbook is not beside this Python")
def test_cleanup_takes_away_whatever_the_catalogue_selects(root, load, tmp_path):
    # Every component, in the order of what needs what.
    catalogue = {name: {"needs": entry.get("needs", []) if isinstance(entry.get("needs", []), list) else []}
                 for name, entry in load(root / "roles/platform/vars/main.yml")["_platform_catalogue"].items()}
    selected = select(catalogue, list(catalogue))
    collection = tmp_path / "collections/ansible_collections/openmlops/platform"
    for name in selected:
        (collection / "roles" / name / "tasks").mkdir(parents=True)
        (collection / "roles" / name / "defaults").mkdir()
        (collection / "roles" / name / "defaults/main.yml").write_text(yaml.safe_dump({f"{name}_state": "present", f"{name}_purge": False}))
        (collection / "roles" / name / "tasks/main.yml").write_text(yaml.safe_dump([
            {"name": "Tell", "ansible.builtin.debug": {"msg": f"told {name} {{{{ {name}_state }}}} {{{{ {name}_purge }}}}."}}]))
    shared = tmp_path / "molecule/shared"
    (shared / "tasks").mkdir(parents=True)
    shutil.copy(root / "molecule/shared/cleanup.yml", shared)
    (shared / "tasks/cluster.yml").write_text(yaml.safe_dump([{"name": "Select", "ansible.builtin.set_fact": {"platform_selected": selected}}]))
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"clusters": {"hosts": {"one": {"ansible_connection": "local"}}}}))
    done = subprocess.run(
        [PLAYBOOK, "-i", tmp_path / "hosts.yml", shared / "cleanup.yml"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "MOLECULE_SCENARIO_NAME": "feast",
             "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"), "ANSIBLE_HOME": str(tmp_path / "ansible")})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
    told = [line.split("told ")[1].split(".")[0].split() for line in done.stdout.splitlines() if "told " in line]
    assert told == [[name, "absent", "True"] for name in reversed(selected)]
