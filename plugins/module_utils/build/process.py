# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the programs that a build needs, keeps what they print, and turns their failures into advice."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import (
    BuildError,
    Cancelled,
    ProgramFailed,
)

TAIL_LINES = 15
# Where programs are looked for when PATH, for instance that of a sudo session, leaves their folders out.
EXTRA_PATH = ("/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")

ADVICE = (
    (
        r"no space left on device|disk quota exceeded",
        "the disk is full: free some space, or set OPENMLOPS_CACHE to a larger disk",
    ),
    (
        r"missing go\.sum entry|updates to go\.mod needed",
        "go.mod and go.sum do not fit together: run `go mod tidy` in the program's folder",
    ),
    (
        r"checksum mismatch|SECURITY ERROR|DO NOT MATCH THE HASHES|hash(es)? .*mismatch",
        "a download is not what was pinned: do not build it before you know why",
    ),
    (
        r"signal: killed|out of memory|cannot allocate memory",
        "the machine ran out of memory: build with one worker, or give it more",
    ),
    (
        r"no such host|temporary failure (in name resolution|resolving)|could not resolve|name or service not known|"
        r"network is unreachable|connection (refused|timed out|reset)|i/o timeout|dial tcp|max retries exceeded|"
        r"couldn't download|failed getting release file|unable to (connect|fetch)|failed to fetch|no matching distribution found|TLS handshake",
        "a package registry was not reached: check the network, and the proxy and mirror settings of go, pip and apt",
    ),
    (r"executable file not found|command not found", "a program is missing"),
    (r"operation not permitted|permission denied", "rights are missing: images are built as root"),
)


def find_program(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Path of the program *name*, or None."""
    env = os.environ if environ is None else environ
    return shutil.which(name, path=os.pathsep.join([env.get("PATH", ""), *EXTRA_PATH]))


def advice(output: str) -> str:
    """What to do about a failure, judged by what the program printed; "" when nothing is known."""
    for pattern, text in ADVICE:
        if re.search(pattern, output, re.IGNORECASE):
            return text
    return ""


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last *lines* lines of a file, reading no more than its last 64 KiB."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 65536))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])


class Runner:
    """Runs programs for one artifact.

    Args:
        artifact: named in errors.
        log: takes what the programs print; started anew.
        cancel: set when the work must stop; the running program is then ended.
    """

    def __init__(self, artifact: str, log: Path, cancel: threading.Event | None = None) -> None:
        self.artifact = artifact
        self.log = log
        self.cancel = cancel or threading.Event()
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        private_mounts: bool = False,
    ) -> str:
        """Run a program to its end.

        Args:
            argv: the program and its arguments.
            env: its whole environment; ours by default.
            cwd: its folder; ours by default.
            private_mounts: give it a mount namespace, so that nothing that it mounts outlives it.

        Returns:
            What it printed on standard output and error.

        Raises:
            ProgramFailed: it ended with an error.
            Cancelled: the work was stopped.
        """
        with self.log.open("ab") as stream:
            stream.write(f"$ {shlex.join(argv)}\n".encode())
            stream.flush()
            skip = stream.tell()
            # Its own session, so that a stop reaches its children too; and it dies with us, also when we are killed.
            # It runs on the controller, where there is no module whose run_command could be called.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [*_guard(private_mounts), *argv],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
            )
            self._wait(process)
        with self.log.open("rb") as stream:
            stream.seek(skip)
            output = stream.read().decode(errors="replace")
        if self.cancel.is_set() and process.returncode != 0:
            raise Cancelled(f"{self.artifact}: stopped")
        if process.returncode != 0:
            raise self._failure(argv, process.returncode)
        return output

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        stopped = False
        try:
            while True:
                try:
                    process.wait(timeout=0.2)
                    return
                except subprocess.TimeoutExpired:
                    if self.cancel.is_set():
                        _signal(process, signal.SIGKILL if stopped else signal.SIGTERM)
                        stopped = True
        except BaseException:
            _signal(process, signal.SIGKILL)
            process.wait()
            raise

    def _failure(self, argv: Sequence[str], code: int) -> ProgramFailed:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        text = f"{self.artifact}: {Path(argv[0]).name} {how}"
        # Only the end is judged: a download that was tried again and then worked is not the reason.
        hint = advice(tail(self.log, 2 * TAIL_LINES))
        if hint:
            text += f": {hint}"
        return ProgramFailed(self.artifact, f"{text}.\nLast lines of {self.log}:\n{tail(self.log)}", self.log)


def _guard(private_mounts: bool) -> list[str]:
    prefix = []
    setpriv = find_program("setpriv")
    if setpriv:
        prefix += [setpriv, "--pdeathsig", "KILL", "--"]
    if private_mounts:
        unshare = find_program("unshare")
        if not unshare:
            raise BuildError("the program unshare (Debian package util-linux) is missing")
        prefix += [unshare, "--mount", "--propagation", "private", "--"]
    return prefix


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
