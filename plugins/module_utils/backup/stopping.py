# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops what uses data while that is restored, and starts it again.

What was stopped is written down in the platform's own namespace first: a restore that is killed, and run again, still knows how it
was, and so does each run of the platform.
"""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError
from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import apply_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Releases
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster

NOTE = "restore-under-way"
# By kind: the field that stops it, and its value then.
_STOPS: dict[str, tuple[str, t.Any]] = {"Deployment": ("replicas", 0), "StatefulSet": ("replicas", 0), "CronJob": ("suspend", True)}
_BEFORE = {"replicas": 1, "suspend": False}  # what the server fills in
_STOP_SECONDS = 180.0


def workloads(cluster: Cluster, space: str, releases: Releases, components: t.Iterable[str]) -> list[Object]:
    """Returns what runs of the components and can be stopped, as it is now."""
    known = record.read_all(cluster, space)
    found: dict[tuple[str, str, str], Object] = {}
    for name in components:
        entry = known.get(name)
        objects = [member.as_object() for member in entry.members] if entry else []
        for namespace, release in entry.releases if entry else ():
            objects += releases.workloads(release, namespace)
        for obj in (obj for obj in objects if obj["kind"] in _STOPS):
            live = cluster.live(obj)
            if live:
                found[ref(live)] = live
    return list(found.values())


def stop(cluster: Cluster, namespace: str, backup: str, running: list[Object], say: t.Callable[[str], None]) -> int:
    """Stops workloads and waits until their pods are gone; returns how many were running.

    Args:
        namespace: the platform's own, where it is written down how they were.
    """
    note = _read(cluster, namespace)
    before = {_key(entry): entry for entry in note.get("stopped", [])}
    fresh = []
    for obj in running:
        field, stopped = _STOPS[obj["kind"]]
        value = (obj.get("spec") or {}).get(field, _BEFORE[field])
        entry = {"api_version": obj["apiVersion"], "kind": obj["kind"], "namespace": obj["metadata"]["namespace"],
                 "name": obj["metadata"]["name"], "value": value}
        if value != stopped:
            fresh.append(obj)
            before[_key(entry)] = entry
    # What was restored is still so only if nothing has used it since.
    kept = note.get("restored", []) if note.get("backup") == backup and not fresh else []
    _write(cluster, namespace, {"backup": backup, "stopped": list(before.values()), "restored": kept})
    for obj in fresh:
        field, stopped = _STOPS[obj["kind"]]
        cluster.patch_merge(obj, {"spec": {field: stopped}})
    _await_gone(cluster, [obj for obj in running if obj["kind"] != "CronJob"], say)
    return len(fresh)


def note_restored(cluster: Cluster, namespace: str, parts: list[str]) -> None:
    """Writes down that these files of the backup are in place."""
    _write(cluster, namespace, {**_read(cluster, namespace), "restored": parts})


def restored(cluster: Cluster, namespace: str) -> list[str]:
    """Returns the files of the backup that are in place, and that nothing has used since."""
    return list(_read(cluster, namespace).get("restored", []))


def start(cluster: Cluster, namespace: str) -> list[Object]:
    """Starts what is still stopped, forgets the note, and returns what was started."""
    note = _read(cluster, namespace)
    started: list[Object] = []
    for entry in note.get("stopped", []):
        field, stopped = _STOPS[entry["kind"]]
        obj = {"apiVersion": entry["api_version"], "kind": entry["kind"],
               "metadata": {"name": entry["name"], "namespace": entry["namespace"]}}
        live = cluster.live(obj)
        if live and (live.get("spec") or {}).get(field) == stopped:
            cluster.patch_merge(obj, {"spec": {field: entry["value"]}})
            started.append(obj)
    if note:
        cluster.delete({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NOTE, "namespace": namespace}})
    return started


def under_way(cluster: Cluster, namespace: str) -> str:
    """Returns the backup of a restore that did not come to its end, or an empty text."""
    return str(_read(cluster, namespace).get("backup", ""))


def _key(entry: dict[str, t.Any]) -> tuple[str, str, str]:
    return entry["kind"], entry["namespace"], entry["name"]


def _read(cluster: Cluster, namespace: str) -> dict[str, t.Any]:
    found = cluster.get("v1", "ConfigMap", NOTE, namespace)
    return json.loads(found["data"]["restore.json"]) if found else {}


def _write(cluster: Cluster, namespace: str, note: dict[str, t.Any]) -> None:
    apply_objects(cluster, [{
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NOTE, "namespace": namespace, "labels": dict(LABELS)},
        "data": {"restore.json": json.dumps(note, sort_keys=True)}}])


def _await_gone(cluster: Cluster, objects: list[Object], say: t.Callable[[str], None]) -> None:
    started = said = time.monotonic()
    while True:
        left = [pod["metadata"]["name"] for obj in objects for pod in _pods(cluster, obj)]
        if not left:
            return
        now = time.monotonic()
        if now - started > _STOP_SECONDS:
            raise BackupError(f"these pods do not end: {', '.join(left)}")
        if now - said >= 10.0:
            say(f"waiting until these have ended: {', '.join(left[:5])}")
            said = now
        time.sleep(0.3)


def _pods(cluster: Cluster, obj: Object) -> list[Object]:
    labels = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    found = cluster.list("v1", "Pod", obj["metadata"]["namespace"], label_selector=selector) if selector else []
    return [pod for pod in found if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
