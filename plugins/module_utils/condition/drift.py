# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a run left was changed since, as far as that shows without making the plans anew.

Told are objects that are gone, that somebody's tool wrote to, and releases that another Helm or hand changed. Whether the
inventory wants something else by now, only a run in check mode can tell (docs/decisions/0094).
"""

from __future__ import annotations

import concurrent.futures

from ansible_collections.openmlops.platform.plugins.module_utils.converge import ownership
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Releases
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden

_THREADS = 8
# Definitions fill megabytes, and the platform notes their content itself; Jobs may be cleaned up when they are done.
_SKIPPED = ("CustomResourceDefinition", "Job")


def read(cluster: Cluster, found: Record, releases: Releases) -> list[str]:
    """Returns what was changed of a component, a sentence for each object."""
    wanted = [member.as_object() for member in found.members if member.kind not in _SKIPPED]

    def look(obj: Object) -> str:
        if not cluster.serves(obj["apiVersion"], obj["kind"]):
            return f"{ref(obj)} is gone, its definition too"
        try:
            return told(obj, cluster.live(obj))
        except Forbidden:
            return ""

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        changes = list(pool.map(look, wanted))
    return [*filter(None, changes), *filter(None, (releases.drift(name, space) for space, name in found.releases))]


def told(wanted: Object, live: Object | None) -> str:
    """Returns how an object was changed, or an empty text."""
    if live is None:
        return f"{ref(wanted)} is gone"
    if wanted["kind"] == "Secret":
        return ""  # what a user brought is kept, by whatever tool
    hands = sorted({str(entry.get("manager")) for entry in live["metadata"].get("managedFields") or []
                    if ownership.by_hand({**entry, "subresource": ""}) and entry.get("subresource") in (None, "", "scale")})
    return f"{ref(wanted)} has fields that were set by hand ({', '.join(hands)})" if hands else ""
