# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.converge import helm_state
from ansible_collections.openmlops.platform.plugins.module_utils.converge.helm_state import Revision
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest, revision_secret

PAYLOAD = {"name": "web", "config": {"a": 1}, "chart": {"metadata": {"version": "1.0.0"}},
           "manifest": "---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\n---\n# nothing\n---\na: 1\n"}


def revision(number=1, status="deployed", **meta):
    secret = revision_secret("web", "ml", number, status, PAYLOAD, **meta)
    return Revision(secret, "web", "ml", number, status)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=30) | st.integers() | st.none(), max_size=4))
def test_payload_as_helm_packs_it(config):
    secret = revision_secret("web", "ml", 1, "deployed", {"config": config})
    assert Revision(secret, "web", "ml", 1, "deployed").payload() == {"config": config}


def test_objects_of_the_manifest():
    assert revision().objects() == [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}]


def test_newest_first_and_nobody_elses(cluster):
    for number in (9, 10, 2):
        cluster.put(revision_secret("web", "ml", number, "superseded", PAYLOAD))
    cluster.put(revision_secret("other", "ml", 99, "deployed", PAYLOAD))
    cluster.put(revision_secret("web", "openmlops", 98, "deployed", PAYLOAD))
    cluster.put(manifest("Secret", "mine", "ml", metadata={"labels": {"name": "web"}}))
    assert [entry.number for entry in helm_state.revisions(cluster, "web", "ml")] == [10, 9, 2]
    assert helm_state.revisions(cluster, "none", "ml") == []


@pytest.mark.parametrize(
    ("status", "pending"),
    [("deployed", False), ("failed", False), ("superseded", False), ("uninstalled", False), ("pending-install", True),
     ("pending-upgrade", True), ("pending-rollback", True), ("uninstalling", True), ("unknown", False)],
)
def test_pending(status, pending):
    assert revision(status=status).pending is pending


@pytest.mark.parametrize("label", ["modifiedAt", "createdAt", None])
def test_age(label):
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=100)
    labels = {label: str(int(then.timestamp()))} if label else {}
    found = revision(labels=labels, creationTimestamp=then.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert 98 < found.age < 110


def test_last_change_counts_for_the_age():
    now = datetime.datetime.now(datetime.UTC).timestamp()
    assert revision(labels={"createdAt": str(int(now) - 1000), "modifiedAt": str(int(now) - 5)}).age < 20


def test_namespaces_are_filled_in_as_helm_does(cluster):
    objects = [manifest("ConfigMap", "c"), manifest("ConfigMap", "d", "other"), manifest("ClusterRole", "r"), manifest("Widget", "w")]
    found = helm_state.with_namespaces(cluster, objects, "ml")
    assert [obj["metadata"].get("namespace") for obj in found] == ["ml", "other", None, None]
    assert "namespace" not in objects[0]["metadata"]


def test_live_digest():
    wanted = manifest("ConfigMap", "c", "ml", data={"a": "1"})
    live = manifest("ConfigMap", "c", "ml", data={"a": "1", "more": "2"}, metadata={"uid": "u", "resourceVersion": "7"})
    same = helm_state.live_digest([(wanted, wanted)])
    assert helm_state.live_digest([(wanted, live)]) == same
    assert helm_state.live_digest([(wanted, {**live, "data": {"a": "2"}})]) != same
    assert helm_state.live_digest([(wanted, None)]) != same
