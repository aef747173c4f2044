# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Custom resource definitions from release manifests of a megabyte and more.

Parsing and applying such a manifest takes seconds, so each definition carries a note of the text it was made from and of
its generation then: while both are as noted, nothing is parsed and nothing is sent.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.charts import manifest
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import Outcome, apply_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, Ref, labelled
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster

_NOTE = "openmlops.io/definition"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NAME = re.compile(r"^  name:[ \t]*[\"']?([^\s\"']+)", re.MULTILINE)


def ensure(cluster: Cluster, texts: list[str], waiter: Waiter, check: bool = False) -> list[Outcome]:
    """Makes the definitions in the texts and waits until the server serves them.

    Args:
        texts: manifests; what is in them beside CustomResourceDefinitions is left alone.
        check: change nothing.

    Returns:
        What became of each; their diffs name the definition only, since it fills pages.
    """
    documents = [doc for text in texts for doc in manifest.documents(text)
                 if manifest.kind(doc) == "CustomResourceDefinition"]
    wanted = {_name_of(doc): (doc, hashlib.sha256(doc.encode()).hexdigest()[:16]) for doc in documents}
    noted = _noted(cluster)
    outcomes: list[Outcome] = []
    todo: list[Object] = []
    for name, (doc, mark) in wanted.items():
        if name in noted and noted[name][0] == f"{mark}-{noted[name][1]}":
            outcomes.append(Outcome(Ref("CustomResourceDefinition", "", name), "unchanged"))
        else:
            todo.append(labelled(yaml_text.load(doc)))
    if not todo:
        return outcomes
    applied = [_shortened(outcome) for outcome in apply_objects(cluster, todo, check=check)]
    if not check:
        waiter.wait(todo)
        for obj in todo:
            _write_note(cluster, obj, wanted[obj["metadata"]["name"]][1])
    return outcomes + applied


def _shortened(outcome: Outcome) -> Outcome:
    name = str(outcome.ref)
    before = "" if outcome.action == "created" else f"{name}: as it was\n"
    diff = {"before_header": name, "after_header": name, "before": before, "after": f"{name}: {outcome.action}\n"}
    return dataclasses.replace(outcome, diff=diff if outcome.changed else None)


def names(texts: list[str]) -> list[str]:
    """Returns the names of the definitions in manifests."""
    return list(by_name(texts))


def by_name(texts: list[str]) -> dict[str, str]:
    """Returns the text of each definition in manifests by its name."""
    return {_name_of(doc): doc for text in texts for doc in manifest.documents(text)
            if manifest.kind(doc) == "CustomResourceDefinition"}


def _name_of(document: str) -> str:
    metadata = document[re.search(r"^metadata:", document, re.MULTILINE).start():]
    return _NAME.search(metadata).group(1)


def _noted(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Returns the note and the generation of each definition that is there."""
    listed = cluster.request("GET", _PATH, accept=_METADATA_ONLY)
    return {
        entry["metadata"]["name"]: (
            (entry["metadata"].get("annotations") or {}).get(_NOTE, ""), entry["metadata"].get("generation", 0)
        )
        for entry in (listed.get("items") or [])
    }


def _write_note(cluster: Cluster, obj: Object, mark: str) -> None:
    live = cluster.live(obj)
    if live:
        note = f"{mark}-{live['metadata'].get('generation', 0)}"
        cluster.patch_merge(obj, {"metadata": {"annotations": {_NOTE: note}}})
