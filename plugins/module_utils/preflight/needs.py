# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a platform wants of a cluster: its objects, those of its charts included. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import definitions
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import Plan
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Release
from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins


@dataclasses.dataclass(frozen=True)
class Needs:
    """What the plans want.

    Attributes:
        objects: everything that will be applied, by the platform itself or by Helm, without Secrets' values.
        release_of: by identity of an object, the release that brings it; others are the platform's own.
        definitions: names of the custom resource definitions that come along.
        releases: namespace and name.
        namespaces: that are used.
    """

    objects: tuple[Object, ...] = ()
    release_of: dict[tuple[str, str, str], str] = dataclasses.field(default_factory=dict)
    definitions: tuple[str, ...] = ()
    releases: tuple[tuple[str, str], ...] = ()
    namespaces: tuple[str, ...] = ()
    # Kinds that come with the definitions, as (group, kind): nothing else must serve them.
    promised: tuple[tuple[str, str], ...] = ()
    # Namespaces whose service account `default` is made to name the pull secret.
    accounts: tuple[str, ...] = ()
    # By (group, kind) of what comes with the definitions: plural, and whether it is namespaced.
    defined: dict[tuple[str, str], tuple[str, bool]] = dataclasses.field(default_factory=dict)
    # Each component with its namespace.
    components: tuple[tuple[str, str], ...] = ()
    # What components' programs or users make and a removal takes away (Plan.offspring).
    offspring: tuple[dict[str, t.Any], ...] = ()


def collect(plans: list[Plan], rendered: dict[str, list[Object]], space: str) -> Needs:
    """Returns what plans want.

    Args:
        rendered: by ``namespace/name`` of a release, the objects of its chart; a release without an entry was not rendered.
        space: the platform's own namespace.
    """
    objects: list[Object] = []
    release_of: dict[tuple[str, str, str], str] = {}
    names: list[str] = []
    releases: list[Release] = []
    texts = [text for plan in plans for phase in plan.phases.values() for text in phase.definitions]
    for phase in (phase for plan in plans for phase in plan.phases.values()):
        objects += phase.objects
        names += definitions.names(list(phase.definitions))
        releases += phase.releases
    own = {ref(obj) for obj in objects}
    for release in releases:
        key = f"{release.namespace}/{release.name}"
        for obj in rendered.get(key, []):
            identity = ref(obj)
            if identity not in own:
                objects.append(obj)
                release_of[identity] = key
    objects += [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": str(secret["name"]),
                 "namespace": str(secret.get("namespace", plan.namespace))}} for plan in plans for secret in plan.secrets]
    crds = [obj for obj in objects if obj["kind"] == "CustomResourceDefinition"]
    defined = {**_defined(crds), **{pair: how for text in texts for pair, how in _named_kinds(text)}}
    spaces = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"} | {
        obj["metadata"]["namespace"] for obj in objects if obj["metadata"].get("namespace")}
    return Needs(
        tuple({ref(obj): obj for obj in objects}.values()), release_of,
        tuple(dict.fromkeys([*names, *(obj["metadata"]["name"] for obj in crds)])),
        tuple(dict.fromkeys((release.namespace, release.name) for release in releases)),
        tuple(sorted(spaces | {release.namespace for release in releases} | {space})),
        tuple(defined),
        tuple(sorted({str(secret["namespace"]) for plan in plans for secret in plan.secrets if secret["name"] == logins.SECRET})),
        defined,
        tuple(dict.fromkeys((plan.component, plan.namespace) for plan in plans)),
        tuple(entry for plan in plans for entry in plan.offspring),
    )


def _defined(crds: list[Object]) -> dict[tuple[str, str], tuple[str, bool]]:
    return {
        (obj["spec"]["group"], obj["spec"]["names"]["kind"]): (obj["metadata"]["name"].partition(".")[0], obj["spec"].get("scope") != "Cluster")
        for obj in crds if isinstance(obj.get("spec"), dict)
    }


def _named_kinds(text: str) -> t.Iterator[tuple[tuple[str, str], tuple[str, bool]]]:
    """Yields group and kind, plural and scope of the definitions in a manifest of megabytes, without parsing it."""
    for name, document in definitions.by_name([text]).items():
        kind = ""
        inside = False
        cluster_wide = False
        for line in document.splitlines():
            if line == "  names:":
                inside = True
            elif inside and not kind and line.startswith("    kind:"):
                kind = line.partition(":")[2].strip().strip("\"'")
            elif line.startswith("  scope:"):
                cluster_wide = line.partition(":")[2].strip().strip("\"'") == "Cluster"
        if kind:
            plural, _dot, group = name.partition(".")
            yield (group, kind), (plural, not cluster_wide)
