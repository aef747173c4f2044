# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a cluster, read from the records that runs leave there."""

from __future__ import annotations

import datetime
import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.condition import certificates, drift, events
from ansible_collections.openmlops.platform.plugins.module_utils.converge import engine, record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Releases
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError

VERIFICATION_LABEL = "openmlops.io/verification"


def read(
    cluster: Cluster, space: str, releases: Releases, waiter: Waiter, gateway: str, only: list[str]
) -> list[dict[str, t.Any]]:
    """Returns one entry for each installed component: name, version, namespace, ready, url, reason, proof, notes.

    Args:
        gateway: host or address that stands for ``{gateway}`` in the components' addresses.
        only: names to look at; empty for all.
    """
    known = record.read_all(cluster, space)
    entries = []
    for name in sorted(known):
        if (only and name not in only) or known[name].about.get("removed"):
            continue
        found = known[name]
        reasons = engine.not_ready(waiter, releases, found)
        entries.append({
            "name": name,
            "version": str(found.about.get("version", "")),
            "namespace": found.namespace,
            "ready": not reasons,
            "url": str(found.about.get("url") or "").replace("{gateway}", gateway) if gateway else "",
            "cluster_url": str(found.about.get("cluster_url") or ""),
            "reason": "; ".join(reasons),
            "proof": _proof(cluster, found.namespace, name),
            "notes": [str(note) for note in found.about.get("notes") or []],
        })
    absent = sorted(set(only) - {entry["name"] for entry in entries})
    return entries + [
        {"name": name, "version": "", "namespace": "", "ready": False, "url": "", "cluster_url": "",
         "reason": "not installed", "proof": None, "notes": []}
        for name in absent
    ]


def add_condition(cluster: Cluster, space: str, releases: Releases, entries: list[dict[str, t.Any]]) -> None:
    """Adds to the entries what goes beyond being ready: ``certificates``, ``last_error`` and ``drift``."""
    known = record.read_all(cluster, space)
    owners: dict[tuple[str, str], str] = {}
    for name, found in known.items():
        for space_, release in found.releases:
            members = [(str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"])
                       for obj in releases.workloads(release, space_)]
            owners.update(dict.fromkeys(members, name))
        owners.update({(member.namespace, member.name): name for member in found.members if member.namespace})
    # What concerns the whole cluster has no namespace, and a list without one would be that of all.
    spaces = sorted({namespace for namespace, _name in owners if namespace})
    ends = certificates.read(cluster, spaces, datetime.datetime.now(datetime.UTC))
    warned = events.last(events.warnings(cluster, spaces), owners)
    homes = {found.namespace: name for name, found in sorted(known.items(), reverse=True)}
    for entry in entries:
        name = entry["name"]
        entry["certificates"] = [
            end for end in ends if owners.get((end["namespace"], end["secret"]), homes.get(end["namespace"])) == name
        ]
        entry["last_error"] = warned.get(name)
        entry["drift"] = drift.read(cluster, known[name], releases) if name in known else []


def _proof(cluster: Cluster, namespace: str, component: str) -> t.Any:
    """Returns what the component's verification printed last, or None."""
    try:
        pods = cluster.list("v1", "Pod", namespace, label_selector=f"{VERIFICATION_LABEL}={component}")
    except KubeError:
        return None
    done = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Succeeded"]
    for pod in sorted(done, key=lambda entry: entry["metadata"]["creationTimestamp"], reverse=True):
        text = cluster.logs(namespace, pod["metadata"]["name"], None, 1).strip()
        try:
            return json.loads(text)
        except ValueError:
            return None
    return None


def table(document: dict[str, t.Any]) -> str:
    """Returns the status as a table for people."""
    head = document["cluster"]
    lines = [f"cluster    {head.get('server') or '-'}  {head.get('version') or head.get('reason')}",
             f"context    {head.get('context') or '-'}", f"kubeconfig {head.get('kubeconfig') or '-'}"]
    if document["gateway"].get("url"):
        lines.append(f"gateway    {document['gateway']['url']}")
    if document.get("state"):
        lines.append(f"state      {document['state']}")
    rows = [("COMPONENT", "VERSION", "NAMESPACE", "READY", "ADDRESS")]
    rows += [
        (entry["name"], entry["version"], entry["namespace"], "yes" if entry["ready"] else "NO",
         entry["url"] or entry["cluster_url"])
        for entry in document["components"]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines.append("")
    lines += ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip() for row in rows]
    lines += [f"{entry['name']}: {entry['reason']}" for entry in document["components"] if entry["reason"]]
    lines += [f"{entry['name']} drifted: {text}" for entry in document["components"] for text in entry.get("drift") or []]
    lines += [f"certificate {end['namespace']}/{end['secret']} of {entry['name']} holds until {end['expires'][:10]} "
              f"({end['days_left']} days)"
              for entry in document["components"] for end in entry.get("certificates") or []]
    lines += [f"{entry['name']}: last warning at {last['time']}: {last['object']}: {last['reason']}: {last['message']}"
              for entry in document["components"] if (last := entry.get("last_error"))]
    for entry in document["components"]:
        if isinstance(entry.get("proof"), dict):
            lines.append(f"{entry['name']} was proved: " + ", ".join(f"{k} {v}" for k, v in entry["proof"].items()))
    lines += [f"{entry['name']}: {note}" for entry in document["components"] for note in entry.get("notes") or []]
    return "\n".join(lines)
