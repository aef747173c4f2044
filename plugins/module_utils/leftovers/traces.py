# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to the platform on a cluster, and what of it is still there after a removal. Pure functions.

Before a removal the records say what there is. Afterwards they are gone, so what is looked for then is what they said, and
what carries the platform's marks: its labels, the name of one of its releases, or a reference into one of its namespaces.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object, is_kept, ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import RECORD_LABEL

_OWNER = "app.kubernetes.io/managed-by"

# Kinds that concern the whole cluster, all of which are looked through.
WIDE = (
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
    ("apiregistration.k8s.io/v1", "APIService"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("networking.k8s.io/v1", "IngressClass"),
    ("gateway.networking.k8s.io/v1", "GatewayClass"),
)
# Kinds in namespaces that cost money, hold data, or come back by themselves.
NARROW = (
    ("v1", "PersistentVolumeClaim"), ("v1", "Service"), ("v1", "Secret"), ("v1", "ConfigMap"), ("v1", "Pod"), ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("batch/v1", "Job"), ("batch/v1", "CronJob"),
    ("rbac.authorization.k8s.io/v1", "Role"), ("rbac.authorization.k8s.io/v1", "RoleBinding"),
)
_STANDS_IN = "stands in the platform's namespace"
# Made by the cluster itself in each namespace, or by what goes with the namespace anyway.
_EVERYWHERE = {("ConfigMap", "kube-root-ca.crt"), ("ConfigMap", "istio-ca-root-cert"), ("ConfigMap", "openshift-service-ca.crt")}


@dataclasses.dataclass
class Snapshot:
    """What there is before a removal.

    Attributes:
        components: names, in the records' order.
        namespaces: that the platform made; foreign: that it only used.
        releases: as ``namespace/name``.
        members: (apiVersion, kind, namespace, name) of all recorded objects and those of charts.
        definitions: names of custom resource definitions, those of charts included.
    """

    components: list[str] = dataclasses.field(default_factory=list)
    namespaces: list[str] = dataclasses.field(default_factory=list)
    foreign: list[str] = dataclasses.field(default_factory=list)
    releases: list[str] = dataclasses.field(default_factory=list)
    members: list[list[str]] = dataclasses.field(default_factory=list)
    definitions: list[str] = dataclasses.field(default_factory=list)

    @property
    def spaces(self) -> set[str]:
        """All namespaces in which something of the platform may be."""
        return {*self.namespaces, *self.foreign}


class Trace(t.NamedTuple):
    """Something that is still there. ``kept``: on purpose, since it holds data."""

    kind: str
    namespace: str
    name: str
    why: str
    kept: bool

    @property
    def command(self) -> str:
        """What removes it by hand."""
        space = f" -n {self.namespace}" if self.namespace else ""
        return f"kubectl delete {self.kind.lower()}{space} {self.name}"


def why(obj: Object, snapshot: Snapshot) -> str:
    """Returns what ties an object to the platform, or an empty text."""
    kind, namespace, name = ref(obj)
    meta = obj["metadata"]
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    if (kind, name) in _EVERYWHERE or (kind == "Namespace" and name in snapshot.foreign):
        return ""
    if labels.get(_OWNER) == LABELS[_OWNER]:
        return "carries the platform's label"
    release = f"{notes.get('meta.helm.sh/release-namespace', '')}/{notes.get('meta.helm.sh/release-name', '')}"
    if release in snapshot.releases:
        return f"belongs to release {release}"
    if kind == "Namespace":
        return "was made by the platform" if name in snapshot.namespaces else ""
    if namespace:
        return f"{_STANDS_IN} {namespace}" if namespace in snapshot.namespaces else ""
    claim = ((obj.get("spec") or {}).get("claimRef") or {}).get("namespace")
    if kind == "PersistentVolume" and claim in snapshot.spaces:
        return f"holds the data of claim {claim}/{obj['spec']['claimRef'].get('name')}"
    called = sorted({space for space in _services(obj) if space in snapshot.namespaces})
    if called:
        return f"calls a service in {called[0]}"
    bound = sorted({entry.get("namespace", "") for entry in obj.get("subjects") or []} & set(snapshot.namespaces)) \
        if kind == "ClusterRoleBinding" else []
    return f"gives rights to an account in {bound[0]}" if bound else ""


def _services(obj: Object) -> t.Iterator[str]:
    """Yields the namespaces of services that a webhook or an API stands for."""
    for hook in obj.get("webhooks") or []:
        yield str(((hook.get("clientConfig") or {}).get("service") or {}).get("namespace") or "")
    if obj["kind"] == "APIService":
        yield str(((obj.get("spec") or {}).get("service") or {}).get("namespace") or "")


def traces(found: t.Iterable[Object], snapshot: Snapshot, purge: bool, space: str) -> list[Trace]:
    """Returns of the objects that were found those that are the platform's.

    Args:
        purge: whether data was to go too; otherwise what holds data is kept on purpose, with the records of it.
        space: the platform's own namespace.
    """
    result: dict[tuple[str, str, str], Trace] = {}
    for obj in found:
        reason = why(obj, snapshot)
        owned = bool(obj["metadata"].get("ownerReferences"))
        if not reason or (owned and not purge):
            continue  # what has an owner goes and stays with it
        labels = obj["metadata"].get("labels") or {}
        records = obj["kind"] in ("ConfigMap", "Lease") and ref(obj).namespace == space and bool(labels.get(RECORD_LABEL))
        # What is in a namespace that stays, and is not the platform's own, was put there by an operator or by somebody, beside the data.
        beside = reason.startswith(_STANDS_IN)
        kept = not purge and (is_kept(obj) or records or beside or obj["kind"] == "PersistentVolume")
        told = f"{reason}, being deleted" if obj["metadata"].get("deletionTimestamp") else reason
        if obj["kind"] == "Service" and (obj.get("spec") or {}).get("type") == "LoadBalancer":
            told, kept = f"{told}; a load balancer that costs money", False
        result[ref(obj)] = Trace(*ref(obj), told, kept)
    return sorted(result.values(), key=lambda trace: (trace.kept, trace.kind, trace.namespace, trace.name))


def definitions(names: t.Iterable[str], live: dict[str, Object], purge: bool) -> list[Trace]:
    """Returns the platform's custom resource definitions that are still there.

    Args:
        live: by name, metadata of the definitions on the cluster.
    """
    wanted = {*names, *(name for name, meta in live.items() if (meta.get("labels") or {}).get(_OWNER) == LABELS[_OWNER])}
    return [Trace("CustomResourceDefinition", "", name, "was brought by the platform or one of its charts", not purge)
            for name in sorted(wanted & set(live))]


def table(left: list[Trace]) -> str:
    """Returns what is left for people."""
    stray, kept = [entry for entry in left if not entry.kept], [entry for entry in left if entry.kept]
    lines = []
    if kept:
        lines.append(f"kept, since data stays unless it is asked to go: {_counted(kept)}")
    if stray:
        lines.append("left behind:")
        lines += [f"  {entry.kind} {entry.namespace + '/' if entry.namespace else ''}{entry.name} ({entry.why})" for entry in stray]
        lines.append("what removes it by hand, after a look at each:")
        lines += [f"  {entry.command}" for entry in stray]
    if not left:
        lines.append(f"nothing of the platform is left: {', '.join(sorted({kind for _version, kind in (*WIDE, *NARROW)}))}, "
                     "CustomResourceDefinition")
    elif not stray:
        lines.append("nothing else of the platform is left")
    return "\n".join(lines)


def _counted(entries: list[Trace]) -> str:
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.kind] = counts.get(entry.kind, 0) + 1
    return ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
