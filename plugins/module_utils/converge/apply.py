# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applies and deletes batches of objects."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import masking
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import (
    Object,
    Ref,
    comparable,
    problems,
    ref,
    waves,
)
from ansible_collections.openmlops.platform.plugins.module_utils.converge.readiness import condition
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import FIELD_MANAGER, Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError, NotFound

# Enough to hide the way to a distant API server, few enough for one with two cores.
_THREADS = 8
# A webhook or an aggregated API may be a few seconds behind the operator that serves it.
_WEBHOOK_SECONDS = 60.0


class ApplyError(Exception):
    """The API server refused one or more objects of a batch; the message names each and why."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one object: ``action`` is created, updated, unchanged or deleted."""

    ref: Ref
    action: str
    diff: dict[str, str] | None = None

    @property
    def changed(self) -> bool:
        return self.action != "unchanged"


def apply_objects(
    cluster: Cluster,
    objects: list[Object],
    *,
    check: bool = False,
    manager: str = FIELD_MANAGER,
    assume: t.Container[Ref] = (),
) -> list[Outcome]:
    """Makes the objects as described, by server-side apply, and tells what changed.

    Args:
        check: ask the server what would happen (dry run) and change nothing.
        assume: in check mode, objects that would exist by now, so that what stands in a namespace among them is
            reported as created instead of failing.

    Raises:
        ApplyError: naming every object that was refused.
    """
    wrong = [text for text in map(problems, objects) if text]
    if wrong:
        raise ApplyError("; ".join(wrong))
    outcomes: list[Outcome] = []
    for wave in waves(objects):
        outcomes += _in_parallel(wave, lambda obj: _apply_one(cluster, obj, check, manager, assume))
    return outcomes


def delete_objects(cluster: Cluster, objects: list[Object], *, check: bool = False) -> list[Outcome]:
    """Deletes objects, in the reverse of the order in which they were made; what is gone already is unchanged."""
    outcomes: list[Outcome] = []
    for wave in reversed(waves(objects)):
        outcomes += _in_parallel(wave, lambda obj: _delete_one(cluster, obj, check))
    return outcomes


def _in_parallel(objects: list[Object], work: t.Callable[[Object], Outcome]) -> list[Outcome]:
    if len(objects) == 1:
        return [_named(objects[0], work)]
    failures: list[str] = []
    outcomes: list[Outcome] = []
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for future in [pool.submit(_named, obj, work) for obj in objects]:
            try:
                outcomes.append(future.result())
            except ApplyError as error:
                failures.append(str(error))
    if failures:
        raise ApplyError("; ".join(failures))
    return outcomes


def _named(obj: Object, work: t.Callable[[Object], Outcome]) -> Outcome:
    try:
        return work(obj)
    except KubeError as error:
        raise ApplyError(f"{ref(obj)}: {masking.without_values(error.message, obj)}") from error


def _apply_one(
    cluster: Cluster, obj: Object, check: bool, manager: str, assume: t.Container[Ref]
) -> Outcome:
    identity = ref(obj)
    if check and _is_promised(cluster, obj, assume):
        return Outcome(identity, "created", masking.diff(None, obj))
    before = cluster.live(obj)
    if before and obj["kind"] == "Job" and condition(before, "Failed").get("status") == "True":
        # A Job that gave up never tries again by itself; what it failed for may be mended by now.
        return Outcome(identity, "updated", masking.diff(before, _replace_job(cluster, obj, manager, check)))
    after = _apply_with_patience(cluster, obj, manager, check)
    if before is None:
        return Outcome(identity, "created", masking.diff(None, after))
    if comparable(before) == comparable(after):
        return Outcome(identity, "unchanged")
    return Outcome(identity, "updated", masking.diff(before, after))


def _is_promised(cluster: Cluster, obj: Object, assume: t.Container[Ref]) -> bool:
    """Tells whether an object cannot be tried yet since its namespace or kind would only be made by this run."""
    space = ref(obj).namespace
    if space and Ref("Namespace", "", space) in assume and cluster.get("v1", "Namespace", space) is None:
        return True
    return not cluster.serves(obj["apiVersion"], obj["kind"])


def _apply_with_patience(cluster: Cluster, obj: Object, manager: str, check: bool) -> Object:
    deadline = time.monotonic() + (0.0 if check else _WEBHOOK_SECONDS)
    while True:
        try:
            return cluster.apply(obj, manager, dry_run=check)
        except KubeError as error:
            if obj["kind"] == "Job" and error.status == 422:
                return _replace_job(cluster, obj, manager, check)
            if not _may_pass(error) or time.monotonic() > deadline:
                raise
            time.sleep(1.0)


def _may_pass(error: KubeError) -> bool:
    """Tells whether an error is of the kind that goes away by itself once an operator's webhook answers."""
    return error.status in (500, 503, 504) and "webhook" in error.message


def _replace_job(cluster: Cluster, obj: Object, manager: str, check: bool) -> Object:
    """A Job's template cannot be changed: make it anew."""
    if check:
        return obj
    cluster.delete(obj, propagation="Foreground")
    for _attempt in range(100):
        if cluster.live(obj) is None:
            break
        time.sleep(0.2)
    return cluster.apply(obj, manager)


def _delete_one(cluster: Cluster, obj: Object, check: bool) -> Outcome:
    identity = ref(obj)
    try:
        before = cluster.live(obj)
        if before is None:
            return Outcome(identity, "unchanged")
        cluster.delete(obj, dry_run=check, uid=before["metadata"]["uid"])
    except NotFound:
        return Outcome(identity, "unchanged")
    return Outcome(identity, "deleted", masking.diff(before, None))
