# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The builder: what is asked for, what of it is missing, and making that."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.openmlops.platform.plugins.module_utils.build import spec
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.graph import closure
from ansible_collections.openmlops.platform.plugins.module_utils.build.inputs import Inputs, suite
from ansible_collections.openmlops.platform.plugins.module_utils.build.store import Store


@dataclass(frozen=True)
class Lack:
    """What this machine lacks for a build.

    Attributes:
        packages: Debian packages that would help.
        problems: what a person has to do, in words.
    """

    packages: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Builder:
    """Makes artifacts from the collection's pinned descriptions.

    Args:
        root: root of the collection.
        cache: folder that everything is kept in.
        say: takes one line of progress.
        workers: how many artifacts are made at once.
        abandoned: tells whether nobody waits for the result any more.
    """

    def __init__(
        self,
        root: Path,
        cache: Path,
        say: Callable[[str], None] = print,
        workers: int = 2,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> None:
        self.inputs = Inputs(root)
        self.store = Store(cache, self.inputs)
        self.say = say
        self.workers = workers
        self.abandoned = abandoned

    def todo(self, artifacts: Iterable[str]) -> list[str]:
        """What must be built to have *artifacts*, what is needed first. Finished artifacts need nothing themselves."""
        missing: list[str] = []

        def visit(artifact: str) -> None:
            if artifact in missing or self.store.ready(artifact):
                return
            for needed in self.inputs.needs(artifact):
                visit(needed)
            missing.append(artifact)

        for artifact in artifacts:
            visit(artifact)
            for file in (needed for needed in self.inputs.needs(artifact) if needed.startswith(f"{spec.FILE}/")):
                visit(file)
        return missing

    def lack(self, todo: Iterable[str]) -> Lack:
        """What this machine lacks to build *todo*. Only looks for files, runs nothing."""
        from ansible_collections.openmlops.platform.plugins.module_utils.build import golang
        from ansible_collections.openmlops.platform.plugins.module_utils.build.process import find_program

        programs = []
        wanted: dict[str, str] = {}
        for artifact in todo:
            kind, name = spec.split(artifact)
            if kind != spec.IMAGE:
                if spec.has_program(self.inputs.root, name):
                    programs.append(self.inputs.program(name))
                continue
            wanted["buildah"] = "buildah"
            if self.inputs.image(name).rootfs:
                wanted["debootstrap"] = "debootstrap"
        problems = [problem for problem in [golang.missing_go(programs)] if problem]
        if wanted and os.geteuid() != 0:
            problems.append("images are built as root: run as root")
        packages = sorted(package for program, package in wanted.items() if not find_program(program))
        return Lack(packages, problems)

    def build(self, artifacts: list[str]) -> dict[str, float]:
        """Make what is missing of *artifacts*.

        Returns:
            Seconds that each artifact took that was made.

        Raises:
            BuildError: something cannot be made; the text says what to do.
        """
        todo = self.todo(artifacts)
        if not todo:
            return {}
        lack = self.lack(todo)
        problems = list(lack.problems)
        if lack.packages:
            problems.append(f"Debian packages are missing: apt-get install {' '.join(lack.packages)}")
        if problems:
            raise BuildError(f"cannot build {', '.join(todo)}:\n- " + "\n- ".join(problems))
        from ansible_collections.openmlops.platform.plugins.module_utils.build.graph import plan
        from ansible_collections.openmlops.platform.plugins.module_utils.build.schedule import Scheduler

        graph = plan(self.inputs, todo)
        self.store.check_space(sum(node.estimate for node in graph.values()))
        return Scheduler(graph, self._make, self.say, self.workers, abandoned=self.abandoned).run()

    def results(self, artifacts: list[str]) -> dict[str, Any]:
        """Where *artifacts* are: ``binaries`` and ``files`` by name, ``images`` by name with reference and archive."""
        found: dict[str, Any] = {"binaries": {}, "files": {}, "images": {}}
        for artifact in closure(self.inputs, artifacts):
            kind, name = spec.split(artifact)
            paths = self.store.paths(artifact)
            if kind == spec.IMAGE:
                if artifact in artifacts:
                    found["images"][name] = {**self.inputs.reference(name), "archive": str(paths[name])}
            elif kind == spec.FILE or artifact in artifacts:
                group = "files" if kind == spec.FILE else "binaries"
                found[group].update({key: str(path) for key, path in paths.items()})
        return found

    def _make(self, artifact: str, cancel: threading.Event) -> None:
        from ansible_collections.openmlops.platform.plugins.module_utils.build import golang, wheels
        from ansible_collections.openmlops.platform.plugins.module_utils.build.lock import locked
        from ansible_collections.openmlops.platform.plugins.module_utils.build.process import Runner

        kind, name = spec.split(artifact)
        with locked(self.store.lock(artifact), artifact, self.say, cancel):
            if self.store.ready(artifact):  # another process made it while we waited
                return
            runner = Runner(artifact, self.store.log(artifact), cancel)
            paths = self.store.paths(artifact)
            with self.store.scratch(artifact) as scratch:
                if kind == spec.BINARY:
                    golang.build(self.inputs.program(name), paths[name], scratch, self.store.go, runner)
                elif kind == spec.FILE and not spec.has_program(self.inputs.root, name):
                    wheels.copy_files(self.inputs.image(name), paths, scratch, runner)
                elif kind == spec.FILE:
                    golang.copy_files(self.inputs.program(name), paths, scratch, self.store.go, runner)
                else:
                    self._make_image(name, paths[name], scratch, runner)

    def _make_image(self, name: str, target: Path, scratch: Path, runner: Any) -> None:
        from ansible_collections.openmlops.platform.plugins.module_utils.build import containers, rootfs

        image = self.inputs.image(name)
        reference = self.inputs.reference(name)["reference"]
        buildah = containers.Buildah(self.store.containers, runner)
        with buildah.session():
            base = ""
            if image.parent:
                base = self.inputs.reference(image.parent)["reference"]
                if not buildah.has(base):
                    buildah.load(base, self.store.paths(f"{spec.IMAGE}/{image.parent}")[image.parent])
            elif image.rootfs:
                base = f"localhost/openmlops/rootfs:{self.inputs.hash(f'{spec.IMAGE}/{name}')}"
                if not buildah.has(base):
                    system = rootfs.make(suite(), scratch, runner)
                    buildah.run("build", "--format", "oci", "--tag", base, str(system))
            binaries = {
                binary: self.store.paths(f"{spec.BINARY}/{binary}")[binary] for binary in image.binaries
            }
            folder = containers.context(image, binaries, scratch)
            config = scratch / "config"
            config.mkdir(mode=0o700)
            buildah.build(image, reference, base, folder, {}, config)
            buildah.save(reference, target, scratch)
            buildah.forget_others(reference)
