# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the kubelet bring a changed ConfigMap into the pods that mount it at once, instead of within a minute or two.

A kubelet looks at a pod's volumes anew whenever the pod changes, an annotation included.
"""

from __future__ import annotations

import json

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, digest
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import NotFound

# On a ConfigMap, a JSON text: namespace and label selector of the pods that mount it.
REFRESH_ANNOTATION = "openmlops.io/refresh"
REFRESHED_ANNOTATION = "openmlops.io/refreshed"


def refresh(cluster: Cluster, obj: Object) -> int:
    """Touches the pods that mount a changed ConfigMap; returns how many there are."""
    note = ((obj.get("metadata") or {}).get("annotations") or {}).get(REFRESH_ANNOTATION)
    if not note:
        return 0
    readers = json.loads(note)
    pods = cluster.list("v1", "Pod", readers["namespace"], label_selector=readers["selector"])
    for pod in pods:
        patch = {"metadata": {"annotations": {REFRESHED_ANNOTATION: digest(obj.get("data"))}}}
        try:
            cluster.patch_merge(pod, patch, dry_run=False)
        except NotFound:  # it has just ended
            continue
    return len(pods)
