# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base job template of Prefect's work pools, as its Kubernetes worker needs it."""
from __future__ import annotations

import json
import re

import pytest

from ansible_collections.openmlops.platform.tests.render.conftest import ROOT
from ansible_collections.openmlops.platform.tests.render.restricted import violations

# The worker refuses a manifest without these; the last two are misplaced, and asked for nevertheless.
REQUIRED = [
    "apiVersion", "kind", "metadata.labels", "spec.template.spec.restartPolicy", "spec.template.spec.containers",
    "spec.template.spec.parallelism", "spec.template.spec.completions",
]


@pytest.fixture(scope="module")
def template():
    return json.loads((ROOT / "roles/prefect/files/base-job-template.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", REQUIRED)
def test_what_the_worker_asks_for(template, path):
    found = template["job_configuration"]["job_manifest"]
    for key in path.split("."):
        assert key in found, path
        found = found[key]


def test_each_placeholder_is_a_variable_and_each_variable_is_used(template):
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])


def test_flows_run_restricted(template):
    assert violations(template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]) == []
