# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which artifacts are built."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.openmlops.platform.plugins.module_utils.build import spec
from ansible_collections.openmlops.platform.plugins.module_utils.build.inputs import Inputs


@dataclass
class Node:
    """One artifact to build.

    Attributes:
        artifact: ``kind/name``.
        needs: artifacts of this graph that must be ready first.
        estimate: seconds it is likely to take.
        path: seconds until everything that waits for it is ready, itself included: the longest path goes first.
    """

    artifact: str
    estimate: int
    needs: set[str] = field(default_factory=set)
    path: int = 0

    @property
    def lane(self) -> str:
        """What it mostly costs: ``compute`` (compilers) or ``network`` (package downloads). One of each runs best."""
        return "network" if self.artifact.startswith(f"{spec.IMAGE}/") else "compute"


def closure(inputs: Inputs, artifacts: Iterable[str]) -> list[str]:
    """*artifacts* and all that they need, each once, what is needed before what needs it."""
    ordered: list[str] = []

    def visit(artifact: str, trail: tuple[str, ...]) -> None:
        if artifact in trail:
            raise ValueError(f"artifacts need each other: {' -> '.join((*trail, artifact))}")
        if artifact in ordered:
            return
        for needed in inputs.needs(artifact):
            visit(needed, (*trail, artifact))
        ordered.append(artifact)

    for artifact in artifacts:
        visit(artifact, ())
    return ordered


def plan(inputs: Inputs, todo: Iterable[str]) -> dict[str, Node]:
    """Graph of what is to be built.

    Args:
        inputs: the collection.
        todo: artifacts that are missing, what is needed first.

    Returns:
        One node for each, by artifact, with the longest path computed.
    """
    nodes: dict[str, Node] = {}
    for artifact in todo:
        kind, name = spec.split(artifact)
        estimate = {
            spec.IMAGE: lambda: inputs.image(name).estimate,
            spec.BINARY: lambda: inputs.program(name).estimate,
            spec.FILE: lambda: 10,
        }[kind]()
        nodes[artifact] = Node(artifact, estimate)
    for node in nodes.values():
        node.needs = {needed for needed in inputs.needs(node.artifact) if needed in nodes}
        kind, name = spec.split(node.artifact)
        if kind == spec.BINARY and inputs.program(name).after:
            # Compiling the same packages twice at once would waste what the order is meant to save.
            node.needs |= {f"{spec.BINARY}/{inputs.program(name).after}"} & set(nodes)
    for artifact in reversed(_sorted(nodes)):
        waiting = [node.path for node in nodes.values() if artifact in node.needs]
        nodes[artifact].path = nodes[artifact].estimate + max(waiting, default=0)
    return nodes


def _sorted(nodes: dict[str, Node]) -> list[str]:
    # graphlib is imported here since a run that finds everything built does not need it.
    from graphlib import TopologicalSorter

    return list(TopologicalSorter({name: node.needs for name, node in nodes.items()}).static_order())


def choose(ready: Iterable[Node], running: Iterable[Node]) -> Node | None:
    """Which of the *ready* nodes to start: of a lane that nothing runs in if there is one, then the longest path."""
    lanes = {node.lane for node in running}
    return max(ready, key=lambda node: (node.lane not in lanes, node.path, node.artifact), default=None)
