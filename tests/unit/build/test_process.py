# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that builds run: their output, their failures, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import Cancelled, ProgramFailed
from ansible_collections.openmlops.platform.plugins.module_utils.build.lock import holder, locked
from ansible_collections.openmlops.platform.plugins.module_utils.build.process import Runner, advice, find_program, tail


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner("binary/x", tmp_path / "logs/x.log")


def test_output_is_returned_and_logged(runner):
    assert runner.run(["sh", "-c", "echo out; echo err >&2"]) == "out\nerr\n"
    assert runner.log.read_text().startswith("$ sh -c ")


def test_failure_quotes_the_end_of_the_log_and_its_path(runner):
    with pytest.raises(ProgramFailed) as caught:
        runner.run(["sh", "-c", "seq 1 40; exit 3"])
    text = str(caught.value)
    assert "binary/x: sh ended with status 3" in text
    assert str(runner.log) in text
    assert text.splitlines()[-15:] == [str(number) for number in range(26, 41)]


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("write /tmp/x: no space left on device", "disk is full"),
        ("dial tcp: lookup registry.test: no such host", "not reached"),
        ("Could not connect: Connection timed out", "not reached"),
        ("E: Failed getting release file", "not reached"),
        ("missing go.sum entry for module", "go mod tidy"),
        ("go: x@v1: verifying: checksum mismatch", "not what was pinned"),
        ("compile: signal: killed", "out of memory"),
        ("sh: 1: gcc: command not found", "program is missing"),
        ("syntax error", ""),
    ],
)
def test_advice(output, word):
    assert word in advice(output)
    assert bool(advice(output)) == bool(word)


def test_stop_ends_the_program_and_its_children(tmp_path):
    cancel = threading.Event()
    runner = Runner("binary/x", tmp_path / "x.log", cancel)
    threading.Timer(0.3, cancel.set).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        runner.run(["sh", "-c", f"sleep 30 & echo $! > {tmp_path}/child; wait"])
    assert time.monotonic() - start < 5
    child = int((tmp_path / "child").read_text())
    time.sleep(0.2)
    assert not Path(f"/proc/{child}/stat").exists() or " Z " in Path(f"/proc/{child}/stat").read_text()


def test_program_dies_with_a_killed_builder(tmp_path):
    code = (
        "from pathlib import Path\n"
        "from ansible_collections.openmlops.platform.plugins.module_utils.build.process import Runner\n"
        f"Runner('x', Path({str(tmp_path / 'x.log')!r})).run(['sh', '-c', 'echo $$ > {tmp_path}/pid; exec sleep 30'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    for _attempt in range(100):
        time.sleep(0.05)
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)
    stat = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    assert not stat.exists() or " Z " in stat.read_text()


def test_tail_of_a_missing_file(tmp_path):
    assert tail(tmp_path / "none") == ""


def test_programs_outside_the_path_are_found(tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    assert find_program("tool", {"PATH": str(tmp_path)}) == str(tmp_path / "tool")
    assert find_program("no-such-tool", {"PATH": str(tmp_path)}) is None


def test_second_builder_waits_and_names_the_first(tmp_path):
    path = tmp_path / "locks/x.lock"
    lines: list[str] = []
    entered = threading.Event()
    release = threading.Event()
    waited: list[bool] = []

    def first() -> None:
        with locked(path, "image/x", lines.append, threading.Event()) as had_to_wait:
            waited.append(had_to_wait)
            entered.set()
            release.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(5)
    assert holder(path) == os.getpid()
    threading.Timer(0.5, release.set).start()
    with locked(path, "image/x", lines.append, threading.Event()) as had_to_wait:
        waited.append(had_to_wait)
    thread.join()
    assert waited == [False, True]
    assert lines == [f"build: image/x is being built by process {os.getpid()}; waiting for it"]


def test_waiting_can_be_stopped(tmp_path):
    path = tmp_path / "x.lock"
    cancel = threading.Event()
    cancel.set()
    with locked(path, "x", print, threading.Event()):
        with pytest.raises(Cancelled):
            with locked(path, "x", lambda line: None, cancel):
                pass
