# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that the roles render: our charts take them, and the upstream charts know them."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.charts.source import resolve
from ansible_collections.openmlops.platform.tests.render.conftest import ROOT
from ansible_collections.openmlops.platform.tests.render.restricted import violations

# role -> chart, the variable that holds the release, the upstream chart's folder in shared/upstream
RELEASES = {
    "mlflow": ("mlflow", "_mlflow_plan.phases.applications.releases[0]", None),
    "object_store": ("versitygw", "_object_store_release", "objectstore/versitygw"),
    "postgresql": ("cloudnative-pg", "_postgresql_operator", "cnpg/cloudnative-pg"),
}
LOCAL = {"platform_chart_source": "bundled", "platform_image_source": "built"}
CASES = {
    "defaults": {},
    "local": LOCAL,
    "private registry": {**LOCAL, "platform_image_pull_secrets": ["registry"]},
    "sub-path": {**LOCAL, "mlflow_static_prefix": "/mlflow", "mlflow_cors_allowed_origins": ["https://ml.example.org"],
                 "mlflow_artifact_root": "s3://elsewhere/x", "mlflow_replicas": 2},
}

each_role = pytest.mark.parametrize("role", RELEASES)
each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """(role, case) -> the values of the role's release, rendered by Ansible; all of them in one run."""
    here = Path(sys.executable).parent  # the environment that runs this test has Ansible too
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(here), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip(f"no ansible-playbook in {here} and on PATH")
    folder = tmp_path_factory.mktemp("roles")
    plays = []
    for role, (_chart, release, _upstream) in RELEASES.items():
        # A play in a folder of its own beside the role's templates: they are found as if the role itself asked.
        place = folder / role
        place.mkdir()
        (place / "templates").symlink_to(ROOT / "roles" / role / "templates")
        tasks = [
            {
                "name": case,
                "ansible.builtin.debug": {"msg": "{{ %s['values'] }}" % release},
                "vars": {**variables, "role_path": str(ROOT / "roles" / role)},
            }
            for case, variables in CASES.items()
        ]
        files = [ROOT / "roles" / name / part / "main.yml" for part in ("defaults", "vars")
                 for name in ("platform", *RELEASES) if part == "defaults" or name in ("platform", role)]
        play = {"name": role, "hosts": "localhost", "gather_facts": False, "tasks": tasks,
                "vars_files": [str(file) for file in files]}
        (place / "play.yml").write_text(yaml.safe_dump([play]))
        plays.append(str(place / "play.yml"))
    done = subprocess.run(
        [ansible, "-i", "localhost,", "-c", "local", *plays], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    found = {
        (play["play"]["name"], task["task"]["name"]): task["hosts"]["localhost"]["msg"]
        for playbook in documents(done.stdout) for play in playbook["plays"] for task in play["tasks"]
    }
    return lambda role, case: dict(found[role, case])


@each_role
@each_case
def test_our_chart_takes_them(values, render, role, case):
    given = values(role, case)
    given.pop("crds", None)  # the one that differs by source; test_definitions looks at it
    rendered = render(RELEASES[role][0], given, minimal=False)
    assert violations(rendered.pod["spec"]) == []


@each_role
@each_case
def test_the_upstream_chart_knows_them(values, shared, role, case):
    chart, _release, upstream = RELEASES[role]
    if not upstream:
        pytest.skip(f"{shared}/upstream has no values of {chart}'s chart")
    folder = shared / "upstream" / upstream
    known = yaml.safe_load((folder / "values.yaml").read_text())
    assert list(unknown(values(role, case), known)) == []
    if (folder / "values.schema.json").is_file():
        jsonschema.validate(values(role, case), json.loads((folder / "values.schema.json").read_text()))


@each_role
@each_case
def test_the_upstream_chart_renders_them(values, helm, role, case):
    folder = os.environ.get("OPENMLOPS_CHARTS")
    if not folder:
        pytest.skip("OPENMLOPS_CHARTS names no folder with the upstream charts")
    entry = yaml.safe_load((ROOT / "platform.lock.yml").read_text())["components"][role]
    chart = resolve(folder, entry, ROOT / "charts")["ref"]
    done = subprocess.run(
        [helm, "template", entry["chart"]["name"], chart, "--kube-version", "1.35.4", "--values", "-"],
        input=yaml.safe_dump(values(role, case)), capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    pods = [item["spec"]["template"]["spec"] for item in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)
            if item and item["kind"] in ("Deployment", "Job")]
    assert pods and [violations(pod) for pod in pods] == [[]] * len(pods)


def test_definitions(values):
    assert values("postgresql", "local")["crds"] == {"create": False}
    assert values("postgresql", "defaults")["crds"] == {"create": True}


def test_images(values):
    for role in RELEASES:
        assert values(role, "local")["image"]["repository"].startswith("localhost/openmlops/")
        assert not values(role, "defaults")["image"]["repository"].startswith("localhost/")
        assert values(role, "defaults")["image"]["tag"] not in ("", "latest")


def documents(text):
    """The JSON documents of a text, one per playbook."""
    while text.strip():
        document, end = json.JSONDecoder().raw_decode(text.lstrip())
        yield document
        text = text.lstrip()[end:]


def unknown(values, known, prefix=""):
    """Paths that upstream's values.yaml does not have; what it has as an empty map takes anything."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if key not in known:
            yield path
        elif isinstance(value, dict) and known[key] and not path.endswith("ecurityContext"):
            yield from unknown(value, known[key], f"{path}.")
