# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found of the platform after a removal."""

from __future__ import annotations

import base64
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import converge, leftovers
from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.leftovers import traces
from ansible_collections.openmlops.platform.plugins.module_utils.leftovers.traces import Snapshot
from ansible_collections.openmlops.platform.plugins.plugin_utils import platform_action
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest, revision_secret

BEFORE = Snapshot(namespaces=["ml", "openmlops"], foreign=["shared"], releases=["ml/r"], definitions=["widgets.example.org"])
OURS = {"labels": {"app.kubernetes.io/managed-by": "openmlops"}}
HELM = {"annotations": {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "ml"}}
HOOK = {"webhooks": [{"clientConfig": {"service": {"namespace": "ml", "name": "hook"}}}]}


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        (manifest("ClusterRole", "a", metadata=OURS), "label"),
        (manifest("ClusterRole", "a", metadata=HELM), "release ml/r"),
        (manifest("ClusterRole", "a"), ""),
        (manifest("ClusterRoleBinding", "a", subjects=[{"kind": "ServiceAccount", "namespace": "ml", "name": "x"}]), "account in ml"),
        (manifest("ClusterRoleBinding", "a", subjects=[{"kind": "User", "name": "x"}]), ""),
        (manifest("ValidatingWebhookConfiguration", "a", **HOOK), "calls a service in ml"),
        (manifest("APIService", "a", spec={"service": {"namespace": "ml"}}), "calls a service in ml"),
        (manifest("APIService", "a", spec={}), ""),
        (manifest("PersistentVolume", "a", spec={"claimRef": {"namespace": "shared", "name": "data"}}), "claim shared/data"),
        (manifest("PersistentVolume", "a", spec={"claimRef": {"namespace": "other", "name": "data"}}), ""),
        (manifest("Namespace", "ml"), "made by the platform"),
        (manifest("Namespace", "shared"), ""),
        (manifest("Namespace", "other"), ""),
        (manifest("Pod", "a", "ml"), "stands in"),
        (manifest("Pod", "a", "shared"), ""),
        (manifest("Pod", "a", "shared", metadata=OURS), "label"),
        (manifest("ConfigMap", "kube-root-ca.crt", "ml"), ""),
    ],
)
def test_why(obj, said):
    found = traces.why(obj, BEFORE)
    assert (said in found) if said else found == ""


def test_what_holds_data_is_kept():
    objects = [manifest("Secret", "s", "ml"), manifest("PersistentVolumeClaim", "c", "ml"), manifest("Namespace", "ml"),
               manifest("ConfigMap", "r", "openmlops", metadata={"labels": {"openmlops.io/record": "component"}}),
               manifest("Deployment", "d", "ml", metadata=OURS), manifest("ConfigMap", "of-an-operator", "ml"),
               manifest("Service", "of-a-database", "ml", metadata={**OURS, "ownerReferences": [{"kind": "Cluster"}]}),
               manifest("Service", "gateway", "ml", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}, spec={"type": "LoadBalancer"})]
    keep = {entry.name: entry for entry in traces.traces(objects, BEFORE, False, "openmlops")}
    assert {name for name, entry in keep.items() if not entry.kept} == {"d", "gateway"}
    assert keep["gateway"].why.endswith("being deleted; a load balancer that costs money")
    assert not any(entry.kept for entry in traces.traces(objects, BEFORE, True, "openmlops"))
    assert keep["d"].command == "kubectl delete deployment -n ml d"


def test_table():
    left = [traces.Trace("Secret", "ml", "s", "x", True), traces.Trace("ClusterRole", "", "r", "carries the platform's label", False)]
    text = traces.table(left)
    assert "kept, since data stays unless it is asked to go: 1 Secret" in text
    assert "ClusterRole r (carries the platform's label)" in text and "kubectl delete clusterrole r" in text
    assert traces.table([]).startswith("nothing of the platform is left: ")
    assert traces.table(left[:1]).splitlines()[-1] == "nothing else of the platform is left"


@pytest.fixture
def cluster(monkeypatch):
    found = FakeCluster("shared")
    monkeypatch.setattr(platform_action, "connect", lambda args: found)
    return found


def action(module, check=False, **args):
    task = mock.MagicMock(args=args, check_mode=check, diff=False, async_val=0)
    found = module.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), Templar(DataLoader(), {}), mock.MagicMock())
    found.say = mock.MagicMock()
    return found.run(task_vars={})


@pytest.fixture
def installed(cluster):
    objects = [manifest("ConfigMap", "c", "ml"), manifest("Secret", "s", "ml"), manifest("ClusterRole", "wide"), manifest("ConfigMap", "p", "shared")]
    action(converge, component="web", namespace="ml", phases={"foundation": {"objects": objects}})
    return cluster


def test_before_and_after(installed, tmp_path):
    found = action(leftovers, state="before")["snapshot"]
    assert found["namespaces"] == ["ml", "openmlops"] and found["foreign"] == ["shared"] and found["components"] == ["web"]
    installed.requests.clear()
    with pytest.raises(AnsibleActionFail, match="kubectl delete clusterrole wide"):
        action(leftovers, state="after", snapshot=found, timeout=0.0)
    assert not installed.writes()
    action(converge, state="absent", components=["web"])
    kept = action(leftovers, state="after", snapshot=found, timeout=0.0, show=True)["leftovers"]
    assert kept and all(entry["kept"] for entry in kept)
    action(converge, state="absent", components=["web"], purge=True)
    result = action(leftovers, state="after", snapshot=found, purge=True, timeout=0.0, dest=str(tmp_path / "left.json"))
    assert result["leftovers"] == [] and result["not_looked_at"] == []
    assert installed.find("Namespace", "shared") and not installed.find("Namespace", "openmlops")
    assert '"leftovers": []' in (tmp_path / "left.json").read_text()


def test_check_mode_does_not_fail(installed):
    found = action(leftovers, state="before")["snapshot"]
    assert action(leftovers, check=True, state="after", snapshot=found)["leftovers"]


def test_what_charts_left(installed):
    crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: widgets.example.org\n"
    payload = {"manifest": "", "chart": {"files": [{"name": "crds/w.yaml", "data": base64.b64encode(crd.encode()).decode()},
                                                   {"name": "README.md", "data": "aGk="}]}}
    record = installed.find("ConfigMap", "component-web", "openmlops")
    record["data"]["component.json"] = record["data"]["component.json"].replace('"releases": []', '"releases": [["ml", "r"]]')
    installed.put(record)
    installed.put(revision_secret("r", "ml", 1, "deployed", payload))
    installed.put(manifest("CustomResourceDefinition", "widgets.example.org"))
    found = action(leftovers, state="before")["snapshot"]
    assert found["definitions"] == ["widgets.example.org"] and found["releases"] == ["ml/r"]
    left = action(leftovers, state="after", snapshot=found, purge=True, timeout=0.0, fail=False)["leftovers"]
    assert ("CustomResourceDefinition", "widgets.example.org", False) in {(entry["kind"], entry["name"], entry["kept"]) for entry in left}


def test_without_rights_it_says_so(installed):
    from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden

    found = action(leftovers, state="before")["snapshot"]
    action(converge, state="absent", components=["web"], purge=True)

    def refuse(verb, obj):
        if obj["kind"] == "ClusterRole" and verb == "list":
            raise Forbidden(403, "Forbidden", "no")

    installed.before = refuse
    assert action(leftovers, state="after", snapshot=found, purge=True, timeout=0.0)["not_looked_at"] == ["ClusterRole"]


def test_another_platform_on_the_same_cluster_is_left_out(installed):
    """Both carry the same label; what the other one has recorded is its own."""
    found = action(leftovers, state="before")["snapshot"]
    other = record.Record("web", "theirs", {}, (record.Member("rbac.authorization.k8s.io/v1", "ClusterRole", "", "of-the-other"),))
    for obj in (manifest("Namespace", "second", metadata=OURS), manifest("ClusterRole", "of-the-other", metadata=OURS),
                manifest("ClusterRole", "of-nobody", metadata=OURS), record.as_object(other, "second")):
        installed.put(obj)
    action(converge, state="absent", components=["web"], purge=True)
    left = action(leftovers, state="after", snapshot=found, purge=True, timeout=0.0, fail=False)["leftovers"]
    assert [entry["name"] for entry in left] == ["of-nobody"]
