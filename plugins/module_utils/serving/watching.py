# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a revision is up, and if not, why: its pods, their last words, what the engine says, the cluster's warnings."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.condition import events
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.converge.pods import Trouble, trouble
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden
from ansible_collections.openmlops.platform.plugins.module_utils.serving.engines import KINDS
from ansible_collections.openmlops.platform.plugins.module_utils.serving.reach import ready_pods
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import Revision, object_name, pod_selector

# A model that cannot be loaded, or whose artifacts are not there, is not mended by the fourth start.
CRASHES_ALLOWED = 3
# What the engine's controller says before it has looked at its runtimes is not its last word.
_REFUSAL_GRACE = 15.0
_REFUSALS = ("NoSupportingRuntime", "RuntimeNotRecognized", "RuntimeDisabled", "InvalidPredictorSpec")
_LONGEST = 600


@dataclasses.dataclass(frozen=True)
class Sight:
    """What a look at a revision found.

    Attributes:
        up: whether as many pods are ready as there shall be.
        reason: what is missing, for people.
        patience: seconds of this reason after which waiting is given up; None while it may still succeed.
    """

    up: bool
    reason: str = ""
    patience: float | None = None


def look(cluster: Cluster, model: str, namespace: str, revision: Revision) -> Sight:
    """Looks at the pods of a revision, and behind them when something holds them up."""
    pods = [pod for pod in cluster.list("v1", "Pod", namespace, label_selector=pod_selector(model, revision))
            if not pod["metadata"].get("deletionTimestamp")]
    ready = len(ready_pods(pods))
    if ready >= revision.replicas:
        return Sight(True)
    troubles = [found for found in map(trouble, pods) if found]
    if troubles:
        # What will not pass by itself is told first.
        worst = max(troubles, key=lambda one: (one.patience is not None or one.crashed, one.crashed))
        return _of_pod(cluster, worst, pods)
    if pods:
        return Sight(False, f"{ready} of {revision.replicas} pods are ready")
    return _of_engine(cluster, model, namespace, revision)


def last_line(cluster: Cluster, namespace: str, pod: str, container: str) -> str:
    """Returns the last words of a container: of the one that ended, if one did."""
    for previous in (True, False):
        lines = [line.strip() for line in cluster.logs(namespace, pod, container or None, previous=previous).splitlines() if line.strip()]
        if lines:
            return lines[-1][:_LONGEST]
    return ""


def _of_pod(cluster: Cluster, found: Trouble, pods: list[Object]) -> Sight:
    where = f"pod {found.namespace}/{found.pod}" + (f", container {found.container}" if found.container else "")
    words = last_line(cluster, found.namespace, found.pod, found.container) if found.crashed else ""
    patience = found.patience
    if found.crashed and _restarts(pods, found) >= CRASHES_ALLOWED:
        patience = 0.0
    return Sight(False, f"{where}: {found.reason}" + (f"; its last words: {words}" if words else ""), patience)


def _restarts(pods: list[Object], found: Trouble) -> int:
    for pod in pods:
        if pod["metadata"]["name"] == found.pod:
            status = pod.get("status") or {}
            entries = (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
            return max((int(entry.get("restartCount", 0)) for entry in entries if entry["name"] == found.container), default=0)
    return 0


def _of_engine(cluster: Cluster, model: str, namespace: str, revision: Revision) -> Sight:
    """Returns why there is no pod at all."""
    api_version, kind = KINDS[revision.engine]
    name = object_name(model, revision)
    obj = cluster.get(api_version, kind, name, namespace)
    if obj is None:
        return Sight(False, f"{kind} {namespace}/{name} is gone: another call for this model has removed it", 0.0)
    reason, refused = _told(obj)
    warning = events.last(events.warnings(cluster, [namespace]), {(namespace, name): name}).get(name)
    if warning:
        reason = f"{warning['object']}: {warning['reason']}: {warning['message']}"
    return Sight(False, reason or f"{kind} {namespace}/{name}: no pod has been made yet", _REFUSAL_GRACE if refused else None)


def _told(obj: t.Mapping[str, t.Any]) -> tuple[str, bool]:
    """Returns what an engine's object says is wrong, and whether that is final."""
    status = obj.get("status") or {}
    failure = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    if failure.get("reason") in _REFUSALS:
        return f"KServe: {failure['reason']}: {failure.get('message', '')}"[:_LONGEST], True
    if status.get("state") == "Failed":
        return f"Seldon Core: {status.get('description') or 'failed'}"[:_LONGEST], True
    for entry in status.get("conditions") or []:
        if entry.get("status") == "False" and entry.get("message"):
            return f"{entry.get('type')}: {entry['message']}"[:_LONGEST], False
    return "", False


def warn_rights(error: Forbidden, namespace: str) -> str:
    """Returns a sentence for whoever may not deploy models."""
    return (f"{error.message}. Deploying models needs the rights of the Role model-deployer in namespace {namespace}: notebooks and flows "
            "of the platform have them.")
