# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services of the catalogue a pattern reaches. Pure functions on automata."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access import automata, patterns
from ansible_collections.openmlops.platform.plugins.module_utils.access.automata import Machine

_DIGITS = "0123456789"


@dataclasses.dataclass(eq=False)
class Place:
    """One segment of a path on one host; ``service`` answers there and below, as far as no deeper one does."""

    service: str | None = None
    children: dict[str, Place] = dataclasses.field(default_factory=dict)
    _begun: set[str] | None = None

    def begins(self, text: str) -> bool:
        """Tells whether a child's segment begins with a text."""
        if self._begun is None:
            self._begun = {segment[:size] for segment in self.children for size in range(len(segment) + 1)}
        return text in self._begun


def places(entries: list[dict[str, t.Any]]) -> dict[str, Place]:
    """Returns the tree of places of each host."""
    hosts: dict[str, Place] = {}
    for entry in entries:
        place = hosts.setdefault(entry["host"], Place())
        for segment in entry["prefix"].split("/")[1:]:
            place = place.children.setdefault(segment, Place())
        place.service = entry["name"]
    return hosts


States = tuple[t.Optional[int], ...]


def _starts(machines: t.Sequence[Machine], host: str, needed: int) -> dict[States, str]:
    """Returns the states behind every scheme, host and port, each with a URL that leads there."""
    found: dict[States, str] = {}

    def add(states: States, text: str) -> bool:
        if None in states[:needed] or states in found:
            return False
        found[states] = text
        return True

    def go(states: States, text: str) -> States:
        return tuple(machine.run(state, text) for machine, state in zip(machines, states, strict=True))

    for scheme in ("https", "http"):
        text = f"{scheme}://{host}"
        states = go((0,) * len(machines), text)
        add(states, text)
        waiting = [(go(states, ":"), text + ":")]
        seen = {waiting[0][0]}
        while waiting:
            states, text = waiting.pop()
            for digit in _DIGITS:
                behind = go(states, digit)
                if behind not in seen and None not in behind[:needed]:
                    seen.add(behind)
                    add(behind, text + digit)
                    waiting.append((behind, text + digit))
    return found


def _rest(
    machines: t.Sequence[Machine], states: States, place: Place, needed: int, accept: t.Callable[[States], bool],
) -> str | None:
    """Returns a shortest rest of a URL that stays with the place's service and is accepted, None when there is none.

    A state is (states of the machines, place, text of the segment begun there). Without a place no other service is near.
    """
    characters = patterns.CHARACTERS if place.children else automata.telling(*machines)

    def step(state: tuple) -> t.Iterable[tuple[tuple, str]]:
        inside, here, begun = state
        for behind, char in automata.together(machines, inside, needed, characters):
            if here is None:
                yield (behind, None, None), char
            elif begun is None:
                if char == "/":
                    yield (behind, here if here.children else None, ""), char
            elif char == "/":
                child = here.children.get(begun)
                if child is None or child.service is None:
                    yield (behind, child, ""), char
            else:
                near = here.begins(begun + char)
                yield (behind, here if near else None, begun + char if near else None), char

    def accepted(state: tuple) -> bool:
        inside, here, begun = state
        other = here.children.get(begun) if here is not None and begun else None
        return (other is None or other.service is None) and accept(inside)

    return automata.search(((states, place, None),), step, accepted)


def reached(machine: Machine, hosts: dict[str, Place]) -> dict[str, str]:
    """Returns the services of which the machine matches a URL without tricks, each with such a URL."""
    machines = (automata.clean(), machine)
    found: dict[str, str] = {}
    alone: dict[States, str | None] = {}  # rests at places with nothing below them

    def accept(states: States) -> bool:
        return states[0] in machines[0].finals and states[1] in machine.finals

    for host, root in hosts.items():
        waiting = [(states, root, text) for states, text in reversed(_starts(machines, host, 2).items())]
        while waiting:
            states, place, text = waiting.pop()
            if place.service is not None and place.service not in found:
                if place.children or states not in alone:
                    rest = _rest(machines, states, place, 2, accept)
                    if not place.children:
                        alone[states] = rest
                else:
                    rest = alone[states]
                if rest is not None:
                    found[place.service] = text + rest
            for segment, child in place.children.items():
                behind = tuple(m.run(s, "/" + segment) for m, s in zip(machines, states, strict=True))
                if None not in behind:
                    waiting.append((behind, child, f"{text}/{segment}"))
    return found


def uncovered(machines: list[Machine], entry: dict[str, t.Any], hosts: dict[str, Place]) -> str | None:
    """Returns a URL of a service that none of the machines matches, None when there is none."""
    place = hosts[entry["host"]]
    every = (automata.clean(), *machines)

    def accept(states: States) -> bool:
        return states[0] in every[0].finals and all(s not in m.finals for s, m in zip(states[1:], machines, strict=True))

    for segment in entry["prefix"].split("/")[1:]:
        place = place.children[segment]
    for states, text in _starts(every, entry["host"], 1).items():
        behind = tuple(m.run(s, entry["prefix"]) for m, s in zip(every, states, strict=True))
        rest = _rest(every, behind, place, 1, accept)
        if rest is not None:
            return text + entry["prefix"] + rest
    return None
