# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action makes of plans, inventory and programs."""

from __future__ import annotations

import json
from unittest import mock

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import mirror
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.running import ProgramError
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest
from ansible_collections.openmlops.platform.tests.unit.mirror.test_copying import FakeHelm, FakeSkopeo

RELEASE = {"name": "kratos", "namespace": "ory", "chart": "ory/kratos", "values": {}}
PLAN = {"component": "ory", "namespace": "ory", "phases": {
    "stores": {"objects": [manifest("Job", "j", "ory", spec={"template": {"spec": {"containers": [{"image": "quay.io/x/own:1"}]}}})]},
    "applications": {"releases": [RELEASE]}}}
POD = manifest("Deployment", "d", spec={"template": {"spec": {"containers": [{"image": "quay.io/x/side:2"}]}}})


@pytest.fixture
def skopeo():
    return FakeSkopeo()


@pytest.fixture
def run(monkeypatch, tmp_path, skopeo):
    """Returns a function that runs the action; programs are stand-ins, upstream has everything."""
    found_helm = FakeHelm()
    monkeypatch.setattr(mirror, "find_program", lambda name: "/usr/bin/skopeo")
    monkeypatch.setattr(mirror, "Skopeo", lambda *args: skopeo)
    monkeypatch.setattr(mirror.ActionModule, "_helm", lambda self, args, logins, scratch: found_helm)
    monkeypatch.setattr(mirror.ActionModule, "_run_helm", lambda self, module, wanted, args: {"stdout": yaml.safe_dump(POD)})
    given = skopeo.manifest
    monkeypatch.setattr(skopeo, "manifest", lambda reference, mirror=False: b"{}" if not mirror else given(reference))

    def go(variables=None, check=False, **args):
        task = mock.MagicMock(args={"plan": [PLAN], **args}, check_mode=check, diff=False, async_val=0)
        found = mirror.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), Templar(DataLoader(), variables or {}),
                                    mock.MagicMock())
        found.say = mock.MagicMock()
        return found.run(task_vars={"platform_cache_dir": str(tmp_path / "cache"), **(variables or {})})

    return go


def test_only_a_list(run, skopeo):
    found = run()["mirror"]
    assert {entry["source"] for entry in found["images"]} >= {"quay.io/x/own:1", "quay.io/x/side:2"}
    assert {entry["name"] for entry in found["images"]} >= {"ory/kratos", "ory/keto", "ory/oathkeeper"}
    assert [(entry["name"], entry["state"]) for entry in found["charts"]] == [("kratos", "unknown")]
    assert len([note for note in found["notes"] if "listed only" in note]) == 2 and not skopeo.copied


def test_everything_is_copied_once(run, skopeo, tmp_path):
    args = {"registry": "m.example.org/ml", "charts": str(tmp_path / "charts"), "dest": str(tmp_path / "out" / "list")}
    planned = run(check=True, **args)
    assert planned["changed"] and len(planned["missing"]) == 6 and not skopeo.copied and not (tmp_path / "out").exists()
    first = run(**args)
    assert first["changed"] and sorted(first["copied"]) == sorted(planned["missing"])
    assert {entry["state"] for kind in ("images", "charts") for entry in first["mirror"][kind]} == {"present"}
    text = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert json.loads(text["list.json"]) == first["mirror"] and "m.example.org/ml/oryd/kratos" in text["list.txt"]
    skopeo.copied.clear()
    again = run(**args)
    assert not again["changed"] and again["copied"] == [] and again["mirror"] == first["mirror"] and not skopeo.copied
    assert not run(check=True, **args)["changed"]
    # A list that is not there yet is a change, and check mode says so.
    elsewhere = {**args, "dest": str(tmp_path / "other" / "list")}
    assert run(check=True, **elsewhere)["changed"] and not (tmp_path / "other").exists()
    assert run(**elsewhere)["changed"]


def rendered(monkeypatch):
    """The arguments with which charts are rendered from now on."""
    asked = []
    monkeypatch.setattr(mirror.ActionModule, "_run_helm", lambda self, module, wanted, args: asked.append(wanted) or {"stdout": ""})
    return asked


def test_what_the_mirror_has_is_rendered_from_there(run, monkeypatch):
    """So that a place without a way out finds the images that only charts name."""
    asked = rendered(monkeypatch)
    args = {"charts": "oci://m.example.org/charts", "plain_http": True}
    run(check=True, **args)
    assert asked[-1]["chart_repo_url"].startswith("https://") and "plain_http" not in asked[-1]
    run(**args)
    assert (asked[-1]["chart_ref"], asked[-1]["plain_http"]) == ("oci://m.example.org/charts/kratos", True)
    assert asked[-1]["chart_version"] and "chart_repo_url" not in asked[-1]


def test_a_release_may_have_a_source_of_its_own(run, monkeypatch, tmp_path):
    asked = rendered(monkeypatch)
    own = {**PLAN, "phases": {"applications": {"releases": [{**RELEASE, "source": "bundled"}]}}}
    found = run(plan=[own], charts=str(tmp_path / "charts"))
    assert [(entry["repository"], entry["state"]) for entry in found["mirror"]["charts"]] == [("bundled", "present")]
    assert found["copied"] == [] and "/kratos" in asked[-1]["chart_ref"] and str(tmp_path / "cache") in asked[-1]["chart_ref"]


def test_what_is_not_built_here_is_no_error(run):
    """Polyaxon's operator has no source, and with our own chart it is not installed."""
    own = {"component": "polyaxon", "namespace": "polyaxon-v1", "phases": {}}
    found = run({"platform_image_source": "built", "platform_chart_source": "bundled"}, plan=[own])
    assert [entry["name"] for entry in found["mirror"]["images"]] == ["polyaxon/server"]


def test_a_list_without_copying(run, skopeo):
    found = run(registry="m.example.org/ml", copy=False)
    assert not found["changed"] and not skopeo.copied
    assert "missing" in {entry["state"] for entry in found["mirror"]["images"]}


def test_without_skopeo_charts_are_copied_and_the_rest_is_told(run, monkeypatch, tmp_path):
    monkeypatch.setattr(mirror, "find_program", lambda name: None)
    with pytest.raises(AnsibleActionFail, match="not complete.*skopeo is missing: install the Debian package skopeo.*list.json"):
        run(registry="m.example.org/ml", charts=str(tmp_path / "charts"), dest=str(tmp_path / "list"))
    assert list((tmp_path / "charts").glob("kratos-*.tgz")) and (tmp_path / "list.txt").is_file()
    with pytest.raises(AnsibleActionFail, match="skopeo is missing"):
        run(registry="m.example.org/ml", check=True)


def test_check_mode_inside_proves_that_the_mirror_is_complete(run, monkeypatch, skopeo):
    run(registry="m.example.org/ml")
    there = skopeo.manifest

    def inside(reference, mirror=False):
        if not mirror:
            raise ProgramError("dial tcp: no route to host")
        return there(reference, mirror=True)

    monkeypatch.setattr(skopeo, "manifest", inside)
    found = run(registry="m.example.org/ml", check=True)
    assert not found["changed"] and {entry["state"] for entry in found["mirror"]["images"]} == {"present"}
    skopeo.there.pop("m.example.org/ml/x/own:1")
    with pytest.raises(AnsibleActionFail, match="the mirror is not complete: quay.io/x/own:1: .*no route to host"):
        run(registry="m.example.org/ml", check=True)


def test_a_chart_that_cannot_be_rendered_is_a_note(run, monkeypatch):
    def refuse(self, module, wanted, args):
        raise HelmError("no route to host")

    monkeypatch.setattr(mirror.ActionModule, "_run_helm", refuse)
    found = run()["mirror"]
    assert any("release ory/kratos: its chart could not be rendered" in note for note in found["notes"])
    assert "quay.io/x/own:1" in {entry["source"] for entry in found["images"]}


@pytest.mark.parametrize(("args", "message"), [({"registry": "https://m"}, "platform_mirror_registry is 'https://m': write HOST/PATH"),
                                               ({"charts": "relative"}, "platform_mirror_charts is 'relative': write oci://")])
def test_nonsense(run, args, message):
    with pytest.raises(AnsibleActionFail, match=message):
        run(**args)


def test_no_password_in_the_result(run):
    variables = {"platform_registries": [{"server": "m.example.org", "username": "u", "password_variable": "word"}], "word": "hunter2"}
    assert "hunter2" not in json.dumps(run(variables, registry="m.example.org/ml"))
    with pytest.raises(AnsibleActionFail, match="the variable word, named as the password of m.example.org, is empty"):
        run({**variables, "word": ""})
