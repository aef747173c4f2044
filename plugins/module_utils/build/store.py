# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie in the cache, and how they get there whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build import spec
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.inputs import Inputs

# Room that builds take while they run, by the seconds that they take: measured 7 to 12 MiB, caches included.
SPACE_PER_SECOND = 10 * 1024**2
LEAST_FREE = 1024**3


class Store:
    """The cache folder.

    Args:
        cache: its path.
        inputs: gives the hashes that are part of the names.
    """

    def __init__(self, cache: Path, inputs: Inputs) -> None:
        self.cache = cache
        self.inputs = inputs
        self.go = cache / "go"
        self.containers = cache / "containers"

    def paths(self, artifact: str) -> dict[str, Path]:
        """The files that make up an artifact, by the names under which they are handed out."""
        kind, name = spec.split(artifact)
        identity = self.inputs.hash(artifact)
        if kind == spec.IMAGE:
            return {name: self.cache / "images" / f"{name}-{identity}.tar"}
        if kind == spec.BINARY:
            return {name: self.cache / "bin" / f"{name}-{identity}"}
        files = self.inputs.files(name)
        if not files:
            raise BuildError(f"{artifact}: cluster/{name}/build.yml or images/{name}/image.yml lists no files")
        return {file.name: self.cache / "files" / f"{name}-{identity}" / file.name for file in files}

    def ready(self, artifact: str) -> bool:
        """Whether the artifact is there, whole."""
        return all(path.is_file() for path in self.paths(artifact).values())

    def log(self, artifact: str) -> Path:
        """The file that takes what the artifact's build prints."""
        return self.cache / "logs" / f"{artifact.replace('/', '-')}.log"

    def lock(self, artifact: str) -> Path:
        """The artifact's lock file."""
        return self.cache / "locks" / f"{artifact.replace('/', '-')}.lock"

    @contextmanager
    def scratch(self, artifact: str) -> Iterator[Path]:
        """A fresh folder for one build, on the disk of the cache. What a killed build left there is removed first.

        The caller holds the artifact's lock.
        """
        folder = self.cache / "tmp" / artifact.replace("/", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check_space(self, seconds: int) -> None:
        """Raise BuildError when the disk has too little room for builds that take *seconds* in all."""
        self.cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.cache).free
        needed = LEAST_FREE + seconds * SPACE_PER_SECOND
        if free < needed:
            raise BuildError(
                f"the disk of {self.cache} is nearly full: {free / 1024**3:.1f} GiB are free and what is to be built "
                f"needs about {needed / 1024**3:.1f} GiB. Free some space, or set OPENMLOPS_CACHE to a larger disk"
            )


def put(source: Path, target: Path) -> None:
    """Move a finished file to its place, so that it is there whole or not at all, also after a power cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(source, target)
