# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions make of a task's arguments and of the inventory."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import converge, status
from ansible_collections.openmlops.platform.plugins.module_utils.condition import certificates
from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge import status as converge_status
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import Outcome
from ansible_collections.openmlops.platform.plugins.module_utils.converge.engine import Report
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError, Release, Releases
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden
from ansible_collections.openmlops.platform.plugins.plugin_utils import platform_action
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

TOKEN = {"platform_api_host": "https://example.org", "platform_api_key": "t", "platform_api_ca_cert": "~/ca.crt",
         "platform_api_validate_certs": "false"}
FILE = {"platform_kubeconfig": "~/config", "platform_context": "c"}


def action(module, variables=None, check=False, diff=False, **args):
    task = mock.MagicMock(args=args, check_mode=check, diff=diff, async_val=0)
    found = module.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), Templar(DataLoader(), variables or {}), mock.MagicMock())
    found.say = mock.MagicMock()
    return found


@pytest.fixture
def connected(monkeypatch, cluster):
    """The arguments with which a connection was asked for; the answer is the stand-in."""
    asked = []
    monkeypatch.setattr(platform_action, "connect", lambda args: asked.append(args) or cluster)
    return asked


# -- connection -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "args", "expected"),
    [
        (FILE, {}, {"kubeconfig": "/home/ann/config", "context": "c"}),
        (TOKEN, {}, {"host": "https://example.org", "api_key": "t", "ca_cert": "/home/ann/ca.crt", "validate_certs": False}),
        (FILE, {"host": "https://other.example.org", "api_key": "u"},
         {"host": "https://other.example.org", "api_key": "u", "kubeconfig": None, "context": None}),
        (TOKEN, {"kubeconfig": "/k", "context": "d"}, {"kubeconfig": "/k", "context": "d", "host": None, "api_key": None}),
        ({**FILE, "platform_context": ""}, {}, {"kubeconfig": "/home/ann/config", "context": None}),
        ({}, {}, {"kubeconfig": None, "context": None, "host": None, "api_key": None, "validate_certs": True}),
    ],
)
def test_connection(connected, monkeypatch, variables, args, expected):
    monkeypatch.setenv("HOME", "/home/ann")
    action(converge, variables, **args, component="none", state="absent").run(task_vars=variables)
    assert {key: connected[0][key] for key in expected} == expected


def test_expected_errors_are_one_sentence(connected, cluster):
    def refuse(verb, obj):
        raise Forbidden(403, "Forbidden", "no right to list")

    cluster.before = refuse
    with pytest.raises(AnsibleActionFail, match="^no right to list$"):
        action(converge, component="x", state="absent").run(task_vars={})


@pytest.mark.parametrize(
    ("args", "message"),
    [({"component": "x"}, "a plan needs component and namespace"), ({"component": "x", "namespace": "y", "phases": {"z": {}}}, "no phase 'z'"),
     ({"component": "x", "state": "gone"}, "present, absent"), ({"componnet": "x"}, "componnet")],
)
def test_wrong_arguments(connected, args, message):
    with pytest.raises(Exception, match=message):
        action(converge, **args).run(task_vars={})


# -- converge -------------------------------------------------------------------------------------------------------


def test_deferred_plans_are_collected(connected):
    earlier = [{"component": "a", "packed": "{}"}, {"component": "b", "packed": "{}"}]
    result = action(converge, component="b", namespace="n", defer=True).run(task_vars={"ansible_facts": {"platform_plan": earlier}})
    first, second = result["ansible_facts"]["platform_plan"]
    assert first == earlier[0] and second["component"] == "b"
    assert json.loads(second["packed"]) == {"component": "b", "namespace": "n"}
    assert not result["changed"] and not connected


def test_a_deferred_plan_is_carried_out(connected, cluster):
    deferred = action(converge, component="web", namespace="app", defer=True).run(task_vars={})
    action(converge, plan=deferred["ansible_facts"]["platform_plan"]).run(task_vars={})
    assert cluster.find("Namespace", "app") and cluster.find("ConfigMap", "component-web", "openmlops")


def test_a_whole_run(connected, cluster):
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "app"}}
    args = {"component": "web", "namespace": "app", "phases": {"stores": {"objects": [config]}}}
    planned = action(converge, check=True, diff=True, **args).run(task_vars={})
    assert planned["changed"] and not cluster.writes()
    assert len(planned["diff"]) == len(planned["objects"]) == 3
    result = action(converge, **args).run(task_vars={})
    assert {"kind": "ConfigMap", "namespace": "app", "name": "c", "action": "created"} in result["objects"]
    assert "diff" not in result and "stores" in result["seconds"]
    assert cluster.find("Lease", "openmlops-run", "openmlops")["spec"]["holderIdentity"] == ""
    again = action(converge, **args).run(task_vars={})
    assert not again["changed"] and again["objects"] == [] and again["unchanged"] == 3
    json.dumps(again)
    gone = action(converge, component="web", state="absent", purge=True).run(task_vars={})
    # The last component takes the platform's own namespace with it.
    assert {entry["name"] for entry in gone["objects"]} == {"c", "app", "openmlops"}


def test_plan_of_several_components(connected, cluster):
    plan = [{"component": name, "namespace": name} for name in ("one", "two")]
    action(converge, plan=plan).run(task_vars={"platform_namespace": "ml"})
    assert cluster.find("Namespace", "one") and cluster.find("Namespace", "two") and cluster.find("ConfigMap", "component-one", "ml")


def test_what_is_installed_and_not_chosen_is_told(connected, cluster):
    action(converge, plan=[{"component": name, "namespace": name} for name in ("one", "two")]).run(task_vars={})
    fewer = action(converge, plan=[{"component": "one", "namespace": "one"}])
    assert not fewer.run(task_vars={})["changed"]
    (told,) = [call.args[0] for call in fewer.say.call_args_list if "not chosen" in call.args[0]]
    assert "not chosen: two." in told and "two_state: absent" in told and "platform_components" in told
    assert cluster.find("Namespace", "two")
    # A playbook of its own brought it, so nobody needs to choose it.
    action(converge, component="two", namespace="two", about={"on_demand": True}).run(task_vars={})
    fewer = action(converge, plan=[{"component": "one", "namespace": "one"}])
    assert not fewer.run(task_vars={})["changed"] and not [call for call in fewer.say.call_args_list if "not chosen" in call.args[0]]


def test_a_plan_may_remove_and_make(connected, cluster):
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "one"}}
    plan = [{"component": "one", "namespace": "one", "phases": {"stores": {"objects": [config]}}}]
    action(converge, plan=plan).run(task_vars={})
    deferred = action(converge, component="one", state="absent", purge=True, defer=True).run(task_vars={})
    removal = deferred["ansible_facts"]["platform_plan"]
    assert removal == [{"component": "one", "state": "absent", "purge": True}]
    result = action(converge, plan=[*removal, {"component": "two", "namespace": "two"}]).run(task_vars={})
    assert result["changed"] and cluster.find("Namespace", "two")
    assert not cluster.find("ConfigMap", "c", "one") and not cluster.find("Namespace", "one")


def test_check_mode_while_the_local_cluster_does_not_run(tmp_path):
    """Nobody can be asked, so everything would be made; a real run, or another cluster, is an error."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "stringData": {"p": "s3cret"}}
    args = {"kubeconfig": str(tmp_path / "none"), "context": "c", "component": "web", "namespace": "n",
            "phases": {"stores": {"objects": [secret]}}}
    planned = action(converge, check=True, diff=True, **args).run(task_vars={"local_cluster_provider": "native"})
    assert planned["changed"] and [entry["name"] for entry in planned["objects"]] == ["n", "s"]
    assert "s3cret" not in json.dumps(planned)
    for check, variables in ((False, {"local_cluster_provider": "native"}), (True, {})):
        with pytest.raises(Exception, match="there is no file"):
            action(converge, check=check, **args).run(task_vars=variables)


def test_values_of_variables_are_put_in_at_the_last_moment():
    found = action(converge)
    found._variables = {"mlflow_password": "given", "mlflow_empty": ""}
    spec = {"name": "s", "data": {"a": {"generate": "password", "variable": "mlflow_password"}, "b": {"generate": "hex", "variable": "mlflow_empty"},
                                  "c": {"generate": "hex", "variable": "nowhere"}, "d": {"value": "x"}}}
    before = json.dumps(spec)
    assert found._with_variables(spec)["data"] == {
        "a": {"generate": "password", "value": "given"}, "b": {"generate": "hex"}, "c": {"generate": "hex"}, "d": {"value": "x"}}
    assert json.dumps(spec) == before


WANTED = {"release_name": "r", "release_namespace": "n", "chart_ref": "c"}


@pytest.mark.parametrize(
    ("module", "args", "variables", "expected"),
    [
        ("helm", {"kubeconfig": "/k", "context": "c", "host": None}, {}, {"kubeconfig": "/k", "context": "c"}),
        ("helm", {"host": "https://x", "api_key": "t", "ca_cert": None, "validate_certs": False}, {"platform_helm_binary": "/bin/helm"},
         {"host": "https://x", "api_key": "t", "validate_certs": False, "binary_path": "/bin/helm"}),
        # helm_template knows no cluster and refuses these arguments
        ("helm_template", {"kubeconfig": "/k", "context": "c"}, {}, {}),
        ("helm_template", {"host": "https://x", "api_key": "t", "validate_certs": True}, {}, {}),
    ],
)
def test_arguments_of_helm(module, args, variables, expected):
    found = action(converge)
    found._variables = variables
    found._execute_module = mock.MagicMock(return_value={"changed": True})
    found._run_helm(module, WANTED, args)
    assert found._execute_module.call_args.args == (f"kubernetes.core.{module}",)
    assert found._execute_module.call_args.kwargs["module_args"] == {**WANTED, **expected}


@pytest.mark.parametrize(
    ("result", "message"),
    [({"stderr": "Error: no chart\n", "msg": "Failure when executing Helm command"}, "release n/r: Error: no chart$"),
     ({"msg": "Unsupported parameters"}, "release n/r: Unsupported parameters"), ({}, "release n/r: no reason given")],
)
def test_failure_of_helm(result, message):
    found = action(converge)
    found._variables = {}
    found._execute_module = mock.MagicMock(return_value={"failed": True, **result})
    with pytest.raises(HelmError, match=message):
        found._run_helm("helm", WANTED, {"kubeconfig": "/k", "context": "c"})


@pytest.mark.parametrize("diff", [False, True])
def test_result(diff):
    found = action(converge, diff=diff)
    result = found._result(Report([Outcome(Ref("X", "n", "a"), "updated", {"before": "1", "after": "2"}), Outcome(Ref("X", "n", "b"), "unchanged"),
                                   Outcome(Ref("X", "", "c"), "deleted")], {"stores": 1.5}))
    assert result["changed"] and result["unchanged"] == 1 and result["seconds"] == {"stores": 1.5}
    assert [entry["action"] for entry in result["objects"]] == ["updated", "deleted"]
    assert result.get("diff") == ([{"before": "1", "after": "2"}] if diff else None)


# -- status ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(connected, cluster):
    cluster.version = lambda: "v1.35.4"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "app"}}
    args = {"about": {"version": 2, "url": "http://{gateway}/web", "cluster_url": "http://web.app:80", "notes": ["the word is mellon"]},
            "phases": {"stores": {"objects": [config]}}}
    action(converge, component="web", namespace="app", **args).run(task_vars={})
    return cluster


def test_status(installed):
    document = action(status, components=["web", "none"]).run(task_vars={"platform_gateway_address": "192.0.2.1"})["status"]
    assert document["cluster"]["reachable"] and document["cluster"]["version"] == "v1.35.4"
    assert document["gateway"] == {"url": "http://192.0.2.1"}
    web, none = document["components"]
    assert (web["name"], web["version"], web["ready"], web["url"]) == ("web", "2", True, "http://192.0.2.1/web")
    assert (none["name"], none["ready"], none["reason"]) == ("none", False, "not installed")
    # Notes for people stand in the document and below the table.
    assert web["notes"] == ["the word is mellon"] and none["notes"] == []
    assert "web: the word is mellon" in converge_status.table(document).splitlines()


def test_status_of_what_is_not_ready(installed):
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "app"}, "spec": {"type": "LoadBalancer"}}
    with pytest.raises(AnsibleActionFail):
        action(converge, component="late", namespace="app", phases={"stores": {"objects": [service]}}).run(
            task_vars={"platform_wait_timeout": "0"})
    with pytest.raises(AnsibleActionFail, match="not ready: late: Service app/s: the load balancer has no address yet"):
        action(status, must_be_ready=True).run(task_vars={})
    found = action(status).run(task_vars={})["status"]["components"]
    assert [(entry["name"], entry["ready"]) for entry in found] == [("late", False), ("web", True)]


def test_status_without_a_cluster(tmp_path):
    result = action(status, dest=str(tmp_path / "s.json")).run(task_vars={})["status"]
    assert not result["cluster"]["reachable"] and "No cluster is chosen" in result["cluster"]["reason"] and result["components"] == []
    assert json.loads((tmp_path / "s.json").read_text()) == result
    with pytest.raises(AnsibleActionFail, match="No cluster is chosen"):
        action(status, must_be_ready=True).run(task_vars={})


def test_status_changes_nothing(installed):
    installed.requests.clear()
    action(status).run(task_vars={})
    assert not installed.writes()


def test_status_as_a_table(installed, tmp_path):
    action(status, components=["web", "none"], dest=str(tmp_path / "t"), dest_format="table").run(task_vars={})
    text = (tmp_path / "t").read_text()
    assert "COMPONENT" in text and "v1.35.4" in text and "none: not installed" in text
    assert any(line.split() == ["web", "2", "app", "yes", "http://web.app:80"] for line in text.splitlines())


def test_removed_component_is_not_installed(installed):
    action(converge, component="web", state="absent").run(task_vars={})
    assert action(status).run(task_vars={})["status"]["components"] == []


def test_last_proof(installed):
    def proof(name, made, text, phase="Succeeded"):
        installed.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "app", "labels": {
            "openmlops.io/verification": "web"}}, "status": {"phase": phase}})
        installed.objects["Pod", "app", name]["metadata"]["creationTimestamp"] = made
        installed.words[name, False] = text

    proof("old", "2026-01-01T00:00:00Z", '{"runs": 1}')
    proof("new", "2026-01-02T00:00:00Z", '{"runs": 2}')
    proof("failed", "2026-01-03T00:00:00Z", "traceback", "Failed")
    result = action(status).run(task_vars={})["status"]
    assert result["components"][0]["proof"] == {"runs": 2}


def test_condition(installed):
    installed.put({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "app"}, "type": "Warning", "reason": "Failed",
                   "message": "no such key", "involvedObject": {"kind": "ConfigMap", "namespace": "app", "name": "c"}})
    document = action(status, condition=True).run(task_vars={})["status"]
    (web,) = document["components"]
    assert document["state"] == "ok" and web["drift"] == [] and web["certificates"] == []
    assert web["last_error"]["message"] == "no such key"
    del installed.objects["ConfigMap", "app", "c"]
    document = action(status, condition=True).run(task_vars={})["status"]
    assert document["state"] == "warning" and document["components"][0]["drift"] == ["ConfigMap app/c is gone"]


def test_certificates_are_told_once(connected, cluster, helm, monkeypatch):
    """What a chart brings for the whole cluster is in no namespace; the Secrets of all are not asked for therefore."""
    release = Release("web", "ml", "web-chart", "d", {})
    helm.charts["web-chart"] = ("1.0.0", lambda values: [manifest("ClusterRole", "wide"), manifest("Service", "web")])
    Releases(cluster, helm, lambda line: None).ensure(release)
    entry = record.Record("web", "ml", {}, (), (("ml", "web"),))
    cluster.put(record.as_object(entry, "openmlops"))
    cluster.requests.clear()
    asked = []
    monkeypatch.setattr(certificates, "read", lambda found, spaces, now: asked.extend(spaces) or [])
    entries = [{"name": "web"}]
    converge_status.add_condition(cluster, "openmlops", Releases(cluster, helm, lambda line: None), entries)
    assert asked == ["ml"] and entries[0]["drift"] == []


@pytest.mark.parametrize(("fail_on", "fails"), [("never", False), ("problem", False), ("warning", True)])
def test_exit_for_monitoring(installed, tmp_path, fail_on, fails):
    del installed.objects["ConfigMap", "app", "c"]
    run = action(status, condition=True, fail_on=fail_on, dest=str(tmp_path / "s.json"))
    if fails:
        with pytest.raises(AnsibleActionFail, match="^warning: web: ConfigMap app/c is gone$"):
            run.run(task_vars={})
    else:
        run.run(task_vars={})
    assert json.loads((tmp_path / "s.json").read_text())["state"] == "warning"


# -- registries -----------------------------------------------------------------------------------------------------

REGISTRIES = {"platform_registries": [{"server": "m.example.org", "username": "u", "password_variable": "word"}], "word": "hunter2"}


def test_each_namespace_gets_the_pull_secret(connected, cluster):
    args = {"component": "web", "namespace": "app"}
    first = action(converge, REGISTRIES, diff=True, **args).run(task_vars=REGISTRIES)
    assert "hunter2" not in json.dumps(first)
    found = cluster.find("Secret", "platform-registries", "app")
    assert found["type"] == "kubernetes.io/dockerconfigjson" and found["metadata"]["labels"]["openmlops.io/part"] == "registries"
    assert cluster.find("ServiceAccount", "default", "app")["imagePullSecrets"] == [{"name": "platform-registries"}]
    assert not action(converge, REGISTRIES, **args).run(task_vars=REGISTRIES)["changed"]
    # A new password is a new Secret, and nothing else changes.
    newer = {**REGISTRIES, "word": "hunter3"}
    (changed,) = action(converge, newer, **args).run(task_vars=newer)["objects"]
    assert (changed["kind"], changed["name"], changed["action"]) == ("Secret", "platform-registries", "updated")


def test_components_share_a_namespace_and_its_pull_secret(connected, cluster):
    for name in ("one", "two"):
        action(converge, REGISTRIES, component=name, namespace="app").run(task_vars=REGISTRIES)
    both = [{"component": name, "packed": json.dumps({"component": name, "namespace": "app"})} for name in ("one", "two")]
    assert not action(converge, REGISTRIES, plan=both).run(task_vars=REGISTRIES)["changed"]
    action(converge, REGISTRIES, component="one", state="absent", purge=True).run(task_vars=REGISTRIES)
    assert cluster.find("Secret", "platform-registries", "app")
    action(converge, REGISTRIES, component="two", state="absent", purge=True).run(task_vars=REGISTRIES)
    assert not cluster.find("Secret", "platform-registries", "app")


@pytest.mark.parametrize("defer", [True, False])
def test_a_missing_password_is_told_before_anything_changes(connected, cluster, defer):
    variables = {**REGISTRIES, "word": ""}
    with pytest.raises(AnsibleActionFail, match="the variable word, named as the password of m.example.org, is empty or not defined"):
        action(converge, variables, component="web", namespace="app", defer=defer).run(task_vars=variables)
    assert not cluster.writes()


def test_a_password_is_asked_for_once(connected, cluster, monkeypatch):
    """It may come from a program that takes a second and answers otherwise each time."""
    asked = []
    plain = converge.ActionModule.variable

    def variable(self, variables, name, default=None):
        if name == "word":
            asked.append(name)
            return f"answer-{len(asked)}"
        return plain(self, variables, name, default)

    monkeypatch.setattr(converge.ActionModule, "variable", variable)
    both = [{"component": name, "packed": json.dumps({"component": name, "namespace": name})} for name in ("one", "two")]
    action(converge, REGISTRIES, plan=both).run(task_vars=REGISTRIES)
    assert len(asked) == 1
    assert len({json.dumps(cluster.find("Secret", "platform-registries", space)["data"]) for space in ("one", "two")}) == 1
    # While plans are made it is the first component that asks.
    facts = action(converge, REGISTRIES, component="one", namespace="one", defer=True).run(task_vars=REGISTRIES)["ansible_facts"]
    later = {**REGISTRIES, "ansible_facts": facts}
    action(converge, later, component="two", namespace="two", defer=True).run(task_vars=later)
    assert len(asked) == 2


def test_helm_logs_in_to_a_registry_of_charts_by_a_file(connected):
    asked = []

    def execute(module, module_args, task_vars):
        path = found._task.environment[-1]["HELM_REGISTRY_CONFIG"]
        asked.append((module, open(path).read(), json.dumps(module_args)))
        return {"stdout": ""}

    found = action(converge, REGISTRIES, component="web", namespace="app")
    found._task.environment = None
    found._variables = REGISTRIES
    found._execute_module = execute
    found._run_helm("helm_template", {"release_name": "r", "release_namespace": "n", "chart_ref": "oci://m.example.org/charts/x"}, {})
    assert "m.example.org" in asked[0][1] and "hunter2" not in asked[0][2] and found._task.environment is None
