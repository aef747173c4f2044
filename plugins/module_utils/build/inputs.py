# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of what an artifact is made of. They name the artifact, so that nothing is built twice.

Nothing is run and only small files are read: the hashes of everything together take a few milliseconds. The version of
the Go toolchain is left out on purpose, so that the name of an image is known on a machine without Go.
"""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build import spec

REPOSITORY = "localhost/openmlops"
# Raised when the builder itself makes something different from the same inputs.
RECIPE = 1
HASH_LENGTH = 12


def cache_dir(environ: dict[str, str] | None = None) -> Path:
    """The cache that everything built is kept in: $OPENMLOPS_CACHE, or openmlops in the user's cache folder."""
    env = os.environ if environ is None else environ
    if env.get("OPENMLOPS_CACHE"):
        return Path(env["OPENMLOPS_CACHE"]).expanduser().absolute()
    return Path(env.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()).absolute() / "openmlops"


def suite(os_release: Path = Path("/etc/os-release")) -> str:
    """Code name of this machine's Debian (or relative), for instance ``bookworm``; "" where there is none."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        return ""
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("VERSION_CODENAME", "").strip("\"'")


class Inputs:
    """Hashes of the artifacts of one collection. Reads each folder once.

    Args:
        root: root of the collection.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hashes: dict[str, str] = {}
        self._programs: dict[str, spec.Program] = {}
        self._images: dict[str, spec.Image] = {}

    def program(self, name: str) -> spec.Program:
        """The program *name*, read once."""
        if name not in self._programs:
            self._programs[name] = spec.program(self.root, name)
        return self._programs[name]

    def image(self, name: str) -> spec.Image:
        """The image *name*, read once."""
        if name not in self._images:
            self._images[name] = spec.image(self.root, name)
        return self._images[name]

    def files(self, name: str) -> tuple[spec.ModuleFile, ...] | tuple[spec.WheelFile, ...]:
        """The files that ``file/<name>`` hands out: of a Go program's modules, or of an image's Python packages."""
        return self.program(name).files if spec.has_program(self.root, name) else self.image(name).files

    def needs(self, artifact: str) -> list[str]:
        """What must be there before *artifact* can be built."""
        kind, name = spec.split(artifact)
        if kind == spec.IMAGE:
            image = self.image(name)
            parent = [f"{spec.IMAGE}/{image.parent}"] if image.parent else []
            files = [f"{spec.FILE}/{name}"] if image.files else []
            return parent + [f"{spec.BINARY}/{binary}" for binary in image.binaries] + files
        if kind == spec.FILE and not spec.has_program(self.root, name):
            return []
        program = self.program(name)
        return [f"{spec.FILE}/{name}"] if kind == spec.BINARY and program.files else []

    def hash(self, artifact: str) -> str:
        """Hash of everything that *artifact* is made of: 12 hexadecimal digits."""
        if artifact not in self._hashes:
            self._hashes[artifact] = self._compute(artifact)
        return self._hashes[artifact]

    def reference(self, name: str) -> dict[str, str]:
        """Name of the image *name*: ``repository``, ``tag``, and both as ``reference``."""
        repository = f"{REPOSITORY}/{name}"
        tag = self.image(name).tag_prefix + self.hash(f"{spec.IMAGE}/{name}")
        return {"repository": repository, "tag": tag, "reference": f"{repository}:{tag}"}

    def _compute(self, artifact: str) -> str:
        kind, name = spec.split(artifact)
        digest = hashlib.sha256(f"{RECIPE} {artifact} {platform.machine()}\n".encode())
        if kind == spec.IMAGE:
            image = self.image(name)
            digest.update(folder_hash(image.folder).encode())
            if image.rootfs:
                digest.update(suite().encode())
        elif kind == spec.FILE and not spec.has_program(self.root, name):
            digest.update(folder_hash(self.image(name).folder).encode())
        else:
            digest.update(folder_hash(self.program(name).folder).encode())
        for needed in self.needs(artifact):
            # The files come from the same folder as the program or image and so are in the hash already.
            if not needed.startswith(f"{spec.FILE}/"):
                digest.update(self.hash(needed).encode())
        return digest.hexdigest()[:HASH_LENGTH]


def folder_hash(folder: Path) -> str:
    """Hash of the names, the executable bits and the contents of all files below *folder*."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        relative = path.relative_to(folder).as_posix()
        if relative.startswith("bin/") or "__pycache__" in relative:
            continue
        content = path.read_bytes()
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"{relative}\0{int(executable)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def image_reference(root: Path | str, name: str) -> dict[str, str]:
    """Name of an image, without building it.

    Args:
        root: root of the collection.
        name: name of a folder below images/.

    Returns:
        ``repository``, ``tag`` and ``reference`` (both with a colon between).

    Raises:
        BuildError: there is no such image.
    """
    return Inputs(Path(root)).reference(name)
