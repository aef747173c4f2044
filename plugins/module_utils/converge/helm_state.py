# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Helm's own record of its releases, to decide whether Helm must run at all.

Helm keeps each revision in a Secret ``sh.helm.release.v1.<release>.v<revision>`` with the labels owner, name, status and
version; its ``release`` key is JSON, compressed by gzip and encoded in base64 (Helm's storage driver "secret").
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import gzip
import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, digest, project
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster

# Annotations on the revision's Secret. They vanish with the revision, so a foreign `helm upgrade` is never overlooked.
WANTED_ANNOTATION = "openmlops.io/wanted-digest"
CHART_ANNOTATION = "openmlops.io/chart"
LIVE_ANNOTATION = "openmlops.io/live-digest"


@dataclasses.dataclass(frozen=True)
class Revision:
    """One revision of a release as Helm recorded it."""

    secret: Object
    release: str
    namespace: str
    number: int
    status: str

    @property
    def age(self) -> float:
        """Seconds since Helm wrote the revision's last state."""
        labels = self.secret["metadata"].get("labels", {})
        stamp = labels.get("modifiedAt") or labels.get("createdAt")
        if stamp and stamp.isdigit():
            made = datetime.datetime.fromtimestamp(int(stamp), datetime.UTC)
        else:
            made = datetime.datetime.fromisoformat(self.secret["metadata"]["creationTimestamp"])
        return (datetime.datetime.now(datetime.UTC) - made).total_seconds()

    @property
    def pending(self) -> bool:
        """Whether Helm was at work on this revision when it was recorded."""
        return self.status.startswith("pending-") or self.status == "uninstalling"

    def annotation(self, key: str) -> str | None:
        """Returns one of our own notes on the revision."""
        return (self.secret["metadata"].get("annotations") or {}).get(key)

    def payload(self) -> dict[str, t.Any]:
        """Returns the decoded record: chart, config (the user's values), manifest, info."""
        return json.loads(gzip.decompress(base64.b64decode(base64.b64decode(self.secret["data"]["release"]))))

    def objects(self) -> list[Object]:
        """Returns the objects of the revision's manifest, with the release's namespace filled in where none is given."""
        return manifest_objects(str(self.payload().get("manifest", "")))


def manifest_objects(text: str) -> list[Object]:
    """Returns the objects of a manifest with several YAML documents."""
    return [doc for doc in yaml_text.load_all(text) if isinstance(doc, dict) and doc.get("kind")]


def revisions(cluster: Cluster, release: str, namespace: str) -> list[Revision]:
    """Returns the recorded revisions of a release, the newest first; empty when it was never installed."""
    found = cluster.list("v1", "Secret", namespace, label_selector=f"owner=helm,name={release}")
    known = [
        Revision(
            secret, release, namespace,
            int(secret["metadata"]["labels"].get("version", 0)), secret["metadata"]["labels"].get("status", "unknown"),
        )
        for secret in found
    ]
    return sorted(known, key=lambda revision: -revision.number)


def with_namespaces(cluster: Cluster, objects: list[Object], namespace: str) -> list[Object]:
    """Returns the objects with the release's namespace in those namespaced ones that name none, as Helm does."""
    result = []
    for obj in objects:
        meta = obj.get("metadata", {})
        if not meta.get("namespace") and cluster.serves(obj["apiVersion"], obj["kind"]):
            if cluster.resource(obj["apiVersion"], obj["kind"]).namespaced:
                obj = {**obj, "metadata": {**meta, "namespace": namespace}}
        result.append(obj)
    return result


def live_digest(pairs: list[tuple[Object, Object | None]]) -> str:
    """Returns the digest of a release's state: of each object what its manifest speaks of, as it is live now."""
    return digest([project(live, wanted) if live is not None else None for wanted, live in pairs])
