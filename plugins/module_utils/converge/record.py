# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a component consists of, recorded in the cluster: one ConfigMap for each component.

The record is written before anything of the component is made, so that a run which is killed leaves nothing that the
next one does not know. From it come pruning, removal and ``status``.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster

RECORD_LABEL = "openmlops.io/record"


@dataclasses.dataclass(frozen=True)
class Member:
    """One object of a component: enough to find it again."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Object) -> Member:
        """Returns the member that an object is."""
        identity = ref(obj)
        return cls(obj["apiVersion"], identity.kind, identity.namespace, identity.name)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What stays the same when the object moves to another version of its API: group, kind, namespace, name."""
        group = self.api_version.rpartition("/")[0]
        return group, self.kind, self.namespace, self.name

    def as_object(self) -> Object:
        """Returns the bare object: identity only."""
        meta = {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": meta}


@dataclasses.dataclass(frozen=True)
class Record:
    """The record of one component. ``about`` is what status shows: version, url, ...; ``catalogue`` is Plan.catalogue."""

    component: str
    namespace: str
    about: dict[str, t.Any]
    members: tuple[Member, ...] = ()
    releases: tuple[tuple[str, str], ...] = ()  # (namespace, release)
    catalogue: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    offspring: tuple[dict[str, t.Any], ...] = ()  # Plan.offspring
    kept: tuple[tuple[str, str], ...] = ()  # those of the releases that only a purge removes


def read_all(cluster: Cluster, space: str) -> dict[str, Record]:
    """Returns the records in the platform's namespace by component."""
    found = cluster.list("v1", "ConfigMap", space, label_selector=f"{RECORD_LABEL}=component")
    records = [_parsed(entry) for entry in found]
    return {record.component: record for record in records}


def read(cluster: Cluster, space: str, component: str) -> Record | None:
    """Returns the record of one component, or None."""
    entry = cluster.get("v1", "ConfigMap", _name(component), space)
    return _parsed(entry) if entry else None


def as_object(record: Record, space: str) -> Object:
    """Returns the ConfigMap that holds a record."""
    content = {
        "namespace": record.namespace,
        "about": record.about,
        "members": sorted([m.api_version, m.kind, m.namespace, m.name] for m in set(record.members)),
        "releases": sorted(list(entry) for entry in set(record.releases)),
        **({"catalogue": record.catalogue} if record.catalogue else {}),
        **({"offspring": list(record.offspring)} if record.offspring else {}),
        **({"kept": sorted(list(entry) for entry in set(record.kept))} if record.kept else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": _name(record.component),
            "namespace": space,
            "labels": {**LABELS, RECORD_LABEL: "component", "openmlops.io/component": record.component},
        },
        "data": {"component.json": json.dumps(content, sort_keys=True, indent=1)},
    }


def united(old: Record | None, new: Record) -> Record:
    """Returns the new record with the members of the old one kept, for the time while a run is under way."""
    if old is None:
        return new
    return dataclasses.replace(
        new,
        members=tuple(dict.fromkeys(new.members + old.members)),
        releases=tuple(dict.fromkeys(new.releases + old.releases)),
        kept=tuple(dict.fromkeys(new.kept + old.kept)),
    )


def _name(component: str) -> str:
    return f"component-{component.replace('_', '-')}"


def _parsed(entry: Object) -> Record:
    content = json.loads(entry["data"]["component.json"])
    return Record(
        entry["metadata"]["labels"]["openmlops.io/component"],
        content["namespace"],
        content["about"],
        tuple(Member(*member) for member in content["members"]),
        tuple((space, release) for space, release in content["releases"]),
        content.get("catalogue") or {},
        tuple(content.get("offspring") or ()),
        tuple((space, release) for space, release in content.get("kept") or ()),
    )
