# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a component: what it wants in which phase. Pure functions."""

from __future__ import annotations

import base64
import dataclasses
import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import definitions
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import (
    LABELS,
    Object,
    labelled,
    problems,
)
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Member, Record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Release

# The order of the whole platform: everything of one phase, of all components, is ready before the next one starts.
PHASES = (
    "foundation", "definitions", "operators", "stores", "provisioning", "preparation", "applications", "routes",
    "verification",
)

# Stands in manifests and values for the fingerprint of a Secret, so that pods are made anew when its values change.
_FINGERPRINT = re.compile(r"<fingerprint ([a-z0-9.-]+/[a-z0-9.-]+)>")
# Stands in manifests for a certificate in a Secret, in base64, as webhooks are told the authority that they are to trust.
_CERTIFICATE = re.compile(r"<certificate ([a-z0-9.-]+)/([a-z0-9.-]+)/([A-Za-z0-9._-]+)>")
_PEM = b"-----BEGIN CERTIFICATE-----"

_PHASE_KEYS = {"objects", "releases", "definitions"}
_PLAN_KEYS = {"component", "namespace", "about", "secrets", "phases", "namespace_labels", "offspring"}
_OFFSPRING_KEYS = {"api_version", "kind", "namespace", "selector", "data", "finalizer"}
_OFFSPRING_OPTIONS = {"selector", "data", "finalizer"}
# What a component says of the way to it: see converge/routes.py.
CATALOGUE_KEYS = ("services", "gateway", "access", "shared")


class PlanError(ValueError):
    """A plan is not well formed; the message names component, phase and cure."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """What one component wants in one phase. ``definitions`` are texts of manifests with CRDs in them."""

    objects: tuple[Object, ...] = ()
    releases: tuple[Release, ...] = ()
    definitions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one component consists of.

    Attributes:
        about: facts that ``status`` shows: version, url.
        secrets: specifications for ``secret_bootstrap``.
        catalogue: ``services``, ``gateway``, ``access`` and ``shared``, as far as the component has them (see routes.derived).
        offspring: what the component's programs or users make: ``api_version``, ``kind``, ``namespace`` (empty: all) and, unless it
            is all of these, ``selector`` of labels (null: any value). It goes before the component; with ``data: true`` after it,
            on a purge only. With ``finalizer``, the component's program must let go of it: then it goes before, too, and
            where the program is gone already the finalizer of this name is taken off.
    """

    component: str
    namespace: str
    about: dict[str, t.Any]
    secrets: tuple[dict[str, t.Any], ...]
    phases: dict[str, Phase]
    catalogue: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    offspring: tuple[dict[str, t.Any], ...] = ()

    def without_namespaces(self, names: t.Container[str]) -> Plan:
        """Returns the plan without the Namespace objects of these names."""
        phases = {
            name: dataclasses.replace(phase, objects=tuple(
                obj for obj in phase.objects if obj["kind"] != "Namespace" or obj["metadata"]["name"] not in names))
            for name, phase in self.phases.items()
        }
        return dataclasses.replace(self, phases=phases)

    def record(self) -> Record:
        """Returns what is written down about the component in the cluster."""
        objects = [obj for phase in self.phases.values() for obj in phase.objects]
        releases = [release for phase in self.phases.values() for release in phase.releases]
        kept = [
            Member("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
            for phase in self.phases.values() for name in definitions.names(list(phase.definitions))
        ] + [
            Member("v1", "Secret", str(secret.get("namespace", self.namespace)), str(secret["name"]))
            for secret in self.secrets
        ]
        return Record(
            self.component, self.namespace, self.about,
            tuple(dict.fromkeys([Member.of(obj) for obj in objects] + kept)),
            tuple(dict.fromkeys((release.namespace, release.name) for release in releases)),
            self.catalogue, self.offspring,
            tuple(dict.fromkeys((release.namespace, release.name) for release in releases if release.data)),
        )


def parse(
    raw: dict[str, t.Any],
    resolve: t.Callable[[dict[str, t.Any]], Release],
    read_manifest: t.Callable[[str], str],
) -> Plan:
    """Returns the plan that a role's data describes.

    Args:
        raw: ``component``, ``namespace``, ``about``, ``secrets``, ``phases``, and what it adds to the service catalogue:
            ``services``, ``gateway``, ``access``, ``shared``; and ``offspring``.
        resolve: makes a release of a role's entry.
        read_manifest: returns the text of a manifest that ``definitions`` names.

    Raises:
        PlanError: when something is missing, unknown or malformed.
    """
    component, namespace = raw.get("component"), raw.get("namespace")
    if not component or not namespace:
        raise PlanError("a plan needs component and namespace")
    unknown = set(raw) - _PLAN_KEYS - set(CATALOGUE_KEYS)
    if unknown:
        raise PlanError(f"{component}: unknown keys in the plan: {', '.join(sorted(unknown))}")
    phases: dict[str, Phase] = {}
    for name, content in (raw.get("phases") or {}).items():
        if name not in PHASES:
            raise PlanError(f"{component}: there is no phase '{name}'; the phases are {', '.join(PHASES)}")
        if not isinstance(content, dict):
            raise PlanError(f"{component}, {name}: must be a mapping with {', '.join(sorted(_PHASE_KEYS))}")
        if set(content) - _PHASE_KEYS:
            raise PlanError(f"{component}, {name}: unknown keys {', '.join(sorted(set(content) - _PHASE_KEYS))}")
        phases[name] = _phase(component, name, content, resolve, read_manifest)
    nameless = [secret for secret in raw.get("secrets") or [] if not isinstance(secret, dict) or not secret.get("name")]
    if nameless:
        raise PlanError(f"{component}: each of the secrets needs a name")
    offspring = tuple(raw.get("offspring") or [])
    if any(set(entry) - _OFFSPRING_KEYS or not _OFFSPRING_KEYS - _OFFSPRING_OPTIONS <= set(entry) for entry in offspring):
        raise PlanError(f"{component}: each of the offspring needs api_version, kind and namespace, and may have selector, data "
                        "and finalizer")
    spaces = dict.fromkeys([
        namespace,
        *(str(secret.get("namespace", namespace)) for secret in raw.get("secrets") or []),
        *(release.namespace for phase in phases.values() for release in phase.releases),
    ])
    first = phases.get("foundation", Phase())
    # Several components may share a namespace, so it carries no component's label.
    made = [_namespace(space, raw.get("namespace_labels") or {}) for space in spaces]
    phases["foundation"] = dataclasses.replace(first, objects=(*made, *first.objects))
    catalogue = {key: raw[key] for key in CATALOGUE_KEYS if raw.get(key)}
    return Plan(
        component, namespace, dict(raw.get("about") or {}), tuple(raw.get("secrets") or []), phases, catalogue, offspring)


def with_fingerprints(value: t.Any, marks: dict[str, str]) -> t.Any:
    """Returns a value in which each ``<fingerprint NAMESPACE/SECRET>`` is replaced by that Secret's fingerprint."""
    if isinstance(value, dict):
        return {key: with_fingerprints(entry, marks) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_fingerprints(entry, marks) for entry in value]
    if isinstance(value, str) and "<fingerprint " in value:
        return _FINGERPRINT.sub(lambda found: marks.get(found[1], "unknown"), value)
    return value


def with_certificates(value: t.Any, read: t.Callable[[str, str, str], bytes | None]) -> t.Any:
    """Returns a value in which each text ``<certificate NAMESPACE/SECRET/KEY>`` is that certificate in base64.

    Args:
        read: returns what is in a Secret, by namespace, name and key; None when it is not there (yet), which gives no text.

    Raises:
        PlanError: what is there is no certificate: nothing else of a Secret may leave it.
    """
    if isinstance(value, dict):
        return {key: with_certificates(entry, read) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_certificates(entry, read) for entry in value]
    found = _CERTIFICATE.fullmatch(value) if isinstance(value, str) and "<certificate " in value else None
    if not found:
        return value
    content = read(*found.groups())
    if content is not None and (not content.startswith(_PEM) or b"PRIVATE" in content):
        raise PlanError(f"the Secret {found[1]}/{found[2]} has no certificate in {found[3]}")
    return base64.b64encode(content or b"").decode()


def _phase(
    component: str,
    name: str,
    content: dict[str, t.Any],
    resolve: t.Callable[[dict[str, t.Any]], Release],
    read_manifest: t.Callable[[str], str],
) -> Phase:
    objects = _flat(content.get("objects") or [])
    wrong = [text for text in map(problems, objects) if text]
    if wrong:
        raise PlanError(f"{component}, {name}: {'; '.join(wrong)}")
    return Phase(
        tuple(labelled(obj, component) for obj in objects),
        tuple(resolve(entry) for entry in content.get("releases") or []),
        tuple(read_manifest(entry) for entry in content.get("definitions") or []),
    )


def _flat(objects: list[t.Any]) -> list[t.Any]:
    """Returns the objects of nested lists and of Kubernetes Lists as one list, without empty documents."""
    result: list[t.Any] = []
    for entry in objects:
        if isinstance(entry, list):
            result += _flat(entry)
        elif isinstance(entry, dict) and entry.get("kind") == "List":
            result += _flat(entry.get("items") or [])
        elif entry is not None:
            result.append(entry)
    return result


def _namespace(name: str, labels: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {**LABELS, **labels}},
    }
