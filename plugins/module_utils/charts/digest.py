# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a chart contains, as one number: the same for equal content, whatever packed it and when."""
from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path


def digest(chart: str | Path) -> str:
    """Digest of a chart's files: names and content, not dates, owners, modes or compression.

    chart: an unpacked chart's folder, or a .tgz archive of one.
    Returns 64 hex digits. A folder and a plain tar of it agree.
    Raises FileNotFoundError, and tarfile.TarError when a file is no archive.
    """
    chart = Path(chart)
    return digest_of(_archived(chart) if chart.is_file() else folder(chart))


def digest_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Digest of (path inside the chart, content) pairs, in whatever order they come."""
    total = hashlib.sha256()
    for path, content in sorted(files):
        total.update(f"{hashlib.sha256(content).hexdigest()}  {path}\n".encode())
    return total.hexdigest()


def folder(chart: Path) -> list[tuple[str, bytes]]:
    """Every file below the folder as (path inside it, content)."""
    if not chart.is_dir():
        raise FileNotFoundError(f"there is no chart at {chart}")
    return [(path.relative_to(chart).as_posix(), path.read_bytes()) for path in chart.rglob("*") if path.is_file()]


def _archived(archive: Path) -> list[tuple[str, bytes]]:
    files = []
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)  # None for folders and special files
            if content:
                # Helm packs everything below one folder named like the chart.
                files.append((member.name.partition("/")[2], content.read()))
    return files
