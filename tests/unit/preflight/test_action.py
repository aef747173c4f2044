# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action makes of arguments, inventory and cluster."""

from __future__ import annotations

import json
from unittest import mock

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import preflight
from ansible_collections.openmlops.platform.plugins.module_utils.preflight import asking
from ansible_collections.openmlops.platform.plugins.plugin_utils import platform_action
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

PLAN = {"component": "web", "namespace": "ml", "phases": {"stores": {"objects": [manifest("ConfigMap", "c", "ml")]}}}


@pytest.fixture
def run(monkeypatch, judge):
    """Returns a function that runs the action; ``variables`` are those of the inventory."""
    monkeypatch.setattr(platform_action, "connect", lambda args: judge)
    monkeypatch.setattr(asking, "helm_version", lambda binary: "v4.3.1")
    monkeypatch.setattr(preflight, "_kubernetes_core", lambda: "6.6.0")

    def go(variables=None, **args):
        task = mock.MagicMock(args={"plan": [PLAN], **args}, check_mode=False, diff=False, async_val=0)
        found = preflight.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), Templar(DataLoader(), variables or {}),
                                       mock.MagicMock())
        found.say = mock.MagicMock()
        result = found.run(task_vars=variables or {})
        assert not task.check_mode
        return result

    return go


def levels(result):
    return {(entry["check"], entry["level"]) for entry in result["preflight"]["findings"]}


def test_all_is_well(run, judge):
    judge.put(manifest("Node", "n", status={"allocatable": {"cpu": "2", "memory": "4Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}))
    judge.requests.clear()
    result = run()
    assert not result["changed"] and result["preflight"]["errors"] == 0, result
    assert {check for check, _level in levels(result)} == {
        "inventory", "cluster", "rights", "api", "storage", "capacity", "definitions", "releases", "objects", "namespaces", "dns", "clock",
        "tools", "licences"}
    assert not judge.writes()


def test_everything_is_told_at_once(run, judge, tmp_path):
    judge.may = lambda attributes: False
    document = tmp_path / "report.json"
    with pytest.raises(AnsibleActionFail, match="ml: no good.*may not.*platform_hostname is empty"):
        run({"platform_gateway": "ambassador", "platform_hostname": ""}, problems=["ml: no good"], dest=str(document),
            rights_dest=str(tmp_path / "rights.yml"))
    found = json.loads(document.read_text())
    assert {entry["check"] for entry in found["findings"] if entry["level"] == "error"} >= {"inventory", "rights", "dns", "capacity"}
    assert all(entry["cure"] for entry in found["findings"] if entry["level"] in ("error", "warning"))
    roles = list(yaml.safe_load_all((tmp_path / "rights.yml").read_text()))
    assert {obj["kind"] for obj in roles} >= {"Role", "RoleBinding"}
    assert not judge.writes()


def test_the_rights_file_has_all_that_a_run_needs(run, judge, tmp_path):
    """Applied again after an update, it must not take away what the account has by the first one."""
    path = tmp_path / "rights.yml"
    texts = []
    for may in (lambda attributes: False, lambda attributes: attributes["resource"] != "*" and attributes["verb"] != "patch", lambda attributes: True):
        judge.may = may
        run(fail=False, rights_dest=str(path))
        texts.append(path.read_text())
    assert texts[0] == texts[1] == texts[2]
    role = next(obj for obj in yaml.safe_load_all(texts[0]) if obj["kind"] == "Role" and obj["metadata"]["namespace"] == "ml")
    assert {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"]} in role["rules"]


def test_without_failing(run, judge):
    judge.may = lambda attributes: False
    assert run(fail=False)["preflight"]["errors"] > 0


def test_a_plan_that_is_wrong_is_a_finding(run):
    wrong = {"component": "web", "namespace": "ml", "phases": {"z": {}}}
    result = run(plan=[wrong], fail=False)["preflight"]
    assert any("no phase 'z'" in entry["cause"] for entry in result["findings"] if entry["check"] == "inventory")


@pytest.mark.parametrize(("local", "level"), [(True, "note"), (False, "error")])
def test_no_cluster(run, monkeypatch, local, level):
    from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable

    def refuse(args):
        raise Unreachable(0, "Unreachable", "No answer")

    monkeypatch.setattr(platform_action, "connect", refuse)
    result = run({"local_cluster_provider": "native"} if local else {}, fail=False)
    assert ("cluster", level) in levels(result) and ("tools", "ok") in levels(result)


def test_charts_are_looked_into(run, judge, monkeypatch):
    release = {"name": "r", "namespace": "ml", "chart": "postgresql/cloudnative-pg", "values": {}}
    plan = {"component": "web", "namespace": "ml", "phases": {"operators": {"releases": [release]}}}
    asked = []

    def render(self, module, wanted, args):
        asked.append((module, wanted["chart_version"]))
        return {"stdout": yaml.safe_dump(manifest("ClusterRole", "operator"))}

    monkeypatch.setattr(preflight.ActionModule, "_run_helm", render)
    judge.may = lambda attributes: attributes["resource"] not in ("*", "clusterroles")
    result = run({"platform_helm_binary": "helm"}, plan=[plan], fail=False)
    assert asked and asked[0][0] == "helm_template"
    assert any("clusterroles" in entry["cause"] for entry in result["preflight"]["findings"] if entry["check"] == "rights")


def test_a_chart_that_cannot_be_had(run, monkeypatch):
    from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError

    def render(self, module, wanted, args):
        raise HelmError("no route to host")

    release = {"name": "r", "namespace": "ml", "chart": "postgresql/cloudnative-pg", "values": {}}
    monkeypatch.setattr(preflight.ActionModule, "_run_helm", render)
    plan = {"component": "web", "namespace": "ml", "phases": {"operators": {"releases": [release]}}}
    result = run({"platform_helm_binary": "helm"}, plan=[plan], fail=False)
    found = [entry for entry in result["preflight"]["findings"] if "cannot be rendered" in entry["cause"]]
    assert found and "platform_chart_source" in found[0]["cure"]
