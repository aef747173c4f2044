# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time works on a cluster; the others wait and say for whom."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError


@contextlib.contextmanager
def hold(path: Path, what: str, say: Callable[[str], None], seconds: float = 600.0) -> Iterator[None]:
    """Hold the lock *path*. The kernel lets go of it when the holder dies, so it is never stale.

    Args:
        path: the lock file; holds the pid and start time of its holder, for people. It is removed in the end.
        what: what the lock guards, for the message.
        say: called with a line when another run holds it.
        seconds: how long to wait for it.

    Raises:
        NodeError: another run held it all the time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _acquire(path, what, say, time.monotonic() + seconds)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        handle.close()


def _acquire(path: Path, what: str, say: Callable[[str], None], end: float):
    """Open and lock *path*; the returned file must be kept open."""
    told = False
    while True:
        handle = path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = _holder(handle.read())
            handle.close()
            if time.monotonic() > end:
                raise NodeError(f"{what} is still being worked on by {holder}. Let it end, or end it.") from None
            if not told:
                say(f"waiting: {what} is being worked on by {holder}")
                told = True
            time.sleep(0.2)
            continue
        # The last holder may have removed the file between our open and our lock.
        try:
            same = os.stat(path).st_ino == os.fstat(handle.fileno()).st_ino
        except FileNotFoundError:
            same = False
        if same:
            break
        handle.close()
    handle.truncate(0)
    json.dump({"pid": os.getppid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}, handle)
    handle.flush()
    return handle


def _holder(text: str) -> str:
    """Words for the holder that a lock file names."""
    try:
        value = json.loads(text)
        return f"process {value['pid']}, since {value['since']}"
    except (ValueError, KeyError, TypeError):
        return "another run"
