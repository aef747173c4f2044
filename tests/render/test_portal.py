# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portal's objects as its role renders them, and what its preflight refuses."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.access.services import normalise
from ansible_collections.openmlops.platform.tests.render.conftest import ROOT
from ansible_collections.openmlops.platform.tests.render.restricted import violations

ROLE = ROOT / "roles" / "portal"
LOGO = str(ROOT / "images/portal/portal/static/icon.svg")
BUILT = {"platform_image_source": "built"}
GOOD = {
    "local": BUILT,
    "registry": {"portal_image_repository": "registry.example.org/portal", "portal_image_tag": "1.0.0"},
    "mirror": {"platform_image_registry": "mirror.example.org/ml"},
    "branded": {**BUILT, "portal_logo": LOGO, "portal_title": 'Lab "1": #x', "portal_contact": "the {team}"},
    "open": {**BUILT, "ory_registration_enabled": True, "ory_smtp_connection_uri": "smtp://mail.example.org/", "ory_namespace": "people"},
}
BAD = {
    "nobody publishes the image": ({}, "portal_image_repository"),
    "half an image": ({"portal_image_repository": "registry.example.org/portal"}, "portal_image_tag"),
    "no colour": ({**BUILT, "portal_accent": "blue"}, "portal_accent"),
    "no title": ({**BUILT, "portal_title": " "}, "portal_title"),
    "no such logo": ({**BUILT, "portal_logo": "/nowhere/logo.svg"}, "portal_logo"),
    "a logo that is no SVG": ({**BUILT, "portal_logo": str(ROOT / "README.md")}, "portal_logo"),
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """case -> plan, or the error's text; all of them in one run."""
    here = Path(sys.executable).parent
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(here), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip(f"no ansible-playbook in {here} and on PATH")
    folder = tmp_path_factory.mktemp("portal")
    (folder / "templates").symlink_to(ROLE / "templates")
    cases = {**GOOD, **{name: given for name, (given, _told) in BAD.items()}}
    preflight = yaml.safe_load((ROLE / "tasks/preflight.yml").read_text())
    tasks = [
        {"name": case, "vars": {**given, "platform_hostname": "ml.example.org", "role_path": str(ROLE)},
         "block": [*preflight, {"name": "plan", "ansible.builtin.debug": {"msg": "{{ _portal_plan }}"}}],
         "rescue": [{"name": "refused", "ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}]}
        for case, given in cases.items()
    ]
    files = [ROOT / "roles/platform/defaults/main.yml", ROLE / "defaults/main.yml", ROLE / "vars/main.yml"]
    # Defaults and not vars_files, which would win over what a case sets.
    defaults = {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}
    play = {"name": "portal", "hosts": "localhost", "gather_facts": False, "vars": defaults, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [ansible, "-i", "localhost,", "-c", "local", str(folder / "play.yml")], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    (ran,) = json.loads(done.stdout)["plays"]
    found = [task["hosts"]["localhost"]["msg"] for task in ran["tasks"] if task["task"]["name"] in ("plan", "refused")]
    return dict(zip(cases, found, strict=True))


def objects(plan):
    return {each["kind"]: each for each in plan["phases"]["applications"]["objects"] if each}


def environment(plan):
    return {each["name"]: each["value"] for each in objects(plan)["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("case", GOOD)
def test_the_pod_may_do_nothing(outcome, case):
    pod = objects(outcome[case])["Deployment"]["spec"]["template"]["spec"]
    assert violations(pod) == []
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert outcome[case]["namespace_labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.mark.parametrize("case", GOOD)
def test_the_pod_has_the_settings_that_the_application_knows(outcome, case, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "images/portal"))
    import dataclasses

    from portal import settings

    given = environment(outcome[case])
    assert set(given) == {f"PORTAL_{field.name.upper()}" for field in dataclasses.fields(settings.Settings)} - {"PORTAL_TIMEOUT"}
    assert settings.read(given).url == "https://ml.example.org"


def test_the_image_is_where_the_user_put_it(outcome):
    def image(case):
        return objects(outcome[case])["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]

    assert image("local").startswith("localhost/openmlops/portal:")
    assert image("registry") == "registry.example.org/portal:1.0.0"
    assert image("mirror") == "mirror.example.org/ml/openmlops/portal:1.0.0"


def test_pages_follow_what_kratos_offers(outcome):
    flags = ("PORTAL_REGISTRATION", "PORTAL_RECOVERY", "PORTAL_VERIFICATION")
    assert [environment(outcome["local"])[name] for name in flags] == ["false"] * 3
    assert [environment(outcome["open"])[name] for name in flags] == ["true"] * 3
    assert environment(outcome["open"])["PORTAL_KETO"] == "http://keto-read.people.svc.cluster.local"


def test_brand(outcome):
    made = objects(outcome["branded"])
    assert made["ConfigMap"]["data"]["logo.svg"].startswith("<svg") and "ConfigMap" not in objects(outcome["local"])
    assert environment(outcome["branded"])["PORTAL_TITLE"] == 'Lab "1": #x'
    assert made["Deployment"]["spec"]["template"]["metadata"]["annotations"]["openmlops.io/logo"]


def test_the_ways_in(outcome):
    made = {entry["name"]: entry for entry in normalise(outcome["local"]["services"], "ml.example.org")}
    assert {name: (entry["prefix"], entry["allow"], entry["identity"], entry["landing"]) for name, entry in made.items()} == {
        "login": ("/auth", "public", "none", False), "landing": ("", "authenticated", "headers", False)}
    labels = objects(outcome["local"])["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert all(entry["selector"].items() <= labels.items() for entry in made.values())


@pytest.mark.parametrize("case", BAD)
def test_refusals_name_the_variable(outcome, case):
    assert isinstance(outcome[case], str) and BAD[case][1] in outcome[case]
