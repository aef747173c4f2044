# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, order and comparable form of Kubernetes objects. Pure functions."""

from __future__ import annotations

import copy
import hashlib
import json
import typing as t

Object = dict[str, t.Any]

LABELS = {"app.kubernetes.io/managed-by": "openmlops", "app.kubernetes.io/part-of": "openmlops-platform"}
COMPONENT_LABEL = "openmlops.io/component"
KEEP_ANNOTATION = "openmlops.io/keep"
# A JSON merge patch for an object that outlives its component, such as one that puts a database to sleep.
WHEN_REMOVED_ANNOTATION = "openmlops.io/when-removed"

# Kinds that hold data, or whose removal removes others' data: never deleted unless a purge is asked for.
_KEPT_KINDS = {"Namespace", "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition", "Secret"}

# What must exist before what; a kind that is not listed comes after the listed ones.
_ORDER = (
    "Namespace", "ResourceQuota", "LimitRange", "CustomResourceDefinition", "StorageClass", "PriorityClass",
    "ServiceAccount", "Secret", "ConfigMap", "PersistentVolume", "PersistentVolumeClaim", "ClusterRole",
    "ClusterRoleBinding", "Role", "RoleBinding", "NetworkPolicy", "Service",
    # What decides at a gateway, before the listeners and routes that it guards; and removed after them.
    "SecurityPolicy", "ClientTrafficPolicy", "AuthorizationPolicy", "EnvoyFilter", "AuthService", "Module",
)
_RANK = {kind: rank for rank, kind in enumerate(_ORDER)}

# Fields that the server writes; they say nothing about what somebody asked for.
_SERVER_METADATA = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
    "resourceVersion", "selfLink", "uid",
)


class Ref(t.NamedTuple):
    """The identity of an object, without its version of the API."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def ref(obj: Object) -> Ref:
    """Returns the identity of an object."""
    meta = obj.get("metadata") or {}
    return Ref(str(obj.get("kind", "")), str(meta.get("namespace") or ""), str(meta.get("name", "")))


def problems(obj: t.Any) -> str | None:
    """Returns what is wrong with the outer form of an object, or None."""
    if not isinstance(obj, dict):
        return f"an object must be a mapping, not {type(obj).__name__}"
    if not isinstance(obj.get("metadata") or {}, dict):
        return f"{obj.get('kind')}: metadata must be a mapping"
    missing = [key for key in ("apiVersion", "kind") if not isinstance(obj.get(key), str)]
    if not isinstance((obj.get("metadata") or {}).get("name"), str):
        missing.append("metadata.name")
    return f"{ref(obj)}: missing or not a string: {', '.join(missing)}" if missing else None


def ordered(objects: list[Object]) -> list[Object]:
    """Returns the objects in an order in which they can be created; stable within a kind."""
    return sorted(objects, key=lambda obj: _RANK.get(obj["kind"], len(_ORDER)))


def waves(objects: list[Object]) -> list[list[Object]]:
    """Returns the objects in groups; the members of one group do not need each other."""
    groups: dict[int, list[Object]] = {}
    for obj in objects:
        groups.setdefault(_RANK.get(obj["kind"], len(_ORDER)), []).append(obj)
    return [groups[rank] for rank in sorted(groups)]


def labelled(obj: Object, component: str = "") -> Object:
    """Returns a copy that carries this collection's labels; labels that are there already stay as they are."""
    result = copy.deepcopy(obj)
    labels = result.setdefault("metadata", {}).setdefault("labels", {}) or {}
    for key, value in LABELS.items():
        labels.setdefault(key, value)
    if component:
        labels.setdefault(COMPONENT_LABEL, component)
    result["metadata"]["labels"] = labels
    return result


def is_kept(obj: Object) -> bool:
    """Tells whether an object holds data and must outlive its component unless a purge is asked for."""
    note = ((obj.get("metadata") or {}).get("annotations") or {}).get(KEEP_ANNOTATION)
    return note == "true" or (note is None and obj.get("kind") in _KEPT_KINDS)


def comparable(obj: Object | None) -> Object | None:
    """Returns the part of an object that people decide: no status, nothing that the server fills in on each write."""
    if obj is None:
        return None
    result = {key: value for key, value in obj.items() if key != "status"}
    meta = {key: value for key, value in result.get("metadata", {}).items() if key not in _SERVER_METADATA}
    notes = {
        key: value for key, value in (meta.get("annotations") or {}).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    meta.pop("annotations", None)
    if notes:
        meta["annotations"] = notes
    result["metadata"] = meta
    return result


def without_injected(obj: t.Any) -> t.Any:
    """Returns an object of a chart without the fields that controllers fill in afterwards.

    These are status, the certificate authority of webhooks and conversions, and the rules of an aggregated ClusterRole.
    """
    if isinstance(obj, list):
        return [without_injected(entry) for entry in obj]
    if not isinstance(obj, dict):
        return obj
    dropped = {"caBundle"} | ({"status"} if "kind" in obj and "metadata" in obj else set())
    if obj.get("kind") == "ClusterRole" and obj.get("aggregationRule"):
        dropped.add("rules")
    return {key: without_injected(value) for key, value in obj.items() if key not in dropped}


def project(live: t.Any, shape: t.Any) -> t.Any:
    """Returns of ``live`` only what ``shape`` speaks of: the keys of its mappings and the length of its lists.

    With it a live object can be compared with itself at another time, leaving out what others have added.
    """
    if isinstance(shape, dict) and isinstance(live, dict):
        return {key: project(live[key], value) for key, value in shape.items() if key in live}
    if isinstance(shape, list) and isinstance(live, list):
        named = _by_name(live)
        if named is not None and _by_name(shape) is not None:
            return [project(named.get(entry["name"]), entry) for entry in shape]
        return [len(live)] + [project(a, b) for a, b in zip(live, shape, strict=False)]
    return live


def _by_name(entries: list[t.Any]) -> dict[str, t.Any] | None:
    if entries and all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        return {entry["name"]: entry for entry in entries}
    return None


def digest(value: t.Any) -> str:
    """Returns a short digest of any JSON value; equal values have equal digests, whatever the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
