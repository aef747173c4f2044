# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out what a mirror has, and copies what it lacks. One thing that goes wrong does not keep the others from being copied."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.charts import source as chart_source
from ansible_collections.openmlops.platform.plugins.module_utils.mirror import manifests
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.listing import (
    BUILT,
    FAILED,
    MISSING,
    PRESENT,
    UNKNOWN,
    Chart,
    Image,
)
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.manifests import ManifestError
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.running import Helm, ProgramError, Skopeo, chart_place

_LOOK_THREADS = 6
# Each already moves several layers at once.
_COPY_THREADS = 2

Say = t.Callable[[str], None]


class Images:
    """The images of a mirror.

    Args:
        skopeo: None when it is not installed; then only archives are looked at.
        archives: by folder in images/, the archive in the cache, there or not.
        architecture: of several architectures only this one is copied; empty: all.
        say: takes a line of progress.
    """

    def __init__(self, skopeo: Skopeo | None, archives: dict[str, Path], architecture: str, say: Say) -> None:
        self._skopeo, self._archives, self._architecture, self._say = skopeo, archives, architecture, say

    def look(self, images: list[Image]) -> list[Image]:
        """Returns the images with digest and state."""
        with concurrent.futures.ThreadPoolExecutor(_LOOK_THREADS) as pool:
            return list(pool.map(self._looked, images))

    def copy(self, images: list[Image]) -> list[Image]:
        """Copies those that are missing; returns all, with what became of them."""
        todo = [entry for entry in images if can_be_copied(entry)]
        with concurrent.futures.ThreadPoolExecutor(_COPY_THREADS) as pool:
            done = dict(zip(map(id, todo), pool.map(self._copied, todo), strict=True))
        return [done.get(id(entry), entry) for entry in images]

    def _looked(self, entry: Image) -> Image:
        entry = self._with_digest(entry)
        if not entry.target or not self._skopeo:
            return entry
        try:
            there = manifests.digest(self._skopeo.manifest(entry.target, mirror=True))
        except ProgramError as error:
            if error.not_there:
                return dataclasses.replace(entry, state=MISSING)
            return dataclasses.replace(entry, state=FAILED, note=f"the mirror: {error}")
        # Without the source's digest, as in a place without a way out, the same name has to be enough.
        return dataclasses.replace(entry, state=PRESENT if entry.digest in ("", there) else MISSING, digest=entry.digest or there)

    def _with_digest(self, entry: Image) -> Image:
        try:
            if entry.origin == BUILT:
                archive = self._archives.get(entry.built)
                if not (archive and archive.is_file()):
                    return dataclasses.replace(entry, note=f"not built here: `make up` builds image/{entry.built}")
                return dataclasses.replace(entry, digest=manifests.archive_digest(archive))
            if entry.source and self._skopeo:
                found = manifests.digest_for(self._skopeo.manifest(entry.source), self._architecture)
                return dataclasses.replace(entry, digest=found)
        except (ProgramError, ManifestError) as error:
            return dataclasses.replace(entry, note=f"the source: {error}")
        return entry

    def _copied(self, entry: Image) -> Image:
        source = f"oci-archive:{self._archives[entry.built]}" if entry.origin == BUILT else f"docker://{entry.source}"
        self._say(f"copying {entry.source} to {entry.target}")
        try:
            self._skopeo.copy(source, entry.target)
        except ProgramError as error:
            return dataclasses.replace(entry, state=FAILED, note=f"not copied: {error}")
        return dataclasses.replace(entry, state=PRESENT)


def can_be_copied(entry: Image) -> bool:
    """Tells whether an image is missing in the mirror and has a source that was found."""
    return entry.state == MISSING and bool(entry.source and entry.digest)


class Charts:
    """The charts of a mirror.

    Args:
        helm: None when there is no Helm; then charts are only listed.
        say: takes a line of progress.
    """

    def __init__(self, helm: Helm | None, say: Say) -> None:
        self._helm, self._say = helm, say

    def look(self, entry: Chart) -> Chart:
        """Returns the chart with its state."""
        if entry.state != UNKNOWN or not entry.target:
            return entry
        if not entry.target.startswith("oci://"):
            return dataclasses.replace(entry, state=PRESENT if Path(entry.target).is_file() else MISSING)
        if not self._helm:
            return entry
        try:
            return dataclasses.replace(entry, state=PRESENT if self._helm.has(entry.target) else MISSING)
        except ProgramError as error:
            return dataclasses.replace(entry, state=FAILED, note=f"the mirror: {error}")

    def copy(self, entry: Chart) -> Chart:
        """Copies a chart that is missing; returns it with what became of it."""
        if entry.state != MISSING or not self._helm:
            return entry
        self._say(f"copying chart {entry.name} {entry.version} to {entry.target}")
        try:
            with tempfile.TemporaryDirectory(prefix="openmlops-chart-") as scratch:
                file = self.pulled(entry, Path(scratch))
                if entry.target.startswith("oci://"):
                    self._helm.push(file, chart_place(entry.target)[0].rpartition("/")[0])
                else:
                    _put(file, Path(entry.target))
        except (ProgramError, OSError) as error:
            return dataclasses.replace(entry, state=FAILED, note=f"not copied: {error}")
        return dataclasses.replace(entry, state=PRESENT)

    def pulled(self, entry: Chart, folder: Path) -> Path:
        """Pulls a chart from where platform.lock.yml has it."""
        found = chart_source.resolve("upstream", {"chart": {"name": entry.name, "version": entry.version, "repository": entry.repository}},
                                     folder)
        return self._helm.pull(str(found["ref"]), entry.version, found["repo_url"], folder)


def _put(file: Path, target: Path) -> None:
    """Puts a file to its place, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as stream:
        try:
            stream.write(file.read_bytes())
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.replace(stream.name, target)
        except BaseException:
            os.unlink(stream.name)
            raise
