# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the jobs of a graph, a few at a time, and tells how it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError, Cancelled
from ansible_collections.openmlops.platform.plugins.module_utils.build.graph import Node, choose

# A line that names what still runs is printed when nothing else was said for so many seconds.
QUIET = 30.0
# How often it is checked whether anyone still wants the result.
LOOK = 1.0

Job = Callable[[str, threading.Event], None]
Say = Callable[[str], None]


@dataclass
class _Running:
    node: Node
    thread: threading.Thread
    started: float


class Scheduler:
    """Builds a graph.

    Args:
        nodes: what to build, see graph.plan.
        job: builds one artifact; is given its name and an event that is set when it must stop.
        say: takes one line of progress.
        workers: how many jobs run at once.
        quiet: seconds after which running jobs are named again.
        abandoned: tells whether nobody waits for the result any more, so that the work is ended.
    """

    def __init__(
        self,
        nodes: dict[str, Node],
        job: Job,
        say: Say,
        workers: int = 2,
        quiet: float = QUIET,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> None:
        self.nodes = nodes
        self.job = job
        self.say = say
        self.workers = workers
        self.quiet = quiet
        self.abandoned = abandoned
        self.seconds: dict[str, float] = {}
        self._cancel = threading.Event()
        self._changed = threading.Condition()
        self._ended: list[tuple[str, BaseException | None]] = []
        self._running: dict[str, _Running] = {}
        self._said = 0.0

    def run(self) -> dict[str, float]:
        """Build everything.

        Returns:
            Seconds that each artifact took.

        Raises:
            BuildError: the first failure; what was still running has been stopped.
            Cancelled: nobody waits for the result any more.
        """
        waiting = dict(self.nodes)
        failure: BaseException | None = None
        self._said = time.monotonic()
        try:
            while self._running or (waiting and failure is None):
                while failure is None and len(self._running) < self.workers:
                    ready = [node for node in waiting.values() if node.needs <= set(self.seconds)]
                    node = choose(ready, [running.node for running in self._running.values()])
                    if node is None:
                        break
                    del waiting[node.artifact]
                    self._start(node)
                if self.abandoned():
                    raise Cancelled("the build was abandoned")
                for artifact, error in self._wait():
                    failure = self._finish(artifact, error, failure)
        except BaseException:
            self._stop()
            raise
        if failure is not None:
            raise failure
        return self.seconds

    def _start(self, node: Node) -> None:
        thread = threading.Thread(target=self._work, args=(node.artifact,), name=node.artifact, daemon=True)
        self._running[node.artifact] = _Running(node, thread, time.monotonic())
        thread.start()
        self._tell(f"{node.artifact} started")

    def _work(self, artifact: str) -> None:
        error: BaseException | None = None
        try:
            self.job(artifact, self._cancel)
        except BaseException as caught:  # handed to the main thread, which raises it
            error = caught
        with self._changed:
            self._ended.append((artifact, error))
            self._changed.notify()

    def _wait(self) -> list[tuple[str, BaseException | None]]:
        with self._changed:
            if not self._ended:
                self._changed.wait(min(LOOK, max(0.05, self._said + self.quiet - time.monotonic())))
            ended, self._ended = self._ended, []
        if not ended and time.monotonic() - self._said >= self.quiet:
            self._tell("working")
        return ended

    def _finish(
        self, artifact: str, error: BaseException | None, failure: BaseException | None
    ) -> BaseException | None:
        running = self._running.pop(artifact)
        seconds = time.monotonic() - running.started
        if error is None:
            self.seconds[artifact] = round(seconds, 1)
            self._tell(f"{artifact} done in {seconds:.0f} s")
            return failure
        if failure is not None or isinstance(error, Cancelled):
            return failure or error
        self._cancel.set()
        self._tell(f"{artifact} failed after {seconds:.0f} s")
        return error if isinstance(error, BuildError) else _wrap(artifact, error)

    def _stop(self) -> None:
        """The run was interrupted: end the jobs before the interruption goes on."""
        self._cancel.set()
        for running in self._running.values():
            running.thread.join(timeout=10)

    def _tell(self, what: str) -> None:
        self._said = time.monotonic()
        state = [f"{len(self.seconds)} of {len(self.nodes)}"]
        if self._running:
            now = time.monotonic()
            names = ", ".join(f"{name} {now - job.started:.0f} s" for name, job in self._running.items())
            state.append(f"running: {names}")
        self.say(f"build: {what} ({'; '.join(state)})")


def _wrap(artifact: str, error: BaseException) -> BuildError:
    wrapped = BuildError(f"{artifact}: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
