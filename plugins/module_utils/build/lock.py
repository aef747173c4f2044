# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One builder at a time for each artifact, also between processes."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import Cancelled


@contextmanager
def locked(path: Path, what: str, say: Callable[[str], None], cancel: threading.Event) -> Iterator[bool]:
    """Hold the lock file *path*. The kernel frees it when the holder dies, however it dies.

    Args:
        path: the lock file, made when missing; holds the process id of the holder.
        what: what is locked, for the line that tells of waiting.
        say: takes that line.
        cancel: ends the waiting.

    Yields:
        Whether another process held it first, so that the work may be done already.

    Raises:
        Cancelled: the work was stopped while waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    waited = False
    with path.open("a+") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited:
                    say(f"build: {what} is being built by process {holder(path) or 'unknown'}; waiting for it")
                waited = True
                if cancel.wait(0.3):
                    raise Cancelled(f"{what}: stopped while waiting") from None
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield waited


def holder(path: Path) -> int | None:
    """Process id written in a lock file, or None."""
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):
        return None
