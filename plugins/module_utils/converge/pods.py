# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why pods are not running, and whether waiting can help. Pure functions on pods from the API."""

from __future__ import annotations

import dataclasses

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object

# The kubelet tries a pull again after some seconds; a registry may be slow once, but not this long.
PULL_GRACE = 60.0
# Autoscalers need minutes to add a node.
SCHEDULE_GRACE = 300.0
# Many programs end when their database is not there yet, and run after a restart or two.
CRASHES_ALLOWED = 5

_HOPELESS = {
    "ErrImageNeverPull": "the image is not on the node and must not be pulled",
    "InvalidImageName": "the image's name is not valid",
    "CreateContainerConfigError": "",
    "CreateContainerError": "",
}
# The program itself cannot be started, so there is no log: the runtime's message is all there is.
_NEVER_STARTED = {"StartError", "ContainerCannotRun"}
_PULLING = {"ErrImagePull", "ImagePullBackOff"}


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What holds a pod up.

    Attributes:
        pod: its name. container: the container concerned, or empty.
        reason: one sentence for people.
        patience: seconds after which waiting is given up; None while it may still succeed by itself.
        crashed: whether the container's log tells more.
    """

    namespace: str
    pod: str
    container: str
    reason: str
    patience: float | None = None
    crashed: bool = False


def trouble(pod: Object) -> Trouble | None:
    """Returns what holds a pod up, or None when nothing does."""
    meta, status = pod["metadata"], pod.get("status") or {}
    where = (meta.get("namespace", ""), meta["name"])
    if status.get("phase") == "Succeeded":
        return None
    for found in status.get("conditions") or []:
        if found.get("type") == "PodScheduled" and found.get("status") == "False":
            return Trouble(*where, "", f"unschedulable: {found.get('message', '')}", SCHEDULE_GRACE)
    for entry in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        found = _container_trouble(where, entry)
        if found:
            return found
    if status.get("phase") == "Failed":
        return Trouble(*where, "", f"failed: {status.get('message') or status.get('reason') or ''}", crashed=True)
    if not status.get("containerStatuses"):
        return Trouble(*where, "", "starting")
    return None if _all_ready(status) else Trouble(*where, "", "running, not ready yet")


def _all_ready(status: Object) -> bool:
    return all(entry.get("ready") for entry in status.get("containerStatuses") or [])


def _container_trouble(where: tuple[str, str], entry: Object) -> Trouble | None:
    name, state = entry["name"], entry.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in _HOPELESS:
        text = _HOPELESS[reason] or message
        return Trouble(*where, name, f"{reason} ({entry.get('image', '')}): {text}", 20.0)
    if reason in _PULLING:
        return Trouble(*where, name, f"{reason} ({entry.get('image', '')}): {message}", PULL_GRACE)
    ended = state.get("terminated") or (entry.get("lastState") or {}).get("terminated") or {}
    restarts = entry.get("restartCount", 0)
    if reason == "CrashLoopBackOff" or (ended and ended.get("exitCode", 0) != 0 and not entry.get("ready")):
        why = "killed for want of memory" if ended.get("reason") == "OOMKilled" else f"exit code {ended.get('exitCode')}"
        patience = 0.0 if restarts >= CRASHES_ALLOWED else None
        if ended.get("reason") in _NEVER_STARTED:
            why += f": {ended.get('message', '')}"
        return Trouble(*where, name, f"crashed {max(restarts, 1)} times ({why})", patience, crashed=True)
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        return Trouble(*where, name, f"{reason}: {message}")
    return None
