# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact that users install: complete, nothing else in it, and it runs."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import PurePosixPath

import pytest

WANTED = {
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "meta/execution-environment.yml",
    "meta/runtime.yml",
    "platform.lock.yml",
    "requirements/collection.in",
}
WANTED_FOLDERS = {"charts", "cluster", "docs", "images", "inventories", "meta", "playbooks", "plugins", "roles"}
UNWANTED = {
    ".ansible",
    ".ansible-lint",
    ".cache",
    ".ci",
    ".git",
    ".gitignore",
    ".pytest_cache",
    ".yamllint",
    "Makefile",
    "__pycache__",
    "ansible.cfg",
    "benchmarks",
    "collections",
    "molecule",
    "pytest.ini",
    "scripts",
    "tests",
}


@pytest.fixture(scope="module")
def artifact(root, tmp_path_factory):
    """Build the artifact from the checkout as it stands, with whatever tools left in it."""
    folder = tmp_path_factory.mktemp("artifact")
    home = {"ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_CONFIG": str(root / "ansible.cfg")}
    command = ["ansible-galaxy", "collection", "build", str(root), "--output-path", str(folder)]
    done = subprocess.run(command, env=os.environ | home, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("openmlops-platform-*.tar.gz")
    return path


@pytest.fixture(scope="module")
def names(artifact):
    with tarfile.open(artifact) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_everything_is_in_it(names):
    assert WANTED - set(names) == set()
    assert WANTED_FOLDERS - {name.split("/")[0] for name in names} == set()


def test_nothing_else_is_in_it(names):
    found = [name for name in names if UNWANTED & set(PurePosixPath(name).parts) or name.endswith((".pyc", ".tar.gz", "~"))]
    assert found == []
    assert [name for name, member in names.items() if member.issym() or member.islnk()] == []


def test_no_ignored_file_is_in_it(names, tracked, root):
    """What a tool left in the checkout must not reach the users; work that is not added to git yet may be there."""
    new = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    known = {path.relative_to(root).as_posix() for path in tracked} | {"FILES.json", "MANIFEST.json", *new}
    assert [name for name, member in names.items() if member.isfile() and name not in known] == []


def test_it_is_small(artifact):
    assert artifact.stat().st_size < 3_000_000


@pytest.mark.slow
def test_a_playbook_runs_from_the_installed_artifact(artifact, ansible, tmp_path, root):
    ansible(
        "ansible-galaxy", "collection", "install", str(artifact), "--no-deps", "--offline", "-p", str(tmp_path / "collections"), cwd=tmp_path
    )
    inventory = tmp_path / "collections/ansible_collections/openmlops/platform/inventories/gke"
    assert (inventory / "hosts.yml").is_file()
    here = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}
    ansible("ansible-playbook", "openmlops.platform.site", "-i", str(inventory), "--syntax-check", cwd=tmp_path, env=here)
    listed = ansible("ansible-doc", "-t", "role", "-l", "openmlops.platform", cwd=tmp_path, env=here).stdout
    for role in (root / "roles").glob("*/meta/argument_specs.yml"):
        assert f"openmlops.platform.{role.parts[-3]}" in listed
