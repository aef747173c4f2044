# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that the node's own components need and that Kubernetes does not give by itself."""

from __future__ import annotations

from typing import Any

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.api import Api
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError

RBAC = "rbac.authorization.k8s.io"
NAME = "openmlops:kube-router"


def objects() -> list[tuple[str, dict[str, Any]]]:
    """Path of the collection and object, for each: what kube-router may read."""
    role = {
        "apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": NAME},
        "rules": [
            {"apiGroups": [""], "resources": ["namespaces", "pods", "services", "nodes", "endpoints"],
             "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
        ],
    }
    binding = {
        "apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": NAME},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "system:kube-router"}],
    }
    return [(f"/apis/{RBAC}/v1/clusterroles", role), (f"/apis/{RBAC}/v1/clusterrolebindings", binding)]


def ensure(api: Api) -> None:
    """Create what is missing; what is there is left as it is."""
    for path, item in objects():
        status, answer = api.request("POST", path, item)
        if status not in (201, 409):
            raise NodeError(f"The rights of kube-router could not be set: {status} {answer}")
