# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the cluster already and collides with the plans: definitions, releases, objects, namespaces, APIs. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.helm_state import WANTED_ANNOTATION, Revision
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import (
    Finding, error, note, ok, shortened, warning,
)
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs

_OWNER = "app.kubernetes.io/managed-by"
_OUR_MANAGER = "openmlops"
# What says of a kind how to get it, by API group.
_CURES = {
    "cert-manager.io": "install cert-manager, or set platform_tls to local_ca or own",
    "gateway.networking.k8s.io": "install the Gateway API's definitions, or choose another platform_gateway",
    "route.openshift.io": "Routes are OpenShift's: choose another way in",
    "monitoring.coreos.com": "install the Prometheus operator, or switch off the monitors of the component",
    "admissionregistration.k8s.io": "update the cluster to Kubernetes 1.30 or newer",
}
# Older servers lack ValidatingAdmissionPolicy v1 and aggregated discovery.
OLDEST = (1, 30)


def version(text: str) -> list[Finding]:
    """Returns what is to be said of the server's version, such as ``v1.35.4-gke.100``."""
    parts = text.removeprefix("v").split(".")
    try:
        found = (int(parts[0]), int("".join(char for char in parts[1] if char.isdigit())))
    except (ValueError, IndexError):
        return [warning("api", f"the server's version is '{text}', which cannot be read", "make sure that it is a Kubernetes API server")]
    if found < OLDEST:
        return [error("api", f"the server is Kubernetes {text}; the platform needs {'.'.join(map(str, OLDEST))} or newer",
                      "update the cluster's control plane")]
    return []


def api(needs: Needs, serves: t.Callable[[str, str], bool]) -> list[Finding]:
    """Returns a finding for each kind that neither the cluster serves nor the platform brings."""
    lost: dict[tuple[str, str], list[str]] = {}
    seen: dict[tuple[str, str], bool] = {}
    for obj in needs.objects:
        key = (obj["apiVersion"], obj["kind"])
        if key not in seen:
            group = key[0].rpartition("/")[0]
            seen[key] = (group, key[1]) in needs.promised or serves(*key)
        if not seen[key]:
            lost.setdefault(key, []).append(ref(obj).name)
    if not lost:
        return [ok("api", f"the cluster serves or is given all {len(seen)} kinds of objects")]
    return [
        error("api", f"{kind} of {version_} is not served ({shortened(names, 3)})",
              _CURES.get(version_.rpartition("/")[0], "install the operator that brings its definition, or leave out the component"))
        for (version_, kind), names in sorted(lost.items())
    ]


def definitions(needs: Needs, live: dict[str, Object]) -> list[Finding]:
    """Returns a finding for each definition that is there already and is somebody else's.

    Args:
        live: by name, the metadata of the definitions on the cluster.
    """
    found = []
    for name in needs.definitions:
        meta = live.get(name)
        if meta is None or ours(meta):
            continue
        release = owning_release(meta)
        if release in {f"{space}/{known}" for space, known in needs.releases}:
            continue
        if release:
            found.append(error(
                "definitions", f"definition {name} belongs to the Helm release {release}",
                "two installations cannot share it: remove that release (its data with it: think first), or leave out the component, "
                "or where the role has a variable <role>_definitions set it to false",
            ))
        else:
            found.append(warning(
                "definitions", f"definition {name} is there already, made by {_manager(meta)}; a run takes it over in its own version",
                "make sure that nobody else needs another version of it",
            ))
    return found or [ok("definitions", f"none of the {len(needs.definitions)} definitions is somebody else's")]


def releases(
    needs: Needs, recorded: set[tuple[str, str]], found: dict[tuple[str, str], list[Revision]], grace: float = 30.0
) -> list[Finding]:
    """Returns a finding for each release that is foreign, or stuck.

    Args:
        recorded: namespace and name of those in the platform's records.
        found: the revisions of releases in the namespaces of the platform, the newest first.
        grace: seconds during which a pending revision counts as one that Helm is at work on.
    """
    told = []
    for key, revisions in sorted(found.items()):
        newest, label = revisions[0], "/".join(key)
        known = key in recorded or any(revision.annotation(WANTED_ANNOTATION) for revision in revisions)
        if newest.pending and newest.age < grace:
            told.append(warning("releases", f"release {label} is {newest.status} since {newest.age:.0f} s: Helm is at work on it",
                                "wait until it is done"))
        elif newest.pending and (known or key in needs.releases):
            told.append(warning("releases", f"release {label} is stuck in {newest.status} (revision {newest.number})",
                                "the next run heals it: it forgets that revision and goes on from the one before"))
        elif newest.pending:
            told.append(warning("releases", f"release {label}, which is not the platform's, is stuck in {newest.status}",
                                f"helm -n {key[0]} rollback {key[1]}, or ask whose it is"))
        if key in needs.releases and not known:
            told.append(error(
                "releases", f"release {label} was installed by somebody else ({newest.status}, revision {newest.number}); "
                "a run would turn it into the platform's", "give the component another namespace (<role>_namespace), or uninstall that one",
            ))
    return told or [ok("releases", f"none of the {len(needs.releases)} releases is foreign or stuck")]


def objects(needs: Needs, live: dict[tuple[str, str, str], Object]) -> list[Finding]:
    """Returns a finding for each object that is there already and is not the platform's.

    Args:
        live: by identity, what there is of the plans' objects. Namespaces and definitions are told elsewhere.
    """
    told = []
    for identity, obj in sorted(live.items()):
        kind, meta = identity[0], obj["metadata"]
        if kind in ("Namespace", "CustomResourceDefinition") or ours(meta):
            continue
        wanted_by = needs.release_of.get(identity, "")
        owner = owning_release(meta)
        if owner == wanted_by:
            # Nobody's, and ours: what a user made beforehand (a Secret, a service account) is kept and used.
            if owner or kind == "Secret":
                continue
            told.append(warning("objects", f"{ref(obj)} is there already, made by {_manager(meta)}; a run takes it over",
                                "delete or rename it if it is not meant for the platform"))
        elif wanted_by:
            told.append(error("objects", f"{ref(obj)} belongs to {'the Helm release ' + owner if owner else _manager(meta)}; "
                              f"Helm refuses to take it into {wanted_by}", "delete or rename it, or use other namespaces"))
        else:
            told.append(error("objects", f"{ref(obj)} belongs to the Helm release {owner}; both would write it in turn",
                              "uninstall that release, or use other namespaces"))
    return told or [ok("objects", f"none of the {len(needs.objects)} objects is somebody else's")]


def namespaces(needs: Needs, live: dict[str, Object]) -> list[Finding]:
    """Returns a finding for each namespace that is being deleted, and a note on those of somebody else."""
    told = []
    for name in needs.namespaces:
        meta = live.get(name)
        if meta and meta.get("deletionTimestamp"):
            told.append(error(
                "namespaces", f"namespace {name} is being deleted since {meta['deletionTimestamp']}; nothing can be made in it",
                f"wait; if it stays, see its conditions (kubectl get namespace {name} -o yaml): a finalizer waits for an operator that "
                "is gone",
            ))
    foreign = [name for name in needs.namespaces if name in live and not ours(live[name])]
    if foreign:
        told.append(note("namespaces", f"made by somebody else, so used and never changed or deleted: {shortened(foreign)}"))
    missing = [name for name in needs.namespaces if name not in live]
    return told or [ok("namespaces", f"{len(needs.namespaces) - len(missing)} are there, {len(missing)} will be made")]


def ours(meta: Object) -> bool:
    """Tells whether metadata is that of an object of this platform."""
    return (meta.get("labels") or {}).get(_OWNER) == LABELS[_OWNER] or any(
        entry.get("manager") == _OUR_MANAGER for entry in meta.get("managedFields") or [])


def owning_release(meta: Object) -> str:
    """Returns ``namespace/name`` of the Helm release that an object belongs to, or an empty text."""
    notes = meta.get("annotations") or {}
    name = notes.get("meta.helm.sh/release-name")
    return f"{notes.get('meta.helm.sh/release-namespace', '')}/{name}" if name else ""


def _manager(meta: Object) -> str:
    label = (meta.get("labels") or {}).get(_OWNER)
    names = [str(entry.get("manager")) for entry in meta.get("managedFields") or [] if not entry.get("subresource")]
    return label or (names[0] if names else "somebody else")


def constraints(namespaces_: t.Iterable[str], allowed: t.Callable[[str], bool]) -> list[Finding]:
    """Returns what is to be said of OpenShift's security context constraints, where fixed user ids need ``nonroot-v2``.

    Args:
        allowed: tells of a namespace whether its service accounts may use nonroot-v2.
    """
    lacking = [name for name in namespaces_ if not allowed(name)]
    if not lacking:
        return [ok("rights", "service accounts may use the security context constraint nonroot-v2")]
    return [error(
        "rights", f"OpenShift refuses pods with fixed user ids in {shortened(lacking, 20)}: nonroot-v2 is not given there",
        "an administrator runs, once for each of them (the namespace may still be missing):\n"
        + "\n".join(f"oc adm policy add-scc-to-group nonroot-v2 system:serviceaccounts:{name}" for name in lacking),
    )]
