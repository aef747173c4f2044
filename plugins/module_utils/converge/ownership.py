# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields that somebody wrote by hand, and how they become ours again.

Server-side apply never removes a field that another manager owns, so what was added with kubectl would stay for ever, and a
``value`` beside our ``valueFrom`` would make an object invalid. Before such an object is put right, what people's tools own
in it is handed to our own manager; controllers keep theirs.
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership)
"""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster

_TOOLS = ("kubectl", "k9s", "lens", "headlamp")
# A restart by hand is an order and no change of what was deployed.
_LEFT_ALONE = ("kubectl-rollout",)


def by_hand(entry: Object) -> bool:
    """Tells whether an entry of managedFields comes from a tool in somebody's hand."""
    manager = str(entry.get("manager", "")).lower()
    return manager.startswith(_TOOLS) and not manager.startswith(_LEFT_ALONE) and not entry.get("subresource")


def taken_over(entries: list[Object], manager: str) -> list[Object]:
    """Returns managedFields in which everything that people's tools own belongs to ``manager``, applied."""
    ours: dict[str, Object] = {}
    others: list[Object] = []
    for entry in entries:
        own = entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
        if not (own or by_hand(entry)):
            others.append(entry)
            continue
        version = str(entry.get("apiVersion"))
        known = ours.setdefault(version, {**entry, "manager": manager, "operation": "Apply", "fieldsV1": {}})
        known["fieldsV1"] = _united(known["fieldsV1"], entry.get("fieldsV1") or {})
    return [*ours.values(), *others]


def take_over(cluster: Cluster, obj: Object, manager: str) -> bool:
    """Hands the fields that people's tools own in a live object to ``manager``; returns whether there were any."""
    live = cluster.live(obj)
    entries = (live or {}).get("metadata", {}).get("managedFields") or []
    if live is None or not any(map(by_hand, entries)):
        return False
    meta = {"managedFields": taken_over(entries, manager), "resourceVersion": live["metadata"]["resourceVersion"]}
    cluster.patch_merge(live, {"metadata": meta})
    return True


def _united(first: t.Any, second: t.Any) -> t.Any:
    """Returns the union of two sets of fields in the form of fieldsV1."""
    result = copy.deepcopy(first)
    for key, value in second.items():
        result[key] = _united(result.get(key) or {}, value)
    return result
