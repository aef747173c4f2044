# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the API server and for Helm, with the rules that the engine relies on."""

from __future__ import annotations

import base64
import copy
import gzip
import itertools
import json
import threading

import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Resource
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Conflict, KubeError, NotFound, UnknownKind

CLUSTER_WIDE = {
    "Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PersistentVolume", "StorageClass",
    "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
}
# Custom kinds, which are served only while their definition is there.
CUSTOM = {"Cluster": "clusters.postgresql.cnpg.io", "Database": "databases.postgresql.cnpg.io", "Widget": "widgets.example.org"}


def manifest(kind, name, namespace=None, api_version=None, **fields):
    """Returns a small object."""
    versions = {
        "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1",
        "CustomResourceDefinition": "apiextensions.k8s.io/v1", "Cluster": "postgresql.cnpg.io/v1",
        "Database": "postgresql.cnpg.io/v1", "Widget": "example.org/v1", "ClusterRole": "rbac.authorization.k8s.io/v1",
        "HorizontalPodAutoscaler": "autoscaling/v2", "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    }
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
    return {"apiVersion": api_version or versions.get(kind, "v1"), "kind": kind, "metadata": meta, **fields}


class FakeCluster:
    """Objects in memory.

    ``before`` is called with (verb, object or identity) ahead of each request: a place for a rival or a fault.
    ``after`` is called with each object that was written and may change it: a place for a controller.
    """

    server, context = "https://fake", "fake"

    def __init__(self, *namespaces):
        self.objects = {}
        self.requests = []
        self.words = {}  # (pod, previous) -> log
        self.before = lambda verb, obj: None
        self.after = lambda obj: None
        self._applied = {}
        self._count = itertools.count(1)
        self._lock = threading.RLock()
        for name in ("kube-system", *namespaces):
            self.put(manifest("Namespace", name))
        self.requests.clear()

    # -- what the real one has ----------------------------------------------------------------------------------

    def serves(self, api_version, kind):
        del api_version
        return kind not in CUSTOM or ("CustomResourceDefinition", "", CUSTOM[kind]) in self.objects

    def resource(self, api_version, kind):
        return Resource(api_version, kind.lower() + "s", kind not in CLUSTER_WIDE)

    def request(self, method, path, **options):
        assert (method, path) == ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        assert "PartialObjectMetadataList" in options["accept"]
        self._note("list", {"kind": "CustomResourceDefinition"})
        return {"items": [{"metadata": copy.deepcopy(obj["metadata"])} for key, obj in self.objects.items()
                          if key[0] == "CustomResourceDefinition"]}

    def live(self, obj):
        return self.get(obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace"))

    def get(self, api_version, kind, name, namespace=None):
        self._note("get", {"kind": kind, "metadata": {"name": name, "namespace": namespace}})
        found = self.objects.get((kind, namespace or "", name)) if self.serves(api_version, kind) else None
        return {**copy.deepcopy(found), "apiVersion": api_version} if found else None

    def list(self, api_version, kind, namespace=None, label_selector=None, field_selector=None):
        assert field_selector is None or field_selector.startswith("type=")
        self._note("list", {"kind": kind, "metadata": {"name": "", "namespace": namespace}})
        if not self.serves(api_version, kind):
            raise UnknownKind(404, "NotFound", f"no {kind}")
        parts = label_selector.split(",") if label_selector else []
        wanted = dict(part.split("=", 1) for part in parts if "=" in part)
        present = {part for part in parts if "=" not in part}
        return [
            {**copy.deepcopy(obj), "apiVersion": api_version} for key, obj in sorted(self.objects.items())
            if key[0] == kind and namespace in (None, key[1])
            and wanted.items() <= (obj["metadata"].get("labels") or {}).items()
            and present <= (obj["metadata"].get("labels") or {}).keys()
            and (field_selector is None or obj.get("type") == field_selector.removeprefix("type="))
        ]

    def create(self, obj, dry_run=False):
        self._note("create", obj)
        with self._lock:
            if self._key(obj) in self.objects:
                raise Conflict(409, "AlreadyExists", "already exists")
            return self._store(copy.deepcopy(obj), dry_run)

    def replace(self, obj, dry_run=False):
        self._note("replace", obj)
        with self._lock:
            old = self._existing(obj)
            version = obj["metadata"].get("resourceVersion")
            if version and version != old["metadata"]["resourceVersion"]:
                raise Conflict(409, "Conflict", "the object has been modified")
            return self._store({**copy.deepcopy(obj), "status": copy.deepcopy(old.get("status", {}))}, dry_run)

    def patch_merge(self, ref, patch, dry_run=False):
        self._note("patch", ref)
        with self._lock:
            return self._store(_merged(self._existing(ref), patch, by_name=False), dry_run)

    def apply(self, obj, manager="openmlops", force=True, dry_run=False):
        self._note("apply", obj, dry_run)
        with self._lock:
            if not self.serves(obj["apiVersion"], obj["kind"]):
                raise NotFound(404, "NotFound", "the server could not find the requested resource")
            key = self._key(obj)
            old = self.objects.get(key)
            if old and obj["kind"] == "Job" and _spec(obj) != _spec(old):
                raise KubeError(422, "Invalid", "spec.template: field is immutable")
            wanted = copy.deepcopy(obj)
            for name, text in (wanted.pop("stringData", None) or {}).items():
                wanted.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()
            kept = _without(old, self._applied.get((key, manager), {}), wanted) if old else {}
            result = self._store(_merged(kept, wanted, by_name=True), dry_run)
            if not dry_run:
                self._applied[(key, manager)] = wanted
            return result

    def delete(self, ref, propagation="Background", dry_run=False, uid=None):
        self._note("delete", ref, dry_run)
        with self._lock:
            key = self._key(ref)
            if key not in self.objects:
                return False
            if uid and uid != self.objects[key]["metadata"]["uid"]:
                raise Conflict(409, "Conflict", "the UID in the precondition does not match")
            if dry_run:
                return True
            if self.objects[key]["metadata"].get("finalizers"):
                self.objects[key]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
                return True
            for other in [key, *(k for k in self.objects if key[0] == "Namespace" and k[1] == key[2])]:
                del self.objects[other]
                self._applied = {k: v for k, v in self._applied.items() if k[0] != other}
            return True

    def logs(self, namespace, pod, container=None, lines=20, previous=False):
        return self.words.get((pod, previous), "")

    # -- for tests ----------------------------------------------------------------------------------------------

    def put(self, obj):
        """Writes an object as somebody else would."""
        with self._lock:
            return self._store(copy.deepcopy(obj), False)

    def find(self, kind, name, namespace=""):
        """Returns an object as it is stored, or None."""
        return self.objects.get((kind, namespace, name))

    def writes(self):
        """Returns (verb, kind, name) of the requests that change something."""
        return [request for request in self.requests if request[0] not in ("get", "list") and "dry" not in request[0]]

    def _note(self, verb, obj, dry_run=False):
        meta = obj.get("metadata", {})
        self.requests.append((f"{verb} dry run" if dry_run else verb, obj["kind"], meta.get("name", "")))
        self.before(verb, obj)

    @staticmethod
    def _key(obj):
        meta = obj["metadata"]
        return obj["kind"], meta.get("namespace") or "", meta["name"]

    def _existing(self, obj):
        if self._key(obj) not in self.objects:
            raise NotFound(404, "NotFound", f"{obj['kind']} {obj['metadata']['name']} not found")
        return self.objects[self._key(obj)]

    def _store(self, obj, dry_run):
        key = self._key(obj)
        if key[1] and ("Namespace", "", key[1]) not in self.objects:
            raise NotFound(404, "NotFound", f'namespaces "{key[1]}" not found')
        old = self.objects.get(key)
        meta = obj["metadata"] = {**obj["metadata"]}
        before = old["metadata"] if old else {}
        meta.setdefault("uid", before.get("uid") or f"uid-{next(self._count)}")
        meta["creationTimestamp"] = before.get("creationTimestamp") or "2026-01-01T00:00:00Z"
        meta.pop("resourceVersion", None)
        same = old and {**obj, "metadata": {**meta, "resourceVersion": "", "generation": 0}} == {
            **old, "metadata": {**before, "resourceVersion": "", "generation": 0}}
        meta["generation"] = before.get("generation", 0) + (not old or _spec(obj) != _spec(old))
        meta["resourceVersion"] = before["resourceVersion"] if same else str(next(self._count))
        if not dry_run:
            self.after(obj)
            self.objects[key] = copy.deepcopy(obj)
        return copy.deepcopy(obj)


def _spec(obj):
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion")}


def _named(entries):
    return {entry["name"]: entry for entry in entries} if entries and all(
        isinstance(entry, dict) and "name" in entry for entry in entries) else None


def _merged(old, new, by_name):
    if isinstance(old, dict) and isinstance(new, dict):
        result = dict(old)
        for key, value in new.items():
            if value is None and not by_name:
                result.pop(key, None)
            else:
                result[key] = _merged(old.get(key), value, by_name)
        return result
    if by_name and isinstance(old, list) and isinstance(new, list) and (names := _named(old)) is not None and _named(new):
        merged = [_merged(names.pop(entry["name"], None), entry, by_name) for entry in new]
        return merged + list(names.values())
    return copy.deepcopy(new)


def _without(live, last, wanted):
    """Returns the live object without the fields that the same manager had set and sets no more."""
    if not (isinstance(live, dict) and isinstance(last, dict)):
        return live
    result = {}
    for key, value in live.items():
        if key in last and (not isinstance(wanted, dict) or key not in wanted):
            continue
        result[key] = _without(value, last.get(key), wanted.get(key)) if key in last else value
    return result


# -- Helm -----------------------------------------------------------------------------------------------------------


def encode(payload):
    """Returns a release's record as Helm's storage driver writes it into the Secret's data."""
    packed = base64.b64encode(gzip.compress(json.dumps(payload).encode()))
    return base64.b64encode(packed).decode()


def revision_secret(release, namespace, number, status, payload, **meta):
    """Returns the Secret in which Helm keeps one revision."""
    labels = {"owner": "helm", "name": release, "status": status, "version": str(number), **meta.pop("labels", {})}
    return manifest(
        "Secret", f"sh.helm.release.v1.{release}.v{number}", namespace,
        metadata={"labels": labels, **meta}, type="helm.sh/release.v1", data={"release": encode(payload)},
    )


class FakeHelm:
    """Runs as kubernetes.core.helm does: nothing happens while values and the chart's version are as recorded."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.charts = {}  # reference -> (version, function from values to objects)
        self.calls = []
        self.fails = None  # message

    def __call__(self, module, args):
        self.calls.append((module, args.get("release_state", "present")))
        if self.fails:
            raise HelmError(self.fails)
        if module == "helm_template":
            return {"stdout": yaml.safe_dump_all(self.charts[args["chart_ref"]][1](args["release_values"]))}
        name, space = args["release_name"], args["release_namespace"]
        found = sorted(self.cluster.list("v1", "Secret", space, label_selector=f"owner=helm,name={name}"),
                       key=lambda secret: -int(secret["metadata"]["labels"]["version"]))
        if args.get("release_state") == "absent":
            if found:
                self._mark(found[0], "uninstalling")
            for obj in self._objects(found[0]) if found else []:
                self.cluster.delete(self._placed(obj, space))
            for secret in found:
                self.cluster.delete(secret)
            return {"changed": bool(found)}
        if found and found[0]["metadata"]["labels"]["status"].startswith("pending"):
            raise HelmError("another operation (install/upgrade/rollback) is in progress")
        version, render = self.charts[args["chart_ref"]]
        if found and found[0]["metadata"]["labels"]["status"] == "deployed":
            payload = self._payload(found[0])
            if payload["config"] == args["release_values"] and payload["chart"]["metadata"]["version"] == version:
                return {"changed": False}
        objects = render(args["release_values"])
        payload = {"config": args["release_values"], "chart": {"metadata": {"version": version}},
                   "manifest": yaml.safe_dump_all(objects)}
        number = int(found[0]["metadata"]["labels"]["version"]) + 1 if found else 1
        # Its record comes first, so a run that is killed here leaves it pending. It was long ago, for whoever finds it.
        status = "pending-upgrade" if found else "pending-install"
        made = self.cluster.create(revision_secret(name, space, number, status, payload, labels={"createdAt": "1"}))
        for obj in objects:
            self.cluster.apply(self._placed(obj, space, name), "helm")
        kept = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
        for obj in self._objects(found[0]) if found else []:
            if (obj["kind"], obj["metadata"]["name"]) not in kept:
                self.cluster.delete(self._placed(obj, space))
        for secret in found:
            self._mark(secret, "superseded")
        self._mark(made, "deployed")
        return {"changed": True}

    def _mark(self, secret, status):
        self.cluster.patch_merge(secret, {"metadata": {"labels": {"status": status}}})

    @staticmethod
    def _payload(secret):
        return json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))

    def _objects(self, secret):
        return list(yaml.safe_load_all(self._payload(secret)["manifest"]))

    @staticmethod
    def _placed(obj, space, release=""):
        """Returns an object as Helm sends it: with a namespace and with its own marks, which its record lacks."""
        meta = {**({} if obj["kind"] in CLUSTER_WIDE else {"namespace": space}), **obj["metadata"]}
        meta["labels"] = {**(meta.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
        meta["annotations"] = {**(meta.get("annotations") or {}), "meta.helm.sh/release-name": release,
                               "meta.helm.sh/release-namespace": space}
        return {**obj, "metadata": meta}
