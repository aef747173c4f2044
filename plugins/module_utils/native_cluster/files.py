# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, content: str | bytes, mode: int = 0o600) -> bool:
    """Write *content* to *path* unless it is there already; a reader never sees half of it.

    Returns:
        Whether the file had to be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        if path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
            return False
    except OSError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as handle:
        os.fchmod(descriptor, mode)
        handle.write(data)
        handle.flush()
        os.fsync(descriptor)
    partial.replace(path)
    return True


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in *path*; empty when there is none or it was never finished."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> bool:
    """Write *value* as readable JSON; returns whether the file changed."""
    return write(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def place(source: Path, target: Path) -> bool:
    """Make *target* the same file as *source*: a hard link, or a copy on another file system.

    The node keeps its own name for its programs, so that clearing the cache cannot stop a component from coming back.

    Returns:
        Whether *target* was another file before.
    """
    wanted = source.stat()
    try:
        found = target.stat()
        if found.st_ino == wanted.st_ino and found.st_dev == wanted.st_dev:
            return False
        if (found.st_size, found.st_mtime_ns) == (wanted.st_size, wanted.st_mtime_ns):
            return False
    except OSError:
        pass
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        import shutil

        shutil.copy2(source, partial)
    partial.replace(target)
    return True
