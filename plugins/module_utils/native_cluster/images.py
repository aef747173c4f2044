# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings image archives into the containerd of a running node."""

from __future__ import annotations

import concurrent.futures
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import process
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.programs import CONTAINERD_SOCKET

CTR = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"]
# Unpacking takes a processor; more at once only take memory.
AT_ONCE = 2
# The kubelet leaves an image with this label alone.
PINNED = "io.cri-containerd.pinned=pinned"


def present(layout: Layout) -> set[str]:
    """References of the images that the node has.

    Raises:
        NodeError: the node does not run or its containerd does not answer.
    """
    done = process.enter(_running(layout), [*CTR, "images", "list", "--quiet"], text=True)
    if done.returncode:
        raise NodeError(f"containerd of cluster {layout.name} does not answer: {done.stderr.strip()}")
    return set(done.stdout.split())


def reference(archive: Path) -> str:
    """The reference that an OCI archive names itself by.

    Raises:
        NodeError: the file is no OCI archive, or its image has no name.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            index = json.load(member) if member else {}
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise NodeError(f"{archive} is no OCI image archive: {error}") from error
    for manifest in index.get("manifests", []):
        notes = manifest.get("annotations") or {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name")
        if name:
            return name
    raise NodeError(f"The image in {archive} has no name.")


def lacking(layout: Layout, wanted: dict[str, Path]) -> list[str]:
    """Those of *wanted* that import_missing() would import; all of them when the node does not run."""
    have = present(layout) if process.find(layout) else set()
    return [name for name in wanted if name not in have]


def import_missing(layout: Layout, wanted: dict[str, Path], say: Callable[[str], None]) -> list[str]:
    """Import those of *wanted* (reference to archive) that the node lacks, two at a time; returns their references.

    Raises:
        NodeError: an archive is missing or broken, or containerd refuses it.
    """
    have = present(layout)
    lacks = [name for name in wanted if name not in have]
    # The largest first, so that the small ones fill the time beside it.
    lacks.sort(key=lambda name: -wanted[name].stat().st_size if wanted[name].exists() else 0)

    def bring(name: str) -> None:
        begin = time.monotonic()
        _import(layout, name, wanted[name])
        say(f"imported {name} in {time.monotonic() - begin:.1f} s")

    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        tasks = [pool.submit(bring, name) for name in lacks]
        try:
            for task in concurrent.futures.as_completed(tasks):
                task.result()
        except NodeError:
            pool.shutdown(cancel_futures=True)
            raise
    return lacks


def _import(layout: Layout, name: str, archive: Path) -> None:
    """Import one archive."""
    running = _running(layout)
    try:
        with archive.open("rb") as stream:
            done = process.enter(running, [*CTR, "images", "import", "-"], stdin=stream)
    except OSError as error:
        raise NodeError(f"The image archive {archive} cannot be read: {error.strerror}. Run the build again.") from error
    if done.returncode:
        raise NodeError(f"{archive} could not be imported: {done.stderr.decode(errors='replace').strip()}")
    labelled = process.enter(running, [*CTR, "images", "label", name, PINNED], text=True)
    if labelled.returncode:
        raise NodeError(f"{archive} does not hold {name}: {labelled.stderr.strip()}")


def _running(layout: Layout) -> process.Running:
    """The running node, or an error."""
    running = process.find(layout)
    if not running:
        raise NodeError(f"Cluster {layout.name} does not run.")
    return running
