# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be built: read from cluster/<name>/build.yml and images/<name>/image.yml.

Both files are small and strict: an unknown or missing key is an error that names the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError

BINARY = "binary"
IMAGE = "image"
FILE = "file"
KINDS = (BINARY, FILE, IMAGE)


@dataclass(frozen=True)
class ModuleFile:
    """A file that lies in a Go module and is copied out of it.

    Attributes:
        module: path of the Go module, required in the go.mod beside build.yml.
        path: the file's path inside the module.
        name: the name under which it is handed out.
    """

    module: str
    path: str
    name: str


@dataclass(frozen=True)
class WheelFile:
    """A file that lies in a Python package and is copied out of its wheel.

    Attributes:
        package: name of the package, pinned in the requirements.txt beside image.yml.
        path: the file's path inside the wheel.
        name: the name under which it is handed out.
    """

    package: str
    path: str
    name: str


@dataclass(frozen=True)
class Program:
    """One Go program.

    Attributes:
        name: name of its folder below cluster/.
        folder: that folder; holds go.mod, go.sum, build.yml and, when the main package is our own, main.go.
        package: Go package of the program, ``.`` for our own.
        version: what the program reports as its version.
        stamp: Go variables set at link time.
        files: files of its modules that are handed out with it.
        after: name of a program that shares most of its packages and should be built first, or "".
        estimate: seconds that a cold build takes on two cores; only orders the queue.
    """

    name: str
    folder: Path
    package: str
    version: str
    licence: str
    source: str
    estimate: int
    stamp: dict[str, str] = field(default_factory=dict)
    files: tuple[ModuleFile, ...] = ()
    after: str = ""

    @property
    def go_minimum(self) -> tuple[int, ...]:
        """Least Go version that go.mod asks for, for instance ``(1, 25, 0)``."""
        match = re.search(r"^go\s+([0-9.]+)", (self.folder / "go.mod").read_text(), re.MULTILINE)
        return tuple(int(part) for part in match.group(1).split(".")) if match else (1, 24)


@dataclass(frozen=True)
class Image:
    """One container image.

    Attributes:
        name: name of its folder below images/.
        folder: that folder; holds Containerfile, image.yml and the files that the Containerfile copies.
        parent: name of the image given to the Containerfile as BASE, or "".
        binaries: programs put into the folder bin/ of the build context.
        rootfs: whether BASE is a root file system made by debootstrap.
        tag_prefix: text before the hash in the tag.
        files: files of its Python packages that are handed out with it.
        estimate: seconds that a cold build takes on two cores; only orders the queue.
    """

    name: str
    folder: Path
    title: str
    version: str
    licence: str
    source: str
    estimate: int
    parent: str = ""
    binaries: tuple[str, ...] = ()
    rootfs: bool = False
    tag_prefix: str = ""
    files: tuple[WheelFile, ...] = ()


def split(artifact: str) -> tuple[str, str]:
    """Split ``kind/name``.

    Raises:
        BuildError: it is not of that form.
    """
    kind, slash, name = artifact.partition("/")
    if not slash or kind not in KINDS or not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise BuildError(f"{artifact!r} is not an artifact: write binary/NAME, file/NAME or image/NAME")
    return kind, name


def names(root: Path, kind: str) -> list[str]:
    """Names of everything of a kind that the collection in *root* can build, sorted."""
    pattern = "images/*/image.yml" if kind == IMAGE else "cluster/*/build.yml"
    found = sorted(path.parent.name for path in root.glob(pattern))
    if kind != FILE:
        return found
    images = [name for name in names(root, IMAGE) if image(root, name).files]
    return sorted([name for name in found if program(root, name).files] + images)


def has_program(root: Path, name: str) -> bool:
    """Whether ``file/<name>`` means the files of a Go program, not those of an image."""
    return (root / "cluster" / name / "build.yml").is_file()


def program(root: Path, name: str) -> Program:
    """Read cluster/*name*/build.yml.

    Raises:
        BuildError: there is no such program, or its description is wrong.
    """
    path = root / "cluster" / name / "build.yml"
    data = _read(path, f"binary/{name}", lambda: names(root, BINARY))
    _check_keys(path, data, {"package", "version", "licence", "source", "estimate"}, {"stamp", "files", "after"})
    version = str(data["version"])
    return Program(
        name=name,
        folder=path.parent,
        package=str(data["package"]),
        version=version,
        licence=str(data["licence"]),
        source=str(data["source"]),
        estimate=int(data["estimate"]),
        stamp={key: str(value).format(version=version) for key, value in data.get("stamp", {}).items()},
        files=tuple(
            ModuleFile(entry["module"], entry["path"].format(version=version), entry["as"].format(version=version))
            for entry in data.get("files", [])
        ),
        after=str(data.get("after", "")),
    )


def image(root: Path, name: str) -> Image:
    """Read images/*name*/image.yml.

    Raises:
        BuildError: there is no such image, or its description is wrong.
    """
    path = root / "images" / name / "image.yml"
    data = _read(path, f"image/{name}", lambda: names(root, IMAGE))
    _check_keys(
        path,
        data,
        {"title", "version", "licence", "source", "estimate"},
        {"from", "binaries", "rootfs", "tag_prefix", "files"},
    )
    return Image(
        name=name,
        folder=path.parent,
        title=str(data["title"]),
        version=str(data["version"]),
        licence=str(data["licence"]),
        source=str(data["source"]),
        estimate=int(data["estimate"]),
        parent=str(data.get("from", "")),
        binaries=tuple(data.get("binaries", [])),
        rootfs=bool(data.get("rootfs", False)),
        tag_prefix=str(data.get("tag_prefix", "")),
        files=tuple(WheelFile(entry["package"], entry["path"], entry["as"]) for entry in data.get("files", [])),
    )


def _read(path: Path, artifact: str, known: Any) -> dict[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise BuildError(f"there is no {artifact}; known are: {', '.join(known())}") from None
    data = yaml_load(text)
    if not isinstance(data, dict):
        raise BuildError(f"{path}: a mapping is expected")
    return data


def _check_keys(path: Path, data: dict[str, Any], required: set[str], optional: set[str]) -> None:
    missing = sorted(required - set(data))
    unknown = sorted(set(data) - required - optional)
    if missing:
        raise BuildError(f"{path}: missing: {', '.join(missing)}")
    if unknown:
        raise BuildError(f"{path}: unknown: {', '.join(unknown)}")
