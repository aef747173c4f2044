# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields that people's tools own, and how they are handed to ours."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge import ownership


def entry(manager, operation="Update", fields=None, **more):
    return {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "fieldsV1": fields or {"f:spec": {f"f:{manager}": {}}}, **more}


@pytest.mark.parametrize(("manager", "more", "expected"), [
    ("kubectl-edit", {}, True), ("kubectl-client-side-apply", {}, True), ("k9s", {}, True), ("kubectl", {}, True),
    ("kubectl-rollout", {}, False), ("kubectl-edit", {"subresource": "status"}, False), ("kube-controller-manager", {}, False),
    ("helm", {}, False), ("cert-manager-cainjector", {}, False),
])
def test_whose_tool_it_is(manager, more, expected):
    assert ownership.by_hand(entry(manager, **more)) is expected


def test_fields_are_united_and_controllers_keep_theirs():
    controller = entry("kube-controller-manager")
    result = ownership.taken_over([
        entry("helm", "Apply", {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}}),
        controller,
        entry("kubectl-set", fields={"f:spec": {"f:template": {"f:spec": {"f:hostNetwork": {}}}}}),
    ], "helm")
    assert result == [
        entry("helm", "Apply", {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:hostNetwork": {}}}}}), controller,
    ]


def test_what_was_never_ours_becomes_an_entry_of_our_own():
    (only,) = ownership.taken_over([entry("kubectl-edit")], "helm")
    assert (only["manager"], only["operation"]) == ("helm", "Apply") and only["fieldsV1"] == {"f:spec": {"f:kubectl-edit": {}}}


def test_nothing_is_written_when_nobody_was_there():
    class Cluster:
        def live(self, obj):
            return {**obj, "metadata": {**obj["metadata"], "managedFields": [entry("helm", "Apply")]}}

    assert ownership.take_over(Cluster(), {"metadata": {"name": "x"}}, "helm") is False
