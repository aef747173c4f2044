# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every structure test needs: the checkout, its tracked files, and YAML."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``role``, ``inventory`` or ``playbook`` once for each that the checkout has."""
    sources = {
        "role": sorted(path for path in (ROOT / "roles").glob("*") if path.is_dir()),
        "inventory": sorted((ROOT / "inventories").glob("*/hosts.yml")),
        "playbook": sorted([*(ROOT / "playbooks").glob("*.yml"), *ROOT.glob("site.yml")]),
    }
    for name, paths in sources.items():
        if name in metafunc.fixturenames:
            ids = [path.parent.name if name == "inventory" else path.relative_to(ROOT).as_posix() for path in paths]
            metafunc.parametrize(name, paths, ids=ids)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def load() -> Callable[[Path], Any]:
    """Return a function that reads a YAML file with one document; a file that is absent counts as empty."""

    def read(path: Path) -> Any:
        if not path.exists():
            return {}
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}

    return read


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Return every tracked file that is still there, links left out."""
    if not (root / ".git").exists():
        pytest.skip("no git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True).stdout
    paths = [root / name for name in names.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.fixture(scope="session")
def texts(tracked: list[Path]) -> dict[Path, str]:
    """Return the text of every tracked file that is text."""
    found = {}
    for path in tracked:
        try:
            found[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


@pytest.fixture
def ansible(root: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Return a function that runs an Ansible program from the checkout as a user would, and expects success.

    Keyword ``cwd`` (default: the checkout) and ``env`` (more variables) may be given; a failure shows the whole output.
    """

    def run(*command: str, cwd: Path = root, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        clean |= {"ANSIBLE_HOME": str(tmp_path / "ansible-home"), "NO_COLOR": "1"} | (env or {})
        done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    return run
