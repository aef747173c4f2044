# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge import definitions
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter, WaitError

TEXT = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: beside
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    name: misleading
  labels:
    name: misleading
  name: widgets.example.org
spec:
  names:
    kind: Widget
  group: example.org
---
# the second
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: "gadgets.example.org"
spec:
  group: example.org
"""
NAMES = ["widgets.example.org", "gadgets.example.org"]


def establish(obj):
    if obj["kind"] == "CustomResourceDefinition":
        obj["status"] = {"conditions": [{"type": "Established", "status": "True"}]}


@pytest.fixture
def ensure(cluster, clock, told):
    cluster.after = establish
    return lambda text=TEXT, **options: definitions.ensure(cluster, [text], Waiter(cluster, told.append, 60.0), **options)


def actions(outcomes):
    return {outcome.ref.name: outcome.action for outcome in outcomes}


def test_names():
    assert definitions.names([TEXT]) == NAMES
    assert definitions.names(["", "---\n", "kind: ConfigMap\nmetadata:\n  name: x\n"]) == []


def test_made_once(ensure, cluster, monkeypatch):
    assert actions(ensure()) == dict.fromkeys(NAMES, "created")
    assert cluster.find("ConfigMap", "beside") is None
    assert cluster.find("CustomResourceDefinition", NAMES[0])["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "openmlops"
    cluster.requests.clear()
    monkeypatch.setattr(definitions.yaml_text, "load", None)
    assert actions(ensure()) == dict.fromkeys(NAMES, "unchanged")
    assert cluster.requests == [("list", "CustomResourceDefinition", "")]


def test_only_what_changed_is_sent(ensure, cluster):
    ensure()
    cluster.requests.clear()
    assert actions(ensure(TEXT.replace("kind: Widget", "kind: Thing"))) == {NAMES[0]: "updated", NAMES[1]: "unchanged"}
    assert [name for verb, _kind, name in cluster.requests if verb == "apply"] == NAMES[:1]


def test_change_by_somebody_else_is_put_back(ensure, cluster):
    ensure()
    cluster.put({**cluster.find("CustomResourceDefinition", NAMES[0]), "spec": {"group": "example.org", "names": {"kind": "Bad"}}})
    assert actions(ensure())[NAMES[0]] == "updated"
    assert cluster.find("CustomResourceDefinition", NAMES[0])["spec"]["names"] == {"kind": "Widget"}
    assert actions(ensure())[NAMES[0]] == "unchanged"


def test_removed_definition_is_made_again(ensure, cluster):
    ensure()
    cluster.delete(cluster.find("CustomResourceDefinition", NAMES[1]))
    assert actions(ensure()) == {NAMES[0]: "unchanged", NAMES[1]: "created"}


def test_run_killed_before_the_note_tries_again(ensure, cluster):
    cluster.before = lambda verb, obj: 1 / 0 if verb == "patch" else None
    with pytest.raises(ZeroDivisionError):
        ensure()
    cluster.before = lambda verb, obj: None
    assert actions(ensure()) == dict.fromkeys(NAMES, "unchanged")
    cluster.requests.clear()
    ensure()
    assert not cluster.writes()


def test_not_established(cluster, told, clock):
    with pytest.raises(WaitError, match="widgets.example.org.*Established"):
        definitions.ensure(cluster, [TEXT], Waiter(cluster, told.append, 60.0))


def test_check_mode(ensure, cluster):
    assert actions(ensure(check=True)) == dict.fromkeys(NAMES, "created")
    assert not cluster.writes()


def test_diff_is_short(ensure):
    assert all(len(str(outcome.diff)) < 400 for outcome in ensure())
