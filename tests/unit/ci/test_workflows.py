# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workflow of a public forge, as far as it can be tested without one: its schema, actionlint where there is one, what it names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return request.param


def test_there_is_one():
    assert WORKFLOWS


def test_it_fits_the_schema_of_the_forge(workflow):
    program = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run([program, "--builtin-schema", "vendor.github-workflows", workflow], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_refuses_what_is_wrong(workflow, tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(workflow.read_text().replace("runs-on:", "run-on:"))
    program = Path(sys.executable).parent / "check-jsonschema"
    assert subprocess.run([program, "--builtin-schema", "vendor.github-workflows", wrong], capture_output=True, check=False).returncode == 1


def test_actionlint(workflow):
    """OPENMLOPS_ACTIONLINT names the program; go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12."""
    program = os.environ.get("OPENMLOPS_ACTIONLINT") or shutil.which("actionlint")
    if not program:
        pytest.skip("no actionlint on PATH")
    done = subprocess.run([program, "-no-color", workflow], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_it_names_is_there(workflow):
    content = yaml.safe_load(workflow.read_text())
    for job in content["jobs"].values():
        for scenario in job.get("strategy", {}).get("matrix", {}).get("scenario", []):
            assert (ROOT / "molecule" / scenario / "molecule.yml").is_file(), scenario
        for step in job["steps"]:
            for script in re.findall(r"\bscripts/[a-z_]+", step.get("run", "")):
                assert os.access(ROOT / script, os.X_OK), script
            for verb in re.findall(r"\bmake ([a-z]+)", step.get("run", "")):
                assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text(), re.MULTILINE), verb
            # No value of the forge is put into a script as text: a branch's name could be a command.
            assert "${{" not in step.get("run", ""), step
        assert job["timeout-minutes"] <= 60
    assert content["permissions"] == {"contents": "read"}
