# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of what can be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build import spec
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError

COLLECTION = Path(__file__).resolve().parents[3]


def test_version_is_filled_into_stamps(root):
    assert spec.program(root, "hello").stamp == {"main.version": "v1.2.3"}
    assert spec.program(root, "hello").go_minimum == (1, 21)


def test_unknown_name_lists_the_known_ones(root):
    with pytest.raises(BuildError, match="no image/other; known are: bottom, top"):
        spec.image(root, "other")


@pytest.mark.parametrize("wrong", ["hello", "binary/", "chart/x", "binary/../x", "image/UPPER"])
def test_artifact_must_have_kind_and_name(wrong):
    with pytest.raises(BuildError, match="is not an artifact"):
        spec.split(wrong)


@pytest.mark.parametrize(
    ("text", "message"),
    [("title: x\n", "missing: estimate, licence, source, version"), ("[]", "a mapping is expected")],
)
def test_wrong_description_names_the_file(root, text, message):
    path = root / "images/bottom/image.yml"
    path.write_text(text)
    with pytest.raises(BuildError, match=f"image.yml: {message}"):
        spec.image(root, "bottom")


def test_misspelt_key_is_an_error(root):
    path = root / "images/bottom/image.yml"
    path.write_text(path.read_text() + "form: base\n")
    with pytest.raises(BuildError, match="unknown: form"):
        spec.image(root, "bottom")


@pytest.mark.parametrize("name", spec.names(COLLECTION, spec.BINARY))
def test_our_programs_are_pinned(name):
    program = spec.program(COLLECTION, name)
    module = (program.folder / "go.mod").read_text()
    assert module.startswith(f"module openmlops.dev/cluster/{name}\n")
    assert (program.folder / "go.sum").is_file()
    if program.package == ".":
        assert (program.folder / "main.go").is_file()
    else:
        assert f"\ntool {program.package}\n" in module, "a tool line makes go.sum cover the whole program"


@pytest.mark.parametrize("name", spec.names(COLLECTION, spec.IMAGE))
def test_our_images_are_labelled_and_run_without_root(name):
    image = spec.image(COLLECTION, name)
    text = (image.folder / "Containerfile").read_text()
    for key, value in {
        "title": image.title,
        "version": image.version,
        "licenses": image.licence,
        "source": image.source,
    }.items():
        assert f'org.opencontainers.image.{key}="{value}"' in text
    users = [line.split()[1] for line in text.splitlines() if line.startswith("USER ")]
    assert users[-1].split(":")[0] not in ("0", "root")
    if image.parent or image.rootfs:
        assert "ARG BASE=" in text, "any Debian image can stand in"
    for binary in image.binaries:
        assert f"COPY bin/{binary} " in text
        if not image.parent:
            assert spec.program(COLLECTION, binary).version == image.version


@pytest.mark.parametrize(
    "path", sorted(COLLECTION.glob("images/*/requirements.txt")), ids=lambda path: path.parent.name
)
def test_requirements_are_pinned_with_hashes_and_name_no_index(path):
    text = path.read_text()
    entries = text.replace("\\\n", " ").splitlines()
    pins = [line for line in entries if line and not line.lstrip().startswith("#")]
    assert pins
    assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []
    assert "://" not in text and "find-links" not in text
