# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a plan against the API server, so that runs at the same time agree in the end.

Each pass reads everything, plans, and writes with the server's own guards: POST for what was missing (409 when somebody
was faster), PUT with the resourceVersion that was read (409 when somebody changed it since). After any write or refusal
another pass reads everything again. The call ends with a pass that finds nothing to do, so what follows from a value
follows from the value that won. Needs get, create and update on Secrets (delete for a purge); neither list nor watch.
"""

from __future__ import annotations

import base64
import copy
import random
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import (
    Conflict,
    Forbidden,
    KubeError,
    NotFound,
    Unreachable,
)
from ansible_collections.openmlops.platform.plugins.module_utils.secrets import fingerprint, planning
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import (
    Declaration,
    Existing,
    Invalid,
    Ref,
    SecretRef,
)
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.planning import Plan, SecretPlan
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.redact import safe_message

_MOST_PASSES = 20
_RANK = {"kept": 0, "updated": 1, "rotated": 2, "created": 3}


class Cluster(t.Protocol):
    """What is needed of a connection."""

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, t.Any] | None:
        """Returns an object or None."""

    def create(self, obj: dict[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Creates an object or raises Conflict."""

    def replace(self, obj: dict[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Replaces an object of the same resourceVersion or raises Conflict."""

    def delete(self, ref: dict[str, t.Any], *, uid: str | None = None) -> bool:
        """Deletes an object of the same uid."""


class Failed(Exception):
    """The server refused something; the text is fit to be shown."""


@dataclass
class Done:
    """What happened to one Secret in all passes."""

    action: str = "none"
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> outcome, label
    metadata: dict[str, None] = field(default_factory=dict)

    def add(self, secret: SecretPlan) -> None:
        """Adds one write."""
        self.action = secret.action if self.action == "none" else self.action
        self.metadata.update(dict.fromkeys(secret.metadata))
        for key in secret.key_plans:
            name = key.spec.ref.key
            if name not in self.outcomes or _RANK[key.outcome] > _RANK[self.outcomes[name][0]]:
                self.outcomes[name] = (key.outcome, key.label)


@dataclass(frozen=True)
class Outcome:
    """The end of a run: the last plan (in check mode the only one), and what was done on the way."""

    plan: Plan
    done: t.Mapping[SecretRef, Done]
    fingerprints: t.Mapping[SecretRef, str]


def run(
    cluster: Cluster,
    declared: t.Sequence[Declaration],
    rotate: t.Collection[Ref] = (),
    *,
    purge: bool = False,
    dry: bool = False,
    sleep: t.Callable[[float], None] = time.sleep,
) -> Outcome:
    """Makes the Secrets fit their declarations.

    Raises:
        Invalid: with all problems; nothing has been written unless others changed the Secrets meanwhile.
        Failed: when the server refuses a request.
    """
    # The keys of the fingerprints come first: what they mark can then be marked in the same pass.
    return _Run(cluster, [*fingerprint.key_declarations(declared), *declared], set(rotate), purge, dry, sleep).run()


class _Run:
    def __init__(
        self,
        cluster: Cluster,
        declared: list[Declaration],
        rotate: set[Ref],
        purge: bool,
        dry: bool,
        sleep: t.Callable[[float], None],
    ) -> None:
        self.cluster, self.declared, self.pending, self.purge, self.dry = cluster, declared, rotate, purge, dry
        self.sleep = sleep
        self.candidates: planning.Candidates = {}
        self.done: dict[SecretRef, Done] = {declaration.ref: Done() for declaration in declared}
        self.seen: set[bytes] = {
            spec.given for declaration in declared for spec in declaration.data.values() if spec.given is not None
        }

    def run(self) -> Outcome:
        for number in range(_MOST_PASSES):
            current = self._plan()
            if self.dry:
                for secret in current.secrets:
                    self.done[secret.ref].add(secret)
                return self._outcome(current)
            if not current.changed:
                return self._outcome(current)
            if not self._write(current):
                # Somebody else is writing too: an uneven pause keeps the two from meeting again and again.
                self.sleep(random.uniform(0.01, 0.05) * (number + 1))
        raise Failed(
            f"other runs keep changing the same Secrets; gave up after {_MOST_PASSES} attempts{self._so_far()}"
        )

    def _plan(self) -> Plan:
        state = self._read()
        current = planning.plan(
            self.declared, state, self.pending, purge=self.purge, dry=self.dry, candidates=self.candidates
        )
        self.seen.update(
            value for secret in current.secrets for value in secret.data.values() if isinstance(value, bytes)
        )
        if current.problems:
            raise Invalid(list(dict.fromkeys(current.problems)))
        return current

    def _read(self) -> dict[SecretRef, Existing | None]:
        state: dict[SecretRef, Existing | None] = {}
        problems: list[str] = []
        for ref in planning.needed(self.declared):
            try:
                state[ref] = existing(ref, self.cluster.get("v1", "Secret", ref.name, ref.namespace))
            except Forbidden as error:
                problems.append(f"{ref}: no right to read it: {self._message(error)}")
            except KubeError as error:
                raise Failed(f"{ref}: cannot be read: {self._message(error)}{self._so_far()}") from None
        if problems:
            raise Invalid(problems)
        return state

    def _write(self, current: Plan) -> bool:
        """Writes until the server says that somebody else was faster; returns whether all was written."""
        no_namespace: dict[str, None] = {}
        for secret in current.secrets:
            if secret.action == "none":
                continue
            try:
                self._write_one(secret)
            except Conflict:
                return False
            except NotFound:
                if secret.action == "update":
                    return False  # deleted since it was read
                no_namespace[secret.ref.namespace] = None
                continue
            except KubeError as error:
                raise Failed(
                    f"{secret.ref}: {secret.action} failed: {self._message(error)}{self._so_far()}"
                ) from None
            self.done[secret.ref].add(secret)
            self.pending -= {key.spec.ref for key in secret.key_plans if key.outcome == "rotated"}
        if no_namespace:
            names = ", ".join(no_namespace)
            raise Failed(f"Secrets cannot be created, because these namespaces do not exist: {names}{self._so_far()}")
        return True

    def _write_one(self, secret: SecretPlan) -> None:
        if secret.action == "delete" and secret.existing:
            self.cluster.delete(_object(secret.ref), uid=secret.existing.uid or None)
        elif secret.action == "create":
            self.cluster.create(manifest(secret))
        else:
            self.cluster.replace(manifest(secret))

    def _outcome(self, current: Plan) -> Outcome:
        secrets = {secret.ref: secret for secret in current.secrets}
        marks: dict[SecretRef, str] = {}
        for ref, secret in secrets.items():
            if secret.declaration.internal or secret.declaration.absent:
                continue
            keeper = secrets.get(SecretRef(ref.namespace, fingerprint.KEY_SECRET))
            key = keeper.data.get(fingerprint.KEY_NAME) if keeper else None
            data = {name: value for name, value in secret.data.items() if isinstance(value, bytes)}
            known = (
                isinstance(key, bytes)
                and len(data) == len(secret.data)
                and not (self.dry and secret.action == "create")
            )
            marks[ref] = (
                fingerprint.fingerprint(t.cast(bytes, key), ref, secret.type, data)
                if known
                else fingerprint.NOT_KNOWN
            )
        return Outcome(current, self.done, marks)

    def _message(self, error: KubeError) -> str:
        if isinstance(error, Unreachable):
            return error.message
        public = [part for ref in planning.needed(self.declared) for part in (ref.namespace, ref.name)] + [
            key for declaration in self.declared for key in declaration.data
        ]
        return safe_message(error.message, self.seen, public)

    def _so_far(self) -> str:
        written = sorted(str(ref) for ref, done in self.done.items() if done.action != "none")
        return f". Written before: {', '.join(written)}; a plain second run continues" if written else ""


def existing(ref: SecretRef, obj: dict[str, t.Any] | None) -> Existing | None:
    """Returns what the server answered in the form that the planner reads."""
    if obj is None:
        return None
    meta = obj.get("metadata") or {}
    return Existing(
        ref,
        obj.get("type") or "Opaque",
        {key: base64.b64decode(value or "") for key, value in (obj.get("data") or {}).items()},
        meta.get("labels") or {},
        meta.get("annotations") or {},
        bool(obj.get("immutable")),
        meta.get("uid", ""),
        obj,
    )


def manifest(secret: SecretPlan) -> dict[str, t.Any]:
    """Returns the object to send: a new one, or the one that was read with the changes in it.

    ``data`` is written, never ``stringData``: the server keeps the latter in no form that a later run could compare.
    """
    if secret.existing is None:
        obj: dict[str, t.Any] = {**_object(secret.ref), "type": secret.type}
    else:
        obj = copy.deepcopy(dict(secret.existing.raw))
        obj.update(apiVersion="v1", kind="Secret")
    meta = obj["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), **secret.labels}
    if secret.annotations:
        meta["annotations"] = {**(meta.get("annotations") or {}), **secret.annotations}
    obj["data"] = {
        **(obj.get("data") or {}),
        **{
            key.spec.ref.key: base64.b64encode(t.cast(bytes, key.value)).decode()
            for key in secret.key_plans
            if key.outcome != "kept"
        },
    }
    return obj


def _object(ref: SecretRef) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": ref.name, "namespace": ref.namespace}}
