# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of the site are gathered whole, or what is wrong is named."""

from __future__ import annotations

import shutil

import pytest
from docsite import build

PARTS = ["docs", "examples", "plugins", "playbooks", "roles", "scripts/playbook", "galaxy.yml", "platform.lock.yml", "README.md", "CONTRIBUTING.md", "requirements",
         "inventories", "LICENSE", "changelogs", "awx"]  # fmt: skip


@pytest.fixture
def checkout(root, tmp_path):
    """A copy of what the site is made from."""
    copy = tmp_path / "checkout"
    for part in PARTS:
        (copy / part).parent.mkdir(parents=True, exist_ok=True)
        if (root / part).is_dir():
            shutil.copytree(root / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(root / part, copy / part)
    return copy


def test_all_is_gathered(checkout, tmp_path, pages):
    sources = tmp_path / "sources"
    number = build.gather(checkout, sources)
    written = {path.relative_to(sources).as_posix() for path in sources.rglob("*.md")}
    wanted = {path.removeprefix("docs/") for path in pages if path.startswith("docs/")}
    assert wanted | {"contributing.md", "versions.md", "reference/playbooks.md", "reference/roles.md"} <= written
    assert number == len(written)


def test_a_dead_link_is_named(checkout, tmp_path):
    with (checkout / "docs/gke.md").open("a") as page:
        page.write("\n[x](none.md) and [y](../roles/none/x.yml)\n")
    with pytest.raises(build.Failed) as failed:
        build.gather(checkout, tmp_path / "sources")
    assert "docs/gke.md: a link leads to docs/none.md, which is not there" in str(failed.value)
    assert "docs/gke.md: a link leads to roles/none/x.yml, which is not there" in str(failed.value)
