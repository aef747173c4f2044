# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Order, progress and failure of builds that run side by side."""

from __future__ import annotations

import shutil
import threading
import time

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build import graph
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError, Cancelled
from ansible_collections.openmlops.platform.plugins.module_utils.build.inputs import Inputs
from ansible_collections.openmlops.platform.plugins.module_utils.build.schedule import Scheduler


def nodes(**needs: str) -> dict[str, graph.Node]:
    return {
        f"binary/{name}": graph.Node(f"binary/{name}", 1, {f"binary/{needed}" for needed in text.split()})
        for name, text in needs.items()
    }


def test_closure_and_longest_path(root):
    assert graph.closure(Inputs(root), ["image/top"]) == ["image/bottom", "binary/hello", "image/top"]
    plan = graph.plan(Inputs(root), ["image/bottom", "binary/hello", "image/top"])
    assert {name: node.path for name, node in plan.items()} == {"image/bottom": 40, "binary/hello": 30, "image/top": 20}


def test_program_that_shares_packages_waits_for_the_other(root):
    shutil.copytree(root / "cluster/hello", root / "cluster/second")
    with (root / "cluster/second/build.yml").open("a") as stream:
        stream.write("after: hello\n")
    assert graph.plan(Inputs(root), ["binary/second", "binary/hello"])["binary/second"].needs == {"binary/hello"}
    assert graph.plan(Inputs(root), ["binary/second"])["binary/second"].needs == set()


def test_a_compiler_and_a_download_run_side_by_side():
    long = graph.Node("binary/long", 100, path=100)
    other = graph.Node("binary/other", 50, path=50)
    image = graph.Node("image/short", 5, path=5)
    assert graph.choose([long, other, image], []) is long
    assert graph.choose([other, image], [long]) is image
    assert graph.choose([other], [long]) is other
    assert graph.choose([], [long]) is None


def test_order_and_number_of_workers():
    ended: list[str] = []
    running = 0
    most = 0
    guard = threading.Lock()

    def job(name: str, cancel: threading.Event) -> None:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with guard:
            running -= 1
            ended.append(name[7:])

    seconds = Scheduler(nodes(a="", b="a", c="a", d="b c", e=""), job, lambda line: None).run()
    assert most == 2
    assert set(seconds) == {f"binary/{name}" for name in "abcde"}
    assert ended.index("a") < ended.index("b") < ended.index("d") and ended.index("c") < ended.index("d")


def test_progress_names_what_still_runs():
    lines: list[str] = []
    Scheduler(nodes(a=""), lambda name, cancel: time.sleep(0.3), lines.append, quiet=0.1).run()
    assert lines[0] == "build: binary/a started (0 of 1; running: binary/a 0 s)"
    assert "build: working (0 of 1; running: binary/a 0 s)" in lines
    assert lines[-1] == "build: binary/a done in 0 s (1 of 1)"


def test_first_failure_stops_the_rest():
    seen: list[str] = []

    def job(name: str, cancel: threading.Event) -> None:
        seen.append(name)
        if name == "binary/bad":
            raise BuildError("bad: the reason")
        if cancel.wait(5):
            raise Cancelled(name)

    start = time.monotonic()
    with pytest.raises(BuildError, match="bad: the reason"):
        Scheduler(nodes(bad="", slow="", later="slow"), job, lambda line: None).run()
    assert time.monotonic() - start < 2
    assert "binary/later" not in seen


def test_unexpected_error_names_the_artifact():
    def job(name: str, cancel: threading.Event) -> None:
        raise ValueError("oops")

    with pytest.raises(BuildError, match="binary/a: ValueError: oops"):
        Scheduler(nodes(a=""), job, lambda line: None).run()


def test_work_that_nobody_waits_for_is_ended():
    stopped: list[bool] = []

    def job(name: str, cancel: threading.Event) -> None:
        stopped.append(cancel.wait(5))
        raise Cancelled(name)

    with pytest.raises(Cancelled, match="abandoned"):
        Scheduler(nodes(a=""), job, lambda line: None, abandoned=lambda: True).run()
    assert stopped == [True]
