# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection in miniature, and builders for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder

MAIN = """package main

import "fmt"

var version = "unset"

func main() { fmt.Println(version) }
"""


def write_program(root: Path, name: str, extra: str = "", source: str = MAIN) -> None:
    """Add the Go program *name* to the collection in *root*."""
    folder = root / "cluster" / name
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(f"module example.test/{name}\n\ngo 1.21\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text(source)
    (folder / "build.yml").write_text(
        f"package: .\nversion: 1.2.3\nstamp: {{main.version: 'v{{version}}'}}\n"
        f"licence: Apache-2.0\nsource: https://example.test\nestimate: 10\n{extra}"
    )


def write_image(root: Path, name: str, extra: str = "", containerfile: str = "FROM scratch\n") -> None:
    """Add the image *name* to the collection in *root*."""
    folder = root / "images" / name
    folder.mkdir(parents=True)
    (folder / "Containerfile").write_text(containerfile)
    (folder / "image.yml").write_text(
        f"title: {name}\nversion: 1\nlicence: Apache-2.0\nsource: https://example.test\nestimate: 20\n{extra}"
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Root of a collection with a program, and images that need it and each other."""
    root = tmp_path / "collection"
    write_program(root, "hello")
    write_image(root, "bottom")
    top = "ARG BASE\nFROM ${BASE}\nCOPY bin/hello /hello\n"
    write_image(root, "top", "from: bottom\nbinaries: [hello]\ntag_prefix: 15-\n", top)
    return root


@pytest.fixture
def lines() -> list[str]:
    """Lines of progress that a builder said."""
    return []


@pytest.fixture
def builder(root: Path, tmp_path: Path, lines: list[str]) -> Builder:
    """A builder for the miniature with an empty cache."""
    return Builder(root, tmp_path / "cache", lines.append)
