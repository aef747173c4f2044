# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of the site are gathered whole, or what is wrong is named."""

from __future__ import annotations

import shutil

import pytest
from docsite import build

PARTS = ["docs", "examples", "plugins", "playbooks", "roles", "scripts/playbook", "galaxy.yml", "platform.lock.yml", "README.md", "CONTRIBUTING.md",
         "requirements",
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


def test_a_folder_with_other_things_is_not_replaced(tmp_path, capsys, monkeypatch):
    """OUTPUT_DIR is emptied, so it must not be a folder of something else."""
    monkeypatch.setattr(build, "build", lambda root, work: pytest.fail("built all the same"))
    (tmp_path / "thesis.md").touch()
    for place in (tmp_path, tmp_path / "thesis.md"):
        assert build.main([str(tmp_path / "work"), str(place)]) == 2
        assert f"OUTPUT_DIR={place} holds something else than an earlier site" in capsys.readouterr().err
    assert (tmp_path / "thesis.md").exists()


def test_an_earlier_site_is_replaced(tmp_path, capsys, monkeypatch):
    work, place = tmp_path / "work", tmp_path / "site"

    def made(root, folder):
        (folder / "html").mkdir(parents=True)
        (folder / "html/index.html").touch()
        (folder / "html/.buildinfo").touch()
        return folder / "html"

    monkeypatch.setattr(build, "build", made)
    place.mkdir()
    for _again in range(2):
        assert build.main([str(work), str(place)]) == 0
        (place / "old.html").touch()
    assert build.main([str(work), str(place)]) == 0 and not (place / "old.html").exists()
    assert "site: 1 pages" in capsys.readouterr().out and not work.exists()
