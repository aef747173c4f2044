# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last warning that the cluster gave about a component. Events live for an hour."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden, NotFound

_LENGTH = 300


def warnings(cluster: Cluster, namespaces: t.Iterable[str]) -> list[Object]:
    """Returns the warnings in namespaces; those that may not be read are left out."""
    found: list[Object] = []
    for namespace in namespaces:
        try:
            found += cluster.list("v1", "Event", namespace, field_selector="type=Warning")
        except (Forbidden, NotFound):
            continue
    return found


def last(events: list[Object], owners: dict[tuple[str, str], str]) -> dict[str, dict[str, t.Any]]:
    """Returns by component the newest warning about one of its objects, or about what these brought forth.

    Args:
        owners: by namespace and name of an object, its component. A pod's name begins with that of its owner.
    """
    found: dict[str, dict[str, t.Any]] = {}
    for event in sorted(events, key=when):
        about = event.get("involvedObject") or {}
        owner = _owner(str(about.get("namespace") or ""), str(about.get("name") or ""), owners)
        if owner:
            found[owner] = {
                "time": when(event), "object": f"{about.get('kind')} {about.get('namespace')}/{about.get('name')}",
                "reason": str(event.get("reason") or ""), "message": " ".join(str(event.get("message") or "").split())[:_LENGTH],
            }
    return found


def when(event: Object) -> str:
    """Returns when an event happened last, as the API writes times."""
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
               or event["metadata"].get("creationTimestamp") or "")


def _owner(namespace: str, name: str, owners: dict[tuple[str, str], str]) -> str:
    parts = name.split("-")
    for length in range(len(parts), 0, -1):
        owner = owners.get((namespace, "-".join(parts[:length])))
        if owner:
            return owner
    return ""
