# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from a cluster what belongs to the platform, before and after a removal. Changes nothing."""

from __future__ import annotations

import base64
import concurrent.futures
import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import definitions, helm_state, record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden, NotFound
from ansible_collections.openmlops.platform.plugins.module_utils.leftovers import traces
from ansible_collections.openmlops.platform.plugins.module_utils.leftovers.traces import NARROW, WIDE, Snapshot, Trace

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_OWNER = "app.kubernetes.io/managed-by"
_THREADS = 8


def snapshot(cluster: Cluster, space: str) -> Snapshot:
    """Returns what the records, and Helm's, say there is."""
    found = Snapshot()
    spaces = {space}
    names: set[str] = set()
    for entry in record.read_all(cluster, space).values():
        found.components.append(entry.component)
        spaces |= {member.namespace for member in entry.members if member.namespace} | {entry.namespace}
        spaces |= {member.name for member in entry.members if member.kind == "Namespace"}
        names |= {member.name for member in entry.members if member.kind == "CustomResourceDefinition"}
        found.members += [[member.api_version, member.kind, member.namespace, member.name] for member in entry.members]
        for namespace, name in entry.releases:
            spaces.add(namespace)
            found.releases.append(f"{namespace}/{name}")
            for revision in helm_state.revisions(cluster, name, namespace)[:1]:
                names |= set(_definitions_of(revision.payload()))
                found.members += [
                    [obj["apiVersion"], obj["kind"], str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"]]
                    for obj in helm_state.with_namespaces(cluster, revision.objects(), namespace)
                ]
    for name in sorted(spaces):
        live = cluster.get("v1", "Namespace", name)
        if live is not None:
            own = (live["metadata"].get("labels") or {}).get(_OWNER) == LABELS[_OWNER]
            (found.namespaces if own else found.foreign).append(name)
    found.definitions = sorted(names)
    return found


def _definitions_of(payload: dict[str, t.Any]) -> list[str]:
    """Returns the names of the definitions that a chart brings, also from its folder crds/, which Helm never removes."""
    chart = payload.get("chart") or {}
    texts = [base64.b64decode(file.get("data") or "").decode("utf-8", "replace")
             for file in chart.get("files") or [] if str(file.get("name", "")).startswith("crds/")]
    return definitions.names([*texts, str(payload.get("manifest") or "")])


def left(cluster: Cluster, before: Snapshot, space: str, purge: bool, seconds: float) -> tuple[list[Trace], list[str]]:
    """Returns what is left, and the kinds that may not be looked through.

    Args:
        seconds: how long what is being deleted may take to go.
    """
    deadline = time.monotonic() + seconds
    others = _of_others(cluster, space)
    while True:
        found, closed = _look(cluster, before)
        result = [trace for trace in [*traces.traces(found, before, purge, space), *_definitions_left(cluster, before, purge, closed)]
                  if (trace.kind, trace.namespace, trace.name) not in others]
        dying = [trace for trace in result if trace.why.endswith("being deleted") or trace.kind == "Pod"]
        if not dying or time.monotonic() >= deadline:
            return sorted(result, key=lambda trace: (trace.kept, trace.kind, trace.namespace, trace.name)), sorted(closed)
        time.sleep(1.0)


def _of_others(cluster: Cluster, space: str) -> set[tuple[str, str, str]]:
    """Returns what other platforms on the same cluster have recorded as theirs: it carries the same label."""
    try:
        spaces = {entry["metadata"]["namespace"]
                  for entry in cluster.list("v1", "ConfigMap", label_selector=f"{record.RECORD_LABEL}=component")}
        records = [entry for other in sorted(spaces - {space}) for entry in record.read_all(cluster, other).values()]
    except Forbidden:
        return set()
    return {(member.kind, member.namespace, member.name) for entry in records for member in entry.members} | {
        ("Namespace", "", name) for name in spaces - {space}}


def _look(cluster: Cluster, before: Snapshot) -> tuple[list[Object], set[str]]:
    closed: set[str] = set()

    def everything(api_version: str, kind: str, namespace: str | None) -> list[Object]:
        try:
            # What the platform only used is not looked through: only what carries its label counts there.
            selector = f"{_OWNER}={LABELS[_OWNER]}" if namespace in before.foreign else None
            return cluster.list(api_version, kind, namespace, label_selector=selector) if cluster.serves(api_version, kind) else []
        except Forbidden:
            closed.add(kind)
        except NotFound:
            pass
        return []

    questions: list[tuple[str, str, str | None]] = [(api_version, kind, None) for api_version, kind in WIDE]
    questions += [(api_version, kind, namespace) for namespace in sorted(before.spaces) for api_version, kind in NARROW]
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        found = [obj for answer in pool.map(lambda question: everything(*question), questions) for obj in answer]
        found += [obj for obj in pool.map(lambda member: _member(cluster, member), before.members) if obj]
    return found, closed


def _member(cluster: Cluster, member: list[str]) -> Object | None:
    """Returns a recorded object that is still there, whatever its kind."""
    api_version, kind, namespace, name = member
    if kind == "CustomResourceDefinition" or not cluster.serves(api_version, kind):
        return None
    try:
        return cluster.get(api_version, kind, name, namespace or None)
    except Forbidden:
        return None


def _definitions_left(cluster: Cluster, before: Snapshot, purge: bool, closed: set[str]) -> list[Trace]:
    try:
        listed = cluster.request("GET", _CRDS, accept=_METADATA)
    except Forbidden:
        closed.add("CustomResourceDefinition")
        return []
    return traces.definitions(before.definitions, {entry["metadata"]["name"]: entry["metadata"] for entry in listed.get("items") or []},
                              purge)
