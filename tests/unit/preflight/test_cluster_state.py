# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there already and collides."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge.helm_state import Revision
from ansible_collections.openmlops.platform.plugins.module_utils.preflight import asking, cluster_state
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest, revision_secret

OURS = {"labels": {"app.kubernetes.io/managed-by": "openmlops"}}


def helm(name, space="ml"):
    return {"annotations": {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": space},
            "labels": {"app.kubernetes.io/managed-by": "Helm"}}


@pytest.mark.parametrize(
    ("text", "level"), [("v1.35.4", None), ("v1.30.0-eks-1", None), ("v1.31+", None), ("v1.29.9-gke.1", "error"), ("tower", "warning")])
def test_version(text, level):
    assert [entry.level for entry in cluster_state.version(text)] == ([level] if level else [])


def test_kinds_are_served_or_promised(wants):
    wanted = wants(manifest("ConfigMap", "c", "ml"), manifest("Certificate", "p", "ml", "cert-manager.io/v1"), manifest("Widget", "w", "ml"),
                   promised=(("example.org", "Widget"),))
    (found,) = cluster_state.api(wanted, lambda version, _kind: version == "v1")
    assert found.level == "error" and "Certificate of cert-manager.io/v1 is not served (p)" in found.cause and "platform_tls" in found.cure
    assert [entry.level for entry in cluster_state.api(wanted, lambda *_: True)] == ["ok"]


@pytest.mark.parametrize(
    ("meta", "level"),
    [(None, "ok"), (OURS, "ok"), ({"managedFields": [{"manager": "openmlops"}]}, "ok"), (helm("mine"), "ok"), (helm("other"), "error"),
     ({"managedFields": [{"manager": "kubectl"}]}, "warning"), ({}, "warning")],
)
def test_definitions(wants, meta, level):
    wanted = wants(definitions=("widgets.example.org",), releases=(("ml", "mine"),))
    live = {"other.example.org": {}} | ({"widgets.example.org": meta} if meta is not None else {})
    assert [entry.level for entry in cluster_state.definitions(wanted, live)] == [level]


def revision(status, age=600.0, **meta):
    stamp = str(int(datetime.datetime.now(datetime.UTC).timestamp() - age))
    secret = revision_secret("r", "ml", 2, status, {}, labels={"modifiedAt": stamp}, **meta)
    return Revision(secret, "r", "ml", 2, status)


MARKED = {"annotations": {"openmlops.io/wanted-digest": "x"}}


@pytest.mark.parametrize(
    ("found", "wanted", "recorded", "levels", "said"),
    [
        (None, True, False, ["ok"], ""),
        (revision("deployed"), True, True, ["ok"], ""),
        (revision("deployed", **MARKED), True, False, ["ok"], ""),
        (revision("deployed"), False, False, ["ok"], ""),  # a neighbour
        (revision("deployed"), True, False, ["error"], "installed by somebody else"),
        (revision("pending-upgrade"), True, True, ["warning"], "the next run heals it"),
        # Made when tests are collected, which may be a while ago: a time to come is as good as just now.
        (revision("pending-install", age=-600), True, True, ["warning"], "Helm is at work"),
        (revision("pending-install"), False, False, ["warning"], "not the platform's"),
        (revision("pending-install"), True, False, ["warning", "error"], "somebody else"),
    ],
)
def test_releases(wants, found, wanted, recorded, levels, said):
    needs = wants(releases=(("ml", "r"),) if wanted else ())
    told = cluster_state.releases(needs, {("ml", "r")} if recorded else set(), {("ml", "r"): [found]} if found else {})
    assert [entry.level for entry in told] == levels
    assert said in " ".join(entry.cause + entry.cure for entry in told)


@pytest.mark.parametrize(
    ("kind", "meta", "of_release", "level"),
    [
        ("ConfigMap", OURS, False, "ok"),
        ("ConfigMap", helm("mine"), True, "ok"),
        ("ConfigMap", {}, False, "warning"),
        ("ConfigMap", {"managedFields": [{"manager": "kubectl-create"}]}, True, "error"),
        ("ConfigMap", helm("other"), True, "error"),
        ("ConfigMap", helm("other"), False, "error"),
        ("Secret", {}, False, "ok"),  # what a user made beforehand is kept and used
        ("Namespace", {}, False, "ok"),
    ],
)
def test_objects(wants, kind, meta, of_release, level):
    space = None if kind == "Namespace" else "ml"
    obj = manifest(kind, "x", space)
    identity = (kind, space or "", "x")
    needs = wants(obj, release_of={identity: "ml/mine"} if of_release else {})
    told = cluster_state.objects(needs, {identity: {**obj, "metadata": {**obj["metadata"], **meta}}})
    assert [entry.level for entry in told] == [level]


def test_namespaces(wants):
    needs = wants(namespaces=("dying", "mine", "new", "theirs"))
    live = {"dying": {**OURS, "deletionTimestamp": "2026-01-01T00:00:00Z"}, "mine": OURS, "theirs": {}}
    error, note = cluster_state.namespaces(needs, live)
    assert error.level == "error" and "dying" in error.cause and "finalizer" in error.cure
    assert note.level == "note" and "theirs" in note.cause
    (ok,) = cluster_state.namespaces(wants(namespaces=("mine", "new")), live)
    assert ok.cause == "1 are there, 1 will be made"


def test_the_cluster_is_asked_without_a_change(judge, wants):
    judge.put(manifest("ConfigMap", "c", "ml"))
    judge.put(revision_secret("r", "ml", 1, "deployed", {}))
    judge.put(manifest("CustomResourceDefinition", "widgets.example.org"))
    needs = wants(manifest("ConfigMap", "c", "ml"), manifest("Widget", "w", "ml"), releases=(("ml", "r"),),
                  definitions=("widgets.example.org",))
    judge.requests.clear()
    found = [entry for look in (asking.about_definitions, asking.about_objects, asking.about_namespaces, asking.about_storage)
             for entry in look(judge, needs)] + asking.about_releases(judge, needs, "openmlops")
    assert {(entry.check, entry.level) for entry in found} == {
        ("definitions", "warning"), ("objects", "warning"), ("namespaces", "note"), ("storage", "ok"), ("releases", "error")}
    assert not judge.writes()


def test_what_may_not_be_read_is_told(judge, wants):
    from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden

    def refuse(verb, obj):
        raise Forbidden(403, "Forbidden", "no")

    judge.before = refuse
    (found,) = asking.about_storage(judge, wants())
    assert found.level == "note" and found.cause == "not checked: the account may not list storage classes"
    (found,) = asking.about_capacity(judge, wants())
    assert found.level == "note" and "nodes and pods" in found.cause
