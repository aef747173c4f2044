# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the cluster and the controller what the checks want to know. Reads only; what may not be read is told, not guessed."""

from __future__ import annotations

import concurrent.futures
import datetime
import email.utils
import importlib.metadata
import json
import socket
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.converge import helm_state, record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.helm_state import Revision
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden, KubeError, NotFound
from ansible_collections.openmlops.platform.plugins.module_utils.preflight import cluster_state, rights, room, surroundings
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import Finding, note
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs

METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_THREADS = 8
_DNS_SECONDS = 5.0
_HELM_SECONDS = 20.0


def about_rights(cluster: Cluster, needs: Needs, space: str) -> tuple[list[Finding], set[rights.Right]]:
    """Returns what is to be said of rights, and all that a run needs, whether the account has them or not."""
    unknown: dict[str, None] = {}

    def resource(api_version: str, kind: str) -> tuple[str, str, bool] | None:
        group = api_version.rpartition("/")[0]
        if cluster.serves(api_version, kind):
            served = cluster.resource(api_version, kind)
            return group, served.plural, served.namespaced
        if (group, kind) in needs.defined:
            return group, *needs.defined[(group, kind)]
        unknown[kind] = None
        return None

    wanted = rights.needed(needs, space, resource)
    missing = rights.lacking(cluster, wanted)
    return [*rights.findings(missing, len(wanted)), *(rights.unasked(list(unknown)) if missing else [])], wanted


def about_constraints(cluster: Cluster, needs: Needs) -> list[Finding]:
    """Returns what is to be said of security context constraints; nothing where there is no OpenShift."""
    if not cluster.serves("security.openshift.io/v1", "SecurityContextConstraints"):
        return []
    spaces = sorted({str(obj["metadata"].get("namespace")) for obj in needs.objects
                     if obj["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "Cluster") and obj["metadata"].get("namespace")})

    def allowed(namespace: str) -> bool:
        answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body={
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
                "user": f"system:serviceaccount:{namespace}:default",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
                "resourceAttributes": {"group": "security.openshift.io", "resource": "securitycontextconstraints", "name": "nonroot-v2",
                                       "verb": "use", "namespace": namespace}}})
        return bool((answer.get("status") or {}).get("allowed"))

    try:
        return cluster_state.constraints(spaces, allowed)
    except Forbidden:
        return [note("rights", "not checked: whether service accounts may use nonroot-v2 (the account may not ask for others)",
                     "see docs/openshift.md")]


def account(cluster: Cluster) -> dict[str, t.Any]:
    """Returns who the server takes us for; empty for servers before Kubernetes 1.28."""
    try:
        answer = cluster.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                                 body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    except KubeError:
        return {}
    return dict((answer.get("status") or {}).get("userInfo") or {})


def about_api(cluster: Cluster, needs: Needs, version: str) -> list[Finding]:
    """Returns what is to be said of the API's versions."""
    return [*cluster_state.version(version), *cluster_state.api(needs, cluster.serves)]


def about_storage(cluster: Cluster, needs: Needs) -> list[Finding]:
    """Returns what is to be said of storage classes."""
    return _read("storage", "storage classes", lambda: room.storage(needs, cluster.list("storage.k8s.io/v1", "StorageClass")))


def about_capacity(cluster: Cluster, needs: Needs) -> list[Finding]:
    """Returns what is to be said of processors and memory."""

    def look() -> list[Finding]:
        try:
            # The autoscaler of Kubernetes, GKE's too, tells here how it is.
            grows = cluster.get("v1", "ConfigMap", "cluster-autoscaler-status", "kube-system") is not None
        except Forbidden:
            grows = False
        return room.capacity(needs, cluster.list("v1", "Node"), cluster.list("v1", "Pod"), grows)

    return _read("capacity", "nodes and pods of all namespaces", look)


def about_definitions(cluster: Cluster, needs: Needs) -> list[Finding]:
    """Returns what is to be said of definitions that are there already."""

    def look() -> list[Finding]:
        listed = cluster.request("GET", _CRDS, accept=METADATA)
        return cluster_state.definitions(needs, {entry["metadata"]["name"]: entry["metadata"] for entry in listed.get("items") or []})

    return _read("definitions", "custom resource definitions", look)


def about_releases(cluster: Cluster, needs: Needs, space: str) -> list[Finding]:
    """Returns what is to be said of Helm's releases in the platform's namespaces."""

    def look() -> list[Finding]:
        recorded = {entry for found in record.read_all(cluster, space).values() for entry in found.releases}
        found: dict[tuple[str, str], list[Revision]] = {}
        for namespace in needs.namespaces:
            for name in sorted({secret["metadata"]["labels"]["name"]
                                for secret in cluster.list("v1", "Secret", namespace, label_selector="owner=helm")}):
                revisions = helm_state.revisions(cluster, name, namespace)
                if revisions:
                    found[(namespace, name)] = revisions
        return cluster_state.releases(needs, recorded, found)

    return _read("releases", "Helm's Secrets in the platform's namespaces", look)


def about_objects(cluster: Cluster, needs: Needs) -> list[Finding]:
    """Returns what is to be said of objects that are there already."""

    def fetch(obj: Object) -> Object | None:
        if obj["kind"] == "CustomResourceDefinition" or not cluster.serves(obj["apiVersion"], obj["kind"]):
            return None
        try:
            return cluster.live(obj)
        except Forbidden:
            return None  # told by the check of rights

    def look() -> list[Finding]:
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(fetch, needs.objects))
        return cluster_state.objects(needs, {ref(obj): obj for obj in found if obj})

    return _read("objects", "objects", look)


def about_namespaces(cluster: Cluster, needs: Needs) -> list[Finding]:
    """Returns what is to be said of namespaces."""

    def look() -> list[Finding]:
        found = {name: cluster.get("v1", "Namespace", name) for name in needs.namespaces}
        return cluster_state.namespaces(needs, {name: obj["metadata"] for name, obj in found.items() if obj})

    return _read("namespaces", "namespaces", look)


def about_clocks(cluster: Cluster) -> list[Finding]:
    """Returns what is to be said of clocks."""
    beats: dict[str, datetime.datetime] = {}
    try:
        for lease in cluster.list("coordination.k8s.io/v1", "Lease", "kube-node-lease"):
            beat = surroundings.heartbeat(lease)
            if beat:
                beats[lease["metadata"]["name"]] = beat
    except KubeError:
        beats = {}
    date = cluster.date()
    # The answer has whole seconds; the middle of that second is the best guess.
    server = email.utils.parsedate_to_datetime(date) + datetime.timedelta(seconds=0.5) if date else None
    return surroundings.clocks(datetime.datetime.now(datetime.UTC), server, beats)


def gateway_addresses(cluster: Cluster, namespaces: t.Iterable[str]) -> list[str]:
    """Returns the addresses of the load balancers in namespaces; names are resolved."""
    found: list[str] = []
    for namespace in namespaces:
        try:
            services = cluster.list("v1", "Service", namespace)
        except KubeError:
            continue
        for service in services:
            if (service.get("spec") or {}).get("type") == "LoadBalancer":
                for entry in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
                    found += [entry["ip"]] if entry.get("ip") else addresses(str(entry.get("hostname", "")))
    return sorted(set(found))


def addresses(name: str) -> list[str]:
    """Returns the addresses that the controller's resolver knows for a name; empty for none within some seconds."""
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        found = pool.submit(socket.getaddrinfo, name, None, 0, socket.SOCK_STREAM).result(_DNS_SECONDS)
    except (OSError, UnicodeError, concurrent.futures.TimeoutError):
        return []
    finally:
        pool.shutdown(wait=False)
    return sorted({str(entry[4][0]) for entry in found})


def helm_version(binary: str) -> str | None:
    """Returns what Helm says of its version, or None when it does not run. Talks to no cluster."""
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            [binary, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=True, timeout=_HELM_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def packages(names: t.Iterable[str]) -> dict[str, str]:
    """Returns the versions of Python packages, those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def collection_version(folder: Path) -> str:
    """Returns the version of a collection in a folder; empty when there is none."""
    try:
        return str(json.loads((folder / "MANIFEST.json").read_text(encoding="utf-8"))["collection_info"]["version"])
    except (OSError, ValueError, KeyError):
        return ""


def _read(check: str, what: str, look: t.Callable[[], list[Finding]]) -> list[Finding]:
    """Runs a check that reads the cluster; when that is forbidden, its finding says so."""
    try:
        return look()
    except NotFound as error:
        return [note(check, f"not checked: {error}")]
    except Forbidden:
        return [note(check, f"not checked: the account may not list {what}")]
