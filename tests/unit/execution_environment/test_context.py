# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The build context of the execution environment, made by the real ansible-builder. The image itself needs a registry of images."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "execution-environment/execution-environment.yml"


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """Returns the folder that `ansible-builder create` makes."""
    folder = tmp_path_factory.mktemp("ee") / "context"
    program = Path(sys.executable).parent / "ansible-builder"
    command = [program, "create", "-f", SOURCE, "-c", folder, "--output-filename", "Containerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_context_is_built(context):
    text = (context / "Containerfile").read_text()
    assert 'ARG EE_BASE_IMAGE="registry.fedoraproject.org/fedora:42"' in text and "helm version" in text
    assert "kubernetes.core" in (context / "_build/requirements.yml").read_text()
    assert "helm [platform:rpm]" in (context / "_build/bindep.txt").read_text()


def lines(path):
    return [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


def test_python_packages_are_those_of_the_collection(context):
    named = lines(context / "_build/requirements.txt")
    assert set(lines(ROOT / "requirements/collection.in")) <= set(named)
    assert [line for line in named if line not in lines(ROOT / "requirements/collection.in")] == ["google-auth[requests]>=2.40"]


def test_versions_are_those_of_the_tests():
    document = yaml.safe_load(SOURCE.read_text())
    pinned = re.search(r"^ansible-core==(\S+)", (ROOT / "requirements/controller.txt").read_text(), re.MULTILINE)[1]
    assert document["dependencies"]["ansible_core"]["package_pip"] == f"ansible-core=={pinned}"
    wanted = yaml.safe_load((ROOT / "collections/requirements.yml").read_text())["collections"]
    assert document["dependencies"]["galaxy"]["collections"] == wanted
