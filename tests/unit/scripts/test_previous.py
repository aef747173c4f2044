# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/previous, in a small repository of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path):
    """A repository with two releases and the script."""
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/previous", folder / "scripts")

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "-q")
    for version in ("one", "two"):
        (folder / "version").write_text(version)
        git("add", "-A")
        git("commit", "-qm", version)
        git("tag", version)
    return folder


def run(checkout, folder, **environment):
    return subprocess.run([checkout / "scripts/previous", folder], capture_output=True, text=True, check=False, cwd=checkout,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(checkout.parent), **environment})


def test_the_release_before_this_one(checkout, tmp_path):
    folder = tmp_path / "previous"
    for _again in range(2):
        done = run(checkout, folder)
        assert done.returncode == 0 and len(done.stdout.strip()) == 40, done.stderr
        assert (folder / "version").read_text() == "one"
        (folder / "left").touch()
    assert run(checkout, folder, MOLECULE_UPGRADE_FROM="two").returncode == 0
    assert (folder / "version").read_text() == "two" and not (folder / "left").exists()


def test_a_commit_that_is_not_there(checkout, tmp_path):
    done = run(checkout, tmp_path / "previous", MOLECULE_UPGRADE_FROM="none")
    assert done.returncode == 2 and "set MOLECULE_UPGRADE_FROM" in done.stderr and not (tmp_path / "previous").exists()


@pytest.mark.parametrize("folder", [".", "scripts"])
def test_a_folder_of_somebody_else_stays(checkout, folder):
    done = run(checkout, folder)
    assert done.returncode == 2 and "does not come from scripts/previous: name another folder" in done.stderr
    assert (checkout / "version").read_text() == "two" and (checkout / "scripts/previous").is_file()
