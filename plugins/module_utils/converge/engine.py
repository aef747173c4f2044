# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a whole platform to its plans: phase by phase, each as one batch with one wait."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import (
    definitions,
    masking,
    readiness,
    record,
    routes,
)
from ansible_collections.openmlops.platform.plugins.module_utils.converge import plan as plans
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import (
    Outcome,
    apply_objects,
    delete_objects,
)
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import (
    LABELS,
    WHEN_REMOVED_ANNOTATION,
    Object,
    Ref,
    comparable,
    is_kept,
    ref,
)
from ansible_collections.openmlops.platform.plugins.module_utils.converge.refresh import refresh
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Releases
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import NotFound
from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins, pull_secrets

_OWNER = "app.kubernetes.io/managed-by"

Say = t.Callable[[str], None]
# Makes the Secrets of the specifications; returns what became of each, and the fingerprint of each "namespace/name".
Bootstrap = t.Callable[[list[dict[str, t.Any]]], tuple[list[Outcome], dict[str, str]]]


@dataclasses.dataclass
class Report:
    """What a run did: outcomes of objects and releases, and the seconds of each phase."""

    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return any(outcome.changed for outcome in self.outcomes)


class Engine:
    """Converges components on one cluster.

    Args:
        space: the platform's own namespace, where the records are.
        bootstrap: makes Secrets.
        check: change nothing, only find out.
        guard: called before each phase; raises when this run no longer holds the cluster.
    """

    def __init__(
        self, cluster: Cluster, space: str, releases: Releases, waiter: Waiter, bootstrap: Bootstrap, say: Say,
        check: bool = False, guard: t.Callable[[], None] = lambda: None,
    ) -> None:
        self._guard = guard
        self._cluster, self._space, self._releases = cluster, space, releases
        self._waiter, self._bootstrap, self._say, self._check = waiter, bootstrap, say, check
        self._fingerprints: dict[str, str] = {}

    def make_space(self) -> None:
        """Makes the platform's own namespace, in which runs find each other and leave their records."""
        if self._cluster.get("v1", "Namespace", self._space) is None:
            self._apply([_space(self._space)], set())

    # -- present ---------------------------------------------------------------------------------------------------

    def converge(self, wanted: list[plans.Plan], gone: t.Container[str] = ()) -> Report:
        """Makes everything as planned, waits for it, and removes what a component no longer has.

        Args:
            gone: components that this run removed (or would, in check mode): no way leads to them any more.
        """
        report = Report()
        known = self._known()
        wanted = routes.derived(wanted, {name: entry for name, entry in known.items() if name not in gone})
        if not wanted:
            return report
        promised = {
            ref(obj) for entry in wanted for phase in entry.phases.values() for obj in phase.objects
            if obj["kind"] == "Namespace"
        } | {Ref("Namespace", "", self._space)}
        report.outcomes += self._apply([_space(self._space)], promised)
        wanted = self._without_foreign_namespaces(wanted)
        for entry in wanted:
            self._write(record.united(known.get(entry.component), entry.record()))
        for phase in plans.PHASES:
            started = time.monotonic()
            self._guard()
            if self._run_phase(phase, wanted, promised, report):
                report.seconds[phase] = round(time.monotonic() - started, 1)
        records = {**known, **{entry.component: entry.record() for entry in wanted}}
        for entry in wanted:
            report.outcomes += self._prune(known.get(entry.component), records[entry.component], records)
        return report

    def _without_foreign_namespaces(self, wanted: list[plans.Plan]) -> list[plans.Plan]:
        """Returns the plans without the namespaces that somebody else made: they are used, never changed or deleted."""
        spaces = {obj["metadata"]["name"] for entry in wanted for phase in entry.phases.values()
                  for obj in phase.objects if obj["kind"] == "Namespace"}
        foreign = set()
        for name in spaces:
            live = self._cluster.get("v1", "Namespace", name)
            if live and (live["metadata"].get("labels") or {}).get(_OWNER) != LABELS[_OWNER]:
                foreign.add(name)
        return [entry.without_namespaces(foreign) for entry in wanted] if foreign else wanted

    def _run_phase(self, name: str, wanted: list[plans.Plan], promised: set[Ref], report: Report) -> bool:
        entries = [entry.phases[name] for entry in wanted if name in entry.phases]
        objects = [plans.with_certificates(plans.with_fingerprints(obj, self._fingerprints), self._secret_key)
                   for phase in entries for obj in phase.objects]
        releases = [
            dataclasses.replace(release, values=plans.with_fingerprints(release.values, self._fingerprints))
            for phase in entries for release in phase.releases
        ]
        texts = [text for phase in entries for text in phase.definitions]
        secrets = _unique([secret for entry in wanted for secret in entry.secrets]) if name == "foundation" else []
        if not (objects or releases or secrets or texts):
            return False
        outcomes = definitions.ensure(self._cluster, texts, self._waiter, self._check) if texts else []
        outcomes += self._apply(objects, promised)
        self._refresh(objects, outcomes)
        if secrets:
            made, self._fingerprints = self._bootstrap(secrets)
            outcomes += made
            outcomes += pull_secrets.ensure_accounts(self._cluster, _pulling(objects, secrets), self._check)
        for release in releases:
            outcomes += self._releases.ensure(release)
        changed = [outcome for outcome in outcomes if outcome.changed]
        if changed:
            self._say(f"{name}: {_counted(changed)}{' (check mode: nothing was changed)' if self._check else ''}")
        report.outcomes += outcomes
        if not self._check:
            awaited = list(objects)
            for release in releases:
                awaited += self._releases.workloads(release.name, release.namespace)
            seconds = self._waiter.wait(awaited)
            if seconds > 2.0:
                self._say(f"{name}: ready after {seconds:.0f} s")
        return True

    def _secret_key(self, namespace: str, name: str, key: str) -> bytes | None:
        secret = self._cluster.get("v1", "Secret", name, namespace)
        text = ((secret or {}).get("data") or {}).get(key)
        return base64.b64decode(text) if text else None

    def _refresh(self, objects: list[Object], outcomes: list[Outcome]) -> None:
        """Lets pods see a changed ConfigMap at once."""
        updated = {outcome.ref for outcome in outcomes if outcome.action == "updated"}
        for obj in objects:
            if not self._check and obj["kind"] == "ConfigMap" and ref(obj) in updated:
                refresh(self._cluster, obj)

    def _apply(self, objects: list[Object], promised: set[Ref]) -> list[Outcome]:
        unique = {ref(obj): obj for obj in objects}
        return apply_objects(self._cluster, list(unique.values()), check=self._check, assume=promised)

    def _prune(
        self, old: record.Record | None, new: record.Record, records: dict[str, record.Record]
    ) -> list[Outcome]:
        """Removes what the component had and nobody has any more, then writes the record as it is now."""
        outcomes: list[Outcome] = []
        kept: list[record.Member] = []
        if old is not None:
            held = {member.identity for entry in records.values() for member in entry.members
                    if entry.component != old.component} | {member.identity for member in new.members}
            gone = [member for member in old.members if member.identity not in held]
            doomed = self._doomed([member.as_object() for member in gone], purge=False)
            outcomes += self._delete(doomed)
            # Data outlives the plan, and a later purge must still know of it.
            going = {ref(obj) for obj in doomed}
            kept = [m for m in gone if ref(m.as_object()) not in going and self._exists(m.as_object())]
            releases = {entry for other in records.values() for entry in other.releases if other.component != old.component}
            gone_releases = set(old.releases) - set(new.releases) - releases
            for space, name in sorted(gone_releases - set(old.kept)):
                outcomes.append(self._releases.remove(name, space))
            resting = tuple(sorted(gone_releases & set(old.kept)))
            new = dataclasses.replace(new, releases=(*new.releases, *resting), kept=tuple(dict.fromkeys((*new.kept, *resting))))
        self._write(dataclasses.replace(new, members=(*new.members, *kept)))
        return [outcome for outcome in outcomes if outcome.changed]

    # -- absent ----------------------------------------------------------------------------------------------------

    def remove(self, components: list[str], purge: bool = False) -> Report:
        """Removes components in the order given; what holds data stays unless ``purge`` is asked for."""
        report = Report()
        known = self._known()
        for component in components:
            found = known.get(component)
            if found is None:
                continue
            started = time.monotonic()
            if not purge:
                report.outcomes += self._put_to_rest(found)
            # Objects first: an operator that goes with a release may have to let go of them.
            for entry in found.offspring:
                if not entry.get("data") or (purge and entry.get("finalizer")):
                    born = self._offspring(found, entry)
                    if entry.get("finalizer") and found.about.get("removed"):
                        self._let_go(born, str(entry["finalizer"]))
                    report.outcomes += self._delete(born)
            # What another component has too, such as a namespace's pull secret, goes with the last one.
            held = {m.identity for other in known.values() if other.component != component for m in other.members}
            members = [member.as_object() for member in found.members if member.identity not in held]
            doomed = self._doomed(members, purge)
            # A claim goes only when the release's pods, which use it, have gone.
            claims = [obj for obj in doomed if obj["kind"] == "PersistentVolumeClaim"]
            report.outcomes += self._delete([obj for obj in doomed if obj not in claims])
            resting = () if purge else found.kept
            for space, name in (entry for entry in found.releases if entry not in resting):
                report.outcomes.append(self._releases.remove(name, space))
            for entry in found.offspring:
                # Data, and what was made while the programs were still there.
                if purge if entry.get("data") else not self._check:
                    report.outcomes += self._delete(self._offspring(found, entry))
            report.outcomes += self._delete(claims)
            if purge:
                report.outcomes += self._purge_namespaces(found, known)
            # While anything is left behind the record stays, so that a later purge still knows what there is.
            left = [m for m in found.members if self._exists(m.as_object())]
            if not purge and (left or resting or any(self._offspring(found, entry) for entry in found.offspring)):
                self._write(dataclasses.replace(found, members=tuple(left), releases=resting,
                                                about={**found.about, "removed": True}))
            elif not self._check:
                self._cluster.delete(record.as_object(found, self._space))
                known.pop(component)
            report.seconds[component] = round(time.monotonic() - started, 1)
        return report

    def _offspring(self, found: record.Record, entry: dict[str, t.Any]) -> list[Object]:
        """Returns what is there of a kind that the component's programs or users make, beside its own members."""
        selector = ",".join(key if value is None else f"{key}={value}" for key, value in sorted((entry.get("selector") or {}).items()))
        try:
            live = self._cluster.list(entry["api_version"], entry["kind"], entry["namespace"] or None, label_selector=selector or None)
        except NotFound:  # its definition has gone already
            return []
        own = {member.identity for member in found.members}
        return [member.as_object() for member in map(record.Member.of, live) if member.identity not in own]

    def _let_go(self, objects: list[Object], finalizer: str) -> None:
        """Takes off a finalizer whose program is gone, so that what is deleted goes."""
        for live in [] if self._check else [found for found in map(self._exists, objects) if found]:
            kept = [name for name in live["metadata"].get("finalizers") or [] if name != finalizer]
            self._cluster.patch_merge(live, {"metadata": {"finalizers": kept}})

    def drop_space(self) -> list[Outcome]:
        """Removes the platform's own namespace once no component is recorded in it any more, if a run has made it."""
        live = self._cluster.get("v1", "Namespace", self._space)
        if live is None or (live["metadata"].get("labels") or {}).get(_OWNER) != LABELS[_OWNER] or self._known():
            return []
        return self._delete([_space(self._space)])

    def _put_to_rest(self, found: record.Record) -> list[Outcome]:
        """Applies what objects that stay ask for when their component goes, and waits for it."""
        resting: list[Object] = []
        outcomes: list[Outcome] = []
        for member in found.members:
            live = self._exists(member.as_object())
            patch = ((live or {}).get("metadata", {}).get("annotations") or {}).get(WHEN_REMOVED_ANNOTATION)
            if live and patch:
                after = self._cluster.patch_merge(live, json.loads(patch), dry_run=self._check)
                changed = comparable(live) != comparable(after)
                outcomes.append(Outcome(ref(live), "updated" if changed else "unchanged", masking.diff(live, after)))
                resting.append(live)
        if resting and not self._check:
            self._waiter.wait(resting)
        return outcomes

    def _doomed(self, objects: list[Object], purge: bool) -> list[Object]:
        """Returns those of the objects that exist and may go."""
        result = []
        for obj in objects:
            if obj["kind"] == "Namespace":
                continue
            live = self._exists(obj)
            if live and (purge or not is_kept(live)):
                result.append(obj)
        return result

    def _delete(self, objects: list[Object]) -> list[Outcome]:
        outcomes = delete_objects(self._cluster, objects, check=self._check)
        if not self._check:
            self._wait_gone(objects)
        return outcomes

    def _purge_namespaces(self, found: record.Record, known: dict[str, record.Record]) -> list[Outcome]:
        others = {m.name for other in known.values() if other.component != found.component
                  for m in other.members if m.kind == "Namespace"}
        mine = [m.as_object() for m in found.members
                if m.kind == "Namespace" and m.name not in others and m.name != self._space]
        return self._delete([obj for obj in mine if self._exists(obj)])

    def _wait_gone(self, objects: list[Object], seconds: float = 180.0) -> None:
        deadline, said = time.monotonic() + seconds, time.monotonic()
        left = objects
        while left := [obj for obj in left if self._exists(obj)]:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    "still being deleted: " + ", ".join(str(ref(obj)) for obj in left)
                    + ". A finalizer may wait for an operator that is gone already."
                )
            if time.monotonic() - said > 10.0:
                self._say(f"waiting until these are gone: {', '.join(str(ref(obj)) for obj in left[:5])}")
                said = time.monotonic()
            time.sleep(0.3)

    # -- records ---------------------------------------------------------------------------------------------------

    def unchosen(self, names: t.Iterable[str]) -> list[str]:
        """Returns the components that are installed and not among these, but for those that a playbook of their own brings."""
        known = self._known()
        return sorted(name for name in set(known) - set(names) if not known[name].about.get("on_demand"))

    def _known(self) -> dict[str, record.Record]:
        return record.read_all(self._cluster, self._space)

    def _write(self, entry: record.Record) -> None:
        if not self._check:
            apply_objects(self._cluster, [record.as_object(entry, self._space)])

    def _exists(self, obj: Object) -> Object | None:
        return self._cluster.live(obj) if self._cluster.serves(obj["apiVersion"], obj["kind"]) else None


def not_ready(waiter: Waiter, releases: Releases, entry: record.Record) -> list[str]:
    """Returns what of a recorded component is not ready, one reason for each object."""
    wanted = [member.as_object() for member in entry.members]
    missing_releases = []
    for space, name in entry.releases:
        found = releases.workloads(name, space)
        if not found:
            missing_releases.append(f"release {space}/{name} is not installed")
        wanted += found
    looked = waiter.look([obj for obj in wanted if readiness.has_rule(obj)])
    return missing_releases + [str(missing) for missing in looked]


def _unique(secrets: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Returns the specifications without those that are repeated word for word: components may share a namespace."""
    return [secret for number, secret in enumerate(secrets) if secret not in secrets[:number]]


def _pulling(objects: list[Object], secrets: list[dict[str, t.Any]]) -> list[str]:
    """Returns the namespaces of the platform's own that get a pull secret."""
    own = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"}
    return [secret["namespace"] for secret in secrets if secret["name"] == logins.SECRET and secret.get("namespace") in own]


def _space(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(LABELS)}}


def _counted(outcomes: list[Outcome]) -> str:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.action] = counts.get(outcome.action, 0) + 1
    return ", ".join(f"{number} {action}" for action, number in counts.items())
