# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs, upgrades, heals and removes Helm releases; starts Helm only when it has something to do."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import helm_state, masking, ownership
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import Outcome, apply_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.helm_state import (
    CHART_ANNOTATION,
    LIVE_ANNOTATION,
    WANTED_ANNOTATION,
    Revision,
)
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import (
    Object,
    Ref,
    digest,
    ref,
    without_injected,
)
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError

_THREADS = 8
# A run that was killed may have left Helm alive: it gets this long to finish before its release counts as abandoned.
PENDING_GRACE = 30.0

# How the API server and Helm word a field that belongs to another manager.
_CONFLICTS = ("conflict occurred while applying", "Apply failed with")

# Runs kubernetes.core.helm (or helm_template) with arguments and returns its result; raises HelmError when it fails.
RunHelm = t.Callable[[str, dict[str, t.Any]], dict[str, t.Any]]
Say = t.Callable[[str], None]


class HelmError(Exception):
    """Helm refused; the message is Helm's."""


@dataclasses.dataclass(frozen=True)
class Release:
    """What is wanted.

    Attributes:
        name, namespace: of the release.
        chart: path, OCI reference or name of the chart. version, repository: for a chart from a repository.
        chart_digest: digest of the chart's content, or its name and version when it is pinned in a repository.
        values: the values that are given to it; they hold references to Secrets, never their values.
        data: whether things of users go with it (its definitions'), so that only a purge removes it.
    """

    name: str
    namespace: str
    chart: str
    chart_digest: str
    values: dict[str, t.Any]
    version: str | None = None
    repository: str | None = None
    data: bool = False

    def __str__(self) -> str:
        return f"release {self.namespace}/{self.name}"

    @property
    def on_disk(self) -> bool:
        """Whether the chart is a file or folder here, and not in a repository."""
        return self.version is None

    @property
    def wanted_digest(self) -> str:
        """The digest of chart and values."""
        return digest([self.chart_digest, self.values])

    @property
    def ref(self) -> Ref:
        return Ref("Release", self.namespace, self.name)


class Releases:
    """Brings releases to their wanted state on one cluster."""

    def __init__(
        self, cluster: Cluster, run_helm: RunHelm, say: Say, check: bool = False, show: bool = False
    ) -> None:
        self._cluster = cluster
        self._run_helm = run_helm
        self._say = say
        self._check = check
        self._show = show

    def ensure(self, release: Release) -> list[Outcome]:
        """Installs or upgrades a release, or puts back what was changed by hand in one that is as wanted."""
        found = self._settled(release)
        newest = found[0] if found else None
        if newest and newest.status == "deployed" and newest.annotation(WANTED_ANNOTATION) == release.wanted_digest:
            return self._repaired(release, newest)
        if self._check:
            diff = self._preview(release, newest) if self._show else None
            return [Outcome(release.ref, "updated" if newest else "created", diff)]
        return [self._install(release, newest)]

    def remove(self, name: str, namespace: str) -> Outcome:
        """Uninstalls a release; one that is not there is unchanged."""
        target = Ref("Release", namespace, name)
        if not helm_state.revisions(self._cluster, name, namespace):
            return Outcome(target, "unchanged")
        if not self._check:
            self._run_helm("helm", {"release_name": name, "release_namespace": namespace, "release_state": "absent"})
            for left in helm_state.revisions(self._cluster, name, namespace):
                self._cluster.delete(left.secret)
        diff = {"before_header": str(target), "after_header": str(target), "before": f"{target}\n", "after": ""}
        return Outcome(target, "deleted", diff)

    def workloads(self, name: str, namespace: str) -> list[Object]:
        """Returns the objects that a release consists of; empty when it is not installed."""
        found = helm_state.revisions(self._cluster, name, namespace)
        return helm_state.with_namespaces(self._cluster, found[0].objects(), namespace) if found else []

    def drift(self, name: str, namespace: str) -> str:
        """Returns how a release was changed since a run installed it, or an empty text; changes nothing."""
        found = helm_state.revisions(self._cluster, name, namespace)
        label = f"release {namespace}/{name}"
        if not found:
            return f"{label} is gone"
        newest = found[0]
        if newest.pending:
            return f"{label} is stuck in {newest.status}" if newest.age >= PENDING_GRACE else ""
        if newest.annotation(WANTED_ANNOTATION) is None:
            return f"{label}: revision {newest.number} ({newest.status}) was made by another Helm, or by a run that was interrupted"
        objects = self._objects(Release(name, namespace, "", "", {}), newest)
        pairs = self._live_pairs(objects)
        if helm_state.live_digest(pairs) == newest.annotation(LIVE_ANNOTATION):
            return ""
        gone = [str(ref(obj)) for obj, live in pairs if live is None]
        return f"{label}: {', '.join(gone[:3])} gone" if gone else f"{label}: its objects were changed since"

    # -- the parts of ensure -------------------------------------------------------------------------------------

    def _settled(self, release: Release) -> list[Revision]:
        """Returns the revisions, after healing one that a killed run left pending."""
        deadline = time.monotonic() + PENDING_GRACE
        while True:
            found = helm_state.revisions(self._cluster, release.name, release.namespace)
            if not found or not found[0].pending or self._check:
                return found
            if found[0].age >= PENDING_GRACE or time.monotonic() > deadline:
                break
            time.sleep(1.0)
        # Helm refuses to touch a pending release. Without the record of the interrupted step it goes on from the last
        # finished one, and takes over what that step had made already since it carries the release's own marks.
        stuck = found[0]
        self._say(f"{release}: revision {stuck.number} was left '{stuck.status}' by an interrupted run; it is made again")
        self._cluster.delete(stuck.secret)
        return helm_state.revisions(self._cluster, release.name, release.namespace)

    def _install(self, release: Release, newest: Revision | None) -> Outcome:
        self._say(f"{release}: {'upgrading' if newest else 'installing'} {release.chart.rpartition('/')[2]}")
        diff = self._preview(release, newest) if self._show else None
        args = {**chart_args(release), "create_namespace": False, "history_max": 5}
        result = self._upgrade(release, newest, args)
        found = helm_state.revisions(self._cluster, release.name, release.namespace)
        if not found or found[0].status != "deployed":
            status = found[0].status if found else "absent"
            raise HelmError(f"{release} is '{status}' after Helm ended: {result.get('stderr') or result.get('msg') or ''}")
        before = newest.annotation(CHART_ANNOTATION) if newest else None
        same = newest is not None and found[0].number == newest.number
        if same and release.on_disk and before and "@" not in before and before != release.chart_digest:
            raise HelmError(
                f"{release}: the content of the chart {release.chart} changed, but not its version, so Helm keeps the old "
                "one. Give the changed chart a new version."
            )
        self._note(release, found[0])
        return Outcome(release.ref, "updated" if newest else "created", diff)

    def _take_over(self, objects: list[Object]) -> None:
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda obj: ownership.take_over(self._cluster, obj, "helm"), objects))

    def _upgrade(self, release: Release, newest: Revision | None, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """Runs Helm; a second time with force when somebody else wrote a field that the chart speaks of.

        Helm 4 applies on the server's side and refuses to overrule anybody. Here the chart decides.
        """
        if newest:
            self._take_over(self._objects(release, newest))
        try:
            return self._run_helm("helm", args)
        except HelmError as error:
            if "conflict" not in str(error) or not any(text in str(error) for text in _CONFLICTS):
                raise
        return self._run_helm("helm", {**args, "force_conflicts": True})

    def _note(self, release: Release, revision: Revision) -> None:
        """Writes the digests on the revision's Secret, as the last step: a run killed before it starts Helm again."""
        pairs = self._live_pairs(self._objects(release, revision))
        notes = {WANTED_ANNOTATION: release.wanted_digest, CHART_ANNOTATION: release.chart_digest,
                 LIVE_ANNOTATION: helm_state.live_digest(pairs)}
        self._cluster.patch_merge(revision.secret, {"metadata": {"annotations": notes}})

    def _repaired(self, release: Release, revision: Revision) -> list[Outcome]:
        objects = self._objects(release, revision)
        pairs = self._live_pairs(objects)
        if helm_state.live_digest(pairs) == revision.annotation(LIVE_ANNOTATION):
            return [Outcome(release.ref, "unchanged")]
        # Somebody changed or removed objects of the release: put back what its manifest says, in Helm's name.
        if not self._check:
            self._take_over(objects)
        outcomes = [entry for entry in apply_objects(self._cluster, objects, check=self._check, manager="helm") if entry.changed]
        if not self._check:
            self._note(release, revision)
        return outcomes or [Outcome(release.ref, "unchanged")]

    def _objects(self, release: Release, revision: Revision) -> list[Object]:
        """Returns the release's objects with the marks that Helm puts on them beside what the chart says."""
        marks = {"labels": {"app.kubernetes.io/managed-by": "Helm"},
                 "annotations": {"meta.helm.sh/release-name": release.name, "meta.helm.sh/release-namespace": release.namespace}}
        found = []
        for obj in revision.objects():
            plain = without_injected(obj)
            meta = dict(plain.get("metadata") or {})
            for key, values in marks.items():
                meta[key] = {**(meta.get(key) or {}), **values}
            found.append({**plain, "metadata": meta})
        return helm_state.with_namespaces(self._cluster, found, release.namespace)

    def _live_pairs(self, objects: list[Object]) -> list[tuple[Object, Object | None]]:
        def fetch(obj: Object) -> tuple[Object, Object | None]:
            return obj, self._cluster.live(obj) if self._cluster.serves(obj["apiVersion"], obj["kind"]) else None

        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(fetch, objects))

    def _preview(self, release: Release, newest: Revision | None) -> dict[str, str]:
        """Returns the difference between the manifest as recorded and as it would be, without any Secret's value."""
        if newest is None:
            return values_diff(release, None)
        old = {ref(obj): obj for obj in newest.objects()}
        try:
            text = self._run_helm("helm_template", {**chart_args(release), "include_crds": False})["stdout"]
        except (HelmError, KubeError, KeyError):
            return values_diff(release, newest.payload().get("config"))
        new = {ref(obj): obj for obj in helm_state.manifest_objects(text)}
        changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        return {
            "before_header": str(release), "after_header": str(release),
            "before": "---\n".join(masking.as_yaml(masking.masked(old[k], new.get(k))) for k in changed if k in old),
            "after": "---\n".join(masking.as_yaml(masking.masked(new[k], old.get(k))) for k in changed if k in new),
        }


def chart_args(release: Release) -> dict[str, t.Any]:
    """Returns what the modules helm and helm_template of kubernetes.core are told of a release."""
    args: dict[str, t.Any] = {
        "release_name": release.name, "release_namespace": release.namespace, "chart_ref": release.chart, "release_values": release.values,
    }
    if release.version:
        args["chart_version"] = release.version
    if release.repository:
        args["chart_repo_url"] = release.repository
    return args


def values_diff(release: Release, before: dict[str, t.Any] | None) -> dict[str, str]:
    """Returns the difference between values as recorded and as wanted, with what tells of a secret hidden."""
    return {
        "before_header": str(release), "after_header": str(release),
        "before": masking.as_yaml(masking.masked_values(before)) if before else "",
        "after": f"# chart {release.chart.rpartition('/')[2]}\n" + masking.as_yaml(masking.masked_values(release.values)),
    }
