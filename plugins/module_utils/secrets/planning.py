# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides, key by key, what has to happen to make the Secrets fit their declarations. Reads and writes nothing."""

from __future__ import annotations

import datetime
import json
import typing as t
from dataclasses import dataclass, field, replace
from graphlib import CycleError

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.declare import (
    SIZE_LIMIT,
    cycles,
    order,
    type_problem,
)
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.derived import Copy
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import (
    UNKNOWN,
    Declaration,
    Existing,
    KeySpec,
    Ref,
    SecretRef,
    Value,
)

MANAGED_BY = "app.kubernetes.io/managed-by"
ROTATED_AT = "openmlops.io/rotated-at"

State = t.Mapping[SecretRef, t.Optional[Existing]]
# New values, each with the value that it was made to replace (None: there was none).
Candidates = dict[tuple[Ref, t.Optional[bytes]], bytes]


@dataclass(frozen=True)
class KeyPlan:
    """What happens to one key.

    Args:
        outcome: ``created``, ``rotated``, ``updated`` or ``kept``.
        label: where the value comes from: ``given``, ``generated``, ``rotated``, ``derived``, ``copied``, ``kept``.
    """

    spec: KeySpec
    outcome: str
    label: str
    value: Value = field(repr=False)


@dataclass(frozen=True)
class SecretPlan:
    """What happens to one Secret.

    Args:
        action: ``create``, ``update``, ``delete`` or ``none``.
        metadata: names of the labels and annotations that are set anew, each with its kind.
    """

    declaration: Declaration
    existing: Existing | None
    action: str
    type: str = "Opaque"
    key_plans: tuple[KeyPlan, ...] = ()
    labels: t.Mapping[str, str] = field(default_factory=dict)
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    metadata: tuple[str, ...] = ()

    @property
    def ref(self) -> SecretRef:
        """The Secret's name."""
        return self.declaration.ref

    @property
    def data(self) -> dict[str, Value]:
        """All values after the plan is carried out, those that are not declared included."""
        return {**(self.existing.data if self.existing else {}), **{p.spec.ref.key: p.value for p in self.key_plans}}


@dataclass(frozen=True)
class Plan:
    """What happens in all; ``problems`` that is not empty forbids to start."""

    secrets: tuple[SecretPlan, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return any(secret.action != "none" for secret in self.secrets)


def needed(declared: t.Sequence[Declaration]) -> list[SecretRef]:
    """Returns every Secret whose content decides about the plan: the declared ones and the sources."""
    found = dict.fromkeys(declaration.ref for declaration in declared)
    for declaration in declared:
        if declaration.copy_from and not declaration.absent:
            found[declaration.copy_from] = None
        for spec in declaration.data.values():
            for source in spec.derivation.sources.values() if spec.derivation and not declaration.absent else ():
                found[source.secret] = None
    return list(found)


def plan(
    declared: t.Sequence[Declaration],
    state: State,
    rotate: t.Collection[Ref] = (),
    *,
    purge: bool = False,
    dry: bool = False,
    candidates: Candidates | None = None,
) -> Plan:
    """Makes a plan.

    Args:
        declared: declarations without a problem of their own.
        state: what exists, for every Secret that ``needed`` names.
        rotate: keys that get a new value although they have one.
        purge: whether Secrets that are declared absent are deleted.
        dry: make no new value; unknown ones stand for them, and sources that do not exist yet are no problem.
        candidates: new values of an earlier plan of the same call, used again when still needed, and added to.
    """
    return _Planner(declared, state, rotate, purge, dry, {} if candidates is None else candidates).plan()


class _Planner:
    def __init__(
        self,
        declared: t.Sequence[Declaration],
        state: State,
        rotate: t.Collection[Ref],
        purge: bool,
        dry: bool,
        candidates: Candidates,
    ) -> None:
        self.state, self.rotate, self.purge, self.dry, self.candidates = state, rotate, purge, dry, candidates
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.declared = self._expanded(declared)
        self.planned: dict[Ref, KeyPlan] = {}

    def plan(self) -> Plan:
        present = [declaration for declaration in self.declared if not declaration.absent]
        try:
            for spec in order(present):
                self.planned[spec.ref] = self._key(spec)
        except CycleError:
            return Plan((), (*self.problems, *cycles(present)), ())
        secrets = tuple(self._absent(d) if d.absent else self._secret(d) for d in self.declared)
        return Plan(secrets, tuple(self.problems), tuple(self.warnings))

    # -- copies of whole Secrets ---------------------------------------------------------------------------------

    def _expanded(self, declared: t.Sequence[Declaration]) -> list[Declaration]:
        """Writes out ``copy_from`` as one copy for each key; a source may be a copy itself."""
        found = {declaration.ref: declaration for declaration in declared}
        for _round in range(len(found)):
            before = sum(len(declaration.data) for declaration in found.values())
            for declaration in list(found.values()):
                if declaration.copy_from and not declaration.absent:
                    found[declaration.ref] = self._with_copies(declaration, found)
            if before == sum(len(declaration.data) for declaration in found.values()):
                break
        return list(found.values())

    def _with_copies(self, declaration: Declaration, found: t.Mapping[SecretRef, Declaration]) -> Declaration:
        source = t.cast(SecretRef, declaration.copy_from)
        existing = self.state.get(source)
        original = found.get(source)
        keys = dict.fromkeys([*(original.data if original else ()), *(existing.data if existing else ())])
        if original is None and existing is None:
            problem = f"{declaration.ref}: the source {source} does not exist"
            if self.dry:
                self._warn(f"{problem} yet")
            elif problem not in self.problems:
                self.problems.append(problem)
        data = dict(declaration.data)
        for key in keys:
            if key not in data and (original and key in original.data or existing and existing.data.get(key)):
                ref = Ref(*declaration.ref, key)
                data[key] = KeySpec(ref, derivation=Copy({"source": Ref(*source, key)}))
        secret_type = (
            declaration.type or (original.type if original else None) or (existing.type if existing else None)
        )
        return replace(declaration, data=data, type=secret_type)

    # -- keys ----------------------------------------------------------------------------------------------------

    def _existing(self, ref: Ref) -> bytes | None:
        """Returns a value that exists; an empty one counts as none."""
        secret = self.state.get(ref.secret)
        return (secret.data.get(ref.key) or None) if secret else None

    def _key(self, spec: KeySpec) -> KeyPlan:
        existing = self._existing(spec.ref)
        rotate = spec.ref in self.rotate and existing is not None
        if spec.given is not None and (spec.overwrite or existing is None):
            return _key_plan(spec, existing, spec.given, "given")
        if spec.derivation is not None:
            return self._derived(spec, existing, rotate)
        if existing is not None and not rotate:
            return KeyPlan(spec, "kept", "kept", existing)
        outcome, label = ("rotated", "rotated") if rotate else ("created", "generated")
        return KeyPlan(spec, outcome, label, UNKNOWN if self.dry else self._candidate(spec, existing))

    def _candidate(self, spec: KeySpec, existing: bytes | None) -> Value:
        """Returns a new value, the same one each time a plan of this call asks for it."""
        place = (spec.ref, existing)
        if place not in self.candidates and spec.generator is not None:
            try:
                self.candidates[place] = spec.generator.generate(existing)
            except ValueError as error:
                self.problems.append(f"{spec.ref}: {error}")
        return self.candidates.get(place, UNKNOWN)

    def _derived(self, spec: KeySpec, existing: bytes | None, rotate: bool) -> KeyPlan:
        derivation = t.cast(t.Any, spec.derivation)
        values = {name: self._source(spec, source) for name, source in derivation.sources.items()}
        known = {name: value for name, value in values.items() if isinstance(value, bytes)}
        if len(known) < len(values):
            return KeyPlan(spec, "updated" if existing is not None else "created", derivation.label, UNKNOWN)
        try:
            value = derivation.derive(known, existing, rotate)
        except ValueError as error:
            sources = ", ".join(sorted({str(source) for source in derivation.sources.values()}))
            self.problems.append(f"{spec.ref}: cannot be made from {sources}: {error}")
            return KeyPlan(spec, "kept", "kept", existing if existing is not None else UNKNOWN)
        if rotate:
            return KeyPlan(spec, "rotated", "rotated", value)
        return _key_plan(spec, existing, value, derivation.label)

    def _source(self, spec: KeySpec, source: Ref) -> Value:
        if source in self.planned:
            return self.planned[source].value
        existing = self._existing(source)
        if existing is not None:
            return existing
        if self.dry:
            self._warn(f"{spec.ref}: the source {source} does not exist yet")
        else:
            self.problems.append(f"{spec.ref}: the source {source} does not exist")
        return UNKNOWN

    # -- Secrets -------------------------------------------------------------------------------------------------

    def _secret(self, declaration: Declaration) -> SecretPlan:
        existing = self.state.get(declaration.ref)
        keys = tuple(self.planned[spec.ref] for spec in declaration.data.values())
        secret_type = declaration.type or (existing.type if existing else "Opaque")
        labels = self._missing_labels(declaration, existing)
        annotations = {
            key: value
            for key, value in declaration.annotations.items()
            if not existing or existing.annotations.get(key) != value
        }
        metadata = tuple(
            [f"label {key}" for key in sorted(labels)] + [f"annotation {key}" for key in sorted(annotations)]
        )
        annotations.update(_rotation_note(keys, existing))
        changed_keys = any(key.outcome != "kept" for key in keys)
        action = "create" if existing is None else "update" if changed_keys or metadata else "none"
        result = SecretPlan(declaration, existing, action, secret_type, keys, labels, annotations, metadata)
        self._check(result, changed_keys)
        return result

    def _missing_labels(self, declaration: Declaration, existing: Existing | None) -> dict[str, str]:
        wanted = {**declaration.labels, **LABELS}
        if existing is None:
            return wanted
        owner = existing.labels.get(MANAGED_BY)
        if owner and owner != wanted[MANAGED_BY]:
            # A tool that finds its label gone (Helm for one) refuses to touch the Secret from then on.
            self._warn(f"{declaration.ref}: is managed by {owner} as well; its label {MANAGED_BY} stays as it is")
            del wanted[MANAGED_BY]
        return {key: value for key, value in wanted.items() if existing.labels.get(key) != value}

    def _check(self, secret: SecretPlan, changed_keys: bool) -> None:
        existing, data = secret.existing, secret.data
        if existing and existing.type != secret.type:
            self.problems.append(
                f"{secret.ref}: exists with type {existing.type}, which cannot be changed to {secret.type}: "
                "delete it first"
            )
        if existing and existing.immutable and changed_keys:
            self.problems.append(f"{secret.ref}: is immutable, but keys would have to change")
        problem = type_problem(secret.type, data.keys())
        if problem and (data or not self.dry):
            self.problems.append(f"{secret.ref}: {problem}")
        if sum(len(value) for value in data.values() if isinstance(value, bytes)) > SIZE_LIMIT:
            self.problems.append(f"{secret.ref}: would hold more than 1 MiB")

    def _absent(self, declaration: Declaration) -> SecretPlan:
        existing = self.state.get(declaration.ref)
        if existing is None or not self.purge:
            return SecretPlan(declaration, existing, "none", existing.type if existing else "Opaque")
        if existing.labels.get(MANAGED_BY) != LABELS[MANAGED_BY]:
            self.problems.append(
                f"{declaration.ref}: is not deleted, because its label {MANAGED_BY} is not {LABELS[MANAGED_BY]}"
            )
        return SecretPlan(declaration, existing, "delete", existing.type)

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def _key_plan(spec: KeySpec, existing: bytes | None, value: bytes, label: str) -> KeyPlan:
    if value == existing:
        return KeyPlan(spec, "kept", "kept", value)
    return KeyPlan(spec, "created" if existing is None else "updated", label, value)


def _rotation_note(keys: t.Sequence[KeyPlan], existing: Existing | None) -> dict[str, str]:
    """Returns the annotation that says when each key was rotated last."""
    rotated = [key.spec.ref.key for key in keys if key.outcome == "rotated"]
    if not rotated:
        return {}
    try:
        notes = dict(json.loads(existing.annotations.get(ROTATED_AT, "{}"))) if existing else {}
    except (ValueError, TypeError):
        notes = {}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {ROTATED_AT: json.dumps({**notes, **dict.fromkeys(rotated, now)}, sort_keys=True)}
