# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a cluster, found in /proc. There is no pid file, so none can be stale or missing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.errors import NodeError
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout

PROC = Path("/proc")
# What process 1 inside is until it becomes the supervisor.
SHELL = "/bin/bash"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Running:
    """A running node.

    Args:
        outer: host pid of ``unshare``, which holds the namespaces; killing it kills everything inside.
        init: host pid of process 1 inside.
    """

    outer: int
    init: int

    def alive(self) -> bool:
        """Whether process 1 inside still runs."""
        return stat(self.init)[1] not in ("", "Z", "X")


def command(layout: Layout) -> list[str]:
    """The command line of a cluster's outermost process; it names the cluster's folder and so marks it."""
    return ["unshare", "--mount", "--propagation", "private", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child",
            "--mount-proc", "--", SHELL, str(layout.init)]


def find(layout: Layout, proc: Path = PROC) -> Running | None:
    """The running node of a cluster, or None."""
    wanted = ("\0".join(command(layout)) + "\0").encode()
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cmdline").read_bytes() != wanted:
                continue
        except OSError:
            continue
        child = _child(int(entry.name), proc)
        # unshare's child has the same command line until it starts its own program.
        if child:
            return Running(int(entry.name), child)
    return None


def namesake(layout: Layout, proc: Path = PROC) -> str:
    """The folder of a running cluster of the same name in another state folder, "" when there is none."""
    head = ("\0".join(command(layout)[:-1]) + "\0").encode()
    tail_of_path = f"/{layout.name}/etc/init".encode()
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        script = line.removeprefix(head).rstrip(b"\0")
        if line.startswith(head) and script.endswith(tail_of_path) and script != str(layout.init).encode():
            return script.removesuffix(b"/etc/init").decode(errors="replace")
    return ""


def _child(pid: int, proc: Path = PROC) -> int:
    """The first child of *pid*, 0 when it has none."""
    for entry in proc.iterdir():
        if entry.name.isdigit() and stat(int(entry.name), proc)[0] == pid:
            return int(entry.name)
    return 0


def program(pid: int, proc: Path = PROC) -> str:
    """The first word of the command line of *pid*, "" when it is gone."""
    try:
        return (proc / str(pid) / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


def stat(pid: int, proc: Path = PROC) -> tuple[int, str, int]:
    """Parent, state letter and start time (in clock ticks since boot) of *pid*; (0, "", 0) when it is gone."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, "", 0
    return int(fields[1]), fields[0], int(fields[19])


def start(layout: Layout, environment: dict[str, str] | None = None) -> Running:
    """Start the namespaces of a cluster with its init script, detached from this process.

    Raises:
        NodeError: the namespaces cannot be made.
    """
    log = layout.logs / "init.log"
    with log.open("wb") as output:
        environment = {"PATH": SEARCH_PATH, "HOME": str(layout.root), "LANG": "C.UTF-8", **(environment or {})}
        # It outlives this process, which is the controller's.
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
            command(layout), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/",
            env=environment, start_new_session=True, close_fds=True,
        )
    end = time.monotonic() + 5
    while time.monotonic() < end:
        running = find(layout)
        if running and namespace(running.init, "net") not in ("", namespace(os.getpid(), "net")):
            return running
        if process.poll() is not None:
            raise NodeError(f"The node's namespaces cannot be made: {tail(log) or 'no message'}")
        time.sleep(0.01)
    process.kill()
    raise NodeError(f"The node's namespaces did not come up within 5 s: {tail(log) or 'no message'}")


def namespace(pid: int, kind: str) -> str:
    """Identity of the *kind* namespace of *pid*, "" when it is gone."""
    try:
        return os.readlink(PROC / str(pid) / "ns" / kind)
    except OSError:
        return ""


def enter(running: Running, arguments: list[str], **options) -> subprocess.CompletedProcess:
    """Run a program inside the node's mounts, network and host name; options are those of subprocess.run."""
    options.setdefault("capture_output", True)
    options.setdefault("env", {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"})
    prefix = ["nsenter", f"--target={running.init}", "--mount", "--net", "--uts", "--ipc", "--"]
    # pylint: disable-next=ansible-bad-function  # run on the controller
    return subprocess.run([*prefix, *arguments], check=False, **options)


def container_inits(pids: set[int], proc: Path = PROC) -> list[int]:
    """Those of *pids* that are process 1 of a container, which ends with them."""
    result = []
    for pid in pids:
        try:
            lines = (proc / str(pid) / "status").read_text().splitlines()
        except OSError:
            continue
        chain = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
        if len(chain) > 2 and chain[-1] == "1":
            result.append(pid)
    return result


def send(pids: list[int] | set[int], number: signal.Signals) -> None:
    """Send a signal to each of *pids* that still runs."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def wait_gone(pids: set[int], seconds: float) -> set[int]:
    """Wait until *pids* are gone; returns those that are not, zombies left out."""
    end = time.monotonic() + seconds
    while True:
        left = {pid for pid in pids if stat(pid)[1] not in ("", "Z", "X")}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def tail(path: Path, lines: int = 3) -> str:
    """The last *lines* lines of a log, in one line."""
    try:
        with path.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - 4096))
            text = handle.read().decode(errors="replace").strip()
    except OSError:
        return ""
    return " | ".join(text.splitlines()[-lines:])[-1500:]
