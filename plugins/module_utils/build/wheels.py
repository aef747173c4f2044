# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies files out of the Python packages that an image is made of: a release's own manifests, which are never committed."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.process import Runner
from ansible_collections.openmlops.platform.plugins.module_utils.build.spec import Image
from ansible_collections.openmlops.platform.plugins.module_utils.build.store import put


def pinned(requirements: str, package: str) -> str:
    """Returns a package's entry in the text of a requirements file: its version and its hashes.

    Raises:
        BuildError: there is none.
    """
    found = re.search(rf"^{re.escape(package)}==\S+(?: \\\n +--hash=\S+)+", requirements, re.MULTILINE)
    if not found:
        raise BuildError(f"requirements.txt pins no {package} with hashes: run `make requirements`")
    return found[0]


def copy_files(image: Image, targets: dict[str, Path], scratch: Path, runner: Runner) -> None:
    """Copy files out of an image's Python packages.

    Args:
        image: whose files to copy.
        targets: where each goes, by name.
        scratch: folder for downloads and unfinished copies.
        runner: runs pip, which checks the packages against their hashes.
    """
    text = (image.folder / "requirements.txt").read_text()
    for package in dict.fromkeys(file.package for file in image.files):
        wanted, folder = scratch / f"{package}.txt", scratch / package
        wanted.write_text(pinned(text, package) + "\n")
        runner.run([
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
            "--only-binary=:all:", "--require-hashes", "--requirement", str(wanted), "--dest", str(folder),
        ])
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for file in image.files:
                if file.package != package:
                    continue
                try:
                    content = archive.read(file.path)
                except KeyError:
                    raise BuildError(f"file/{image.name}: the package {package} holds no {file.path}") from None
                copy = scratch / file.name
                copy.write_bytes(content)
                put(copy, targets[file.name])
