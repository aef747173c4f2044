# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of the site are scripts, not part of the collection: their folder is put where Python looks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def pages(root: Path) -> dict[str, str]:
    """Return the text of every page that people read, by path in the checkout."""
    paths = [*root.glob("docs/**/*.md"), root / "README.md", root / "CONTRIBUTING.md"]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


@pytest.fixture(scope="session")
def options(root: Path) -> set[str]:
    """Return every variable of every role."""
    from docsite import reference

    return set(reference.option_anchors(reference.specs(root)))


@pytest.fixture(scope="session")
def lock(root: Path) -> dict:
    """Return platform.lock.yml."""
    return yaml.safe_load((root / "platform.lock.yml").read_text(encoding="utf-8"))
