# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's Secrets, for a backup and back from it.

All that carry the platform's label are in the backup. Only what nothing else gives is put back: what was generated, authorities, and
what people's accounts left (machines' tokens, first passwords). What follows from it, and what the inventory says, the next run
makes of it.
"""

from __future__ import annotations

import base64
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.fingerprint import KEY_SECRET

_OWNER = "app.kubernetes.io/managed-by"
# By "namespace/name": type, and values by key, in base64.
Content = dict[str, dict[str, t.Any]]


def collect(cluster: Cluster, space: str, leave_out: str) -> Content:
    """Returns all Secrets of the platform.

    Args:
        space: the platform's own namespace, where the records are.
        leave_out: namespace of the backups, which has copies only.
    """
    found: Content = {}
    for namespace in sorted(_namespaces(cluster, space) - {leave_out}):
        for secret in cluster.list("v1", "Secret", namespace, label_selector=f"{_OWNER}={LABELS[_OWNER]}"):
            name = secret["metadata"]["name"]
            if name != KEY_SECRET and secret.get("data"):
                found[f"{namespace}/{name}"] = {"type": secret.get("type") or "Opaque", "data": dict(secret["data"])}
    return found


def _namespaces(cluster: Cluster, space: str) -> set[str]:
    found = {space}
    for entry in record.read_all(cluster, space).values():
        found |= {entry.namespace, *(member.namespace for member in entry.members if member.kind == "Secret")}
    return found


def to_put_back(content: Content, specs: t.Iterable[dict[str, t.Any]]) -> Content:
    """Returns of a backup's Secrets the values that no run would make again.

    Args:
        specs: what this inventory declares, as the plans of its components say.
    """
    declared = {f"{spec['namespace']}/{spec['name']}": spec for spec in specs}
    found: Content = {}
    for name, secret in content.items():
        spec = declared.get(name)
        if spec is None:
            found[name] = secret
        elif not spec.get("copy_from"):
            own = {key for key, entry in (spec.get("data") or {}).items() if _is_own(entry)}
            data = {key: value for key, value in secret["data"].items() if key in own}
            if data:
                found[name] = {"type": secret["type"], "data": data}
    return found


def _is_own(entry: dict[str, t.Any]) -> bool:
    return "generate" in entry or bool((entry.get("certificate") or {}).get("is_ca"))


def differing(cluster: Cluster, content: Content) -> tuple[Content, list[str]]:
    """Returns what of the content is other in the cluster, and the Secrets whose namespace is not there."""
    changed: Content = {}
    homeless = []
    there: dict[str, bool] = {}
    for full, secret in sorted(content.items()):
        namespace, _slash, name = full.partition("/")
        if namespace not in there:
            there[namespace] = cluster.get("v1", "Namespace", namespace) is not None
        if not there[namespace]:
            homeless.append(full)
            continue
        live = (cluster.get("v1", "Secret", name, namespace) or {}).get("data") or {}
        data = {key: value for key, value in secret["data"].items() if not same(live.get(key), value)}
        if data:
            changed[full] = {"type": secret["type"], "data": data}
    return changed, homeless


def same(first: str | None, second: str) -> bool:
    """Tells whether two values in base64 are the same, whatever their line breaks."""
    return first is not None and base64.b64decode(first) == base64.b64decode(second)


def put_back(cluster: Cluster, content: Content) -> None:
    """Writes values; other keys of the same Secrets stay."""
    for full, secret in sorted(content.items()):
        namespace, _slash, name = full.partition("/")
        live = cluster.get("v1", "Secret", name, namespace)
        if live is None:
            cluster.create({"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "data": secret["data"],
                            "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)}})
        else:
            cluster.replace({**live, "data": {**(live.get("data") or {}), **secret["data"]}})
