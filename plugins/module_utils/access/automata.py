# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns as finite automata, and the questions that the proof asks them. The automata are those of interegular.

Every question is about URLs without tricks (patterns.TRICKS): others have no rule.
"""

from __future__ import annotations

import collections
import functools
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access import patterns

try:
    import interegular
    from interegular.fsm import FSM
except ImportError:  # the documentation can be read without
    interegular = None

State = t.Any
# How long a search for an example may become before a pattern counts as too intricate.
_MOST_STATES = 200000


class Machine:
    """A deterministic automaton over patterns.CHARACTERS; state 0 is the start, a missing step is a dead end."""

    def __init__(self, steps: list[dict[str, int]], finals: set[int]) -> None:
        self.steps, self.finals = steps, finals

    def run(self, state: int | None, text: str) -> int | None:
        """Returns the state behind a text, None when nothing can match any more."""
        for char in text:
            if state is None:
                return None
            state = self.steps[state].get(char)
        return state

    @functools.cached_property
    def columns(self) -> dict[str, tuple[int | None, ...]]:
        """For each character where it leads from each state: two with the same column need not be told apart."""
        return {char: tuple(step.get(char) for step in self.steps) for char in patterns.CHARACTERS}


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> FSM:
    return interegular.parse_pattern(text).to_fsm()


def _build(tree: patterns.Tree, rest: FSM) -> FSM:
    """Returns the automaton of a tree followed by ``rest``. From behind, so that a look-ahead sees all that follows it."""
    plain = tree.plain
    if plain is not None:
        return _parsed(f"(?:{plain})") + rest
    found = []
    for items in tree.alternatives:
        behind, text = rest, ""
        for item in reversed(items):
            if isinstance(item, tuple):
                text = item[0] + text
                continue
            if text:
                behind, text = _parsed(text) + behind, ""
            if item == patterns.END:
                behind = behind & _parsed("")
            elif isinstance(item, patterns.Look):
                ahead = _build(item.inner, _parsed(".*"))
                behind = behind - ahead if item.negated else behind & ahead
            else:
                behind = _build(item, behind)
        found.append(_parsed(text) + behind if text else behind)
    return found[0] if len(found) == 1 else found[0].union(*found[1:])


def _machine(fsm: FSM) -> Machine:
    """Returns an automaton without the states from which nothing can match any more."""
    arrows = {
        state: {char: fsm.map[state][symbol] for char in patterns.CHARACTERS
                if (symbol := fsm.alphabet[char]) in fsm.map.get(state, ())}
        for state in fsm.states
    }
    sources = collections.defaultdict(set)
    for state, step in arrows.items():
        for target in step.values():
            sources[target].add(state)
    live = set(fsm.finals)
    waiting = list(live)
    while waiting:
        for source in sources[waiting.pop()] - live:
            live.add(source)
            waiting.append(source)
    order = [fsm.initial, *sorted(live - {fsm.initial})]
    number = {state: index for index, state in enumerate(order)}
    steps = [{char: number[target] for char, target in arrows[state].items() if target in live} for state in order]
    return Machine(steps, {number[state] for state in fsm.finals})


@functools.lru_cache(maxsize=1024)
def machine(pattern: str, strict: bool = True) -> Machine:
    """Returns the automaton of a pattern.

    Raises:
        PatternError: when it cannot be read.
        ImportError: without interegular.
    """
    if interegular is None:
        raise ImportError("user-written rules need the Python package interegular; install requirements/controller.txt")
    return _machine(_build(patterns.tree(pattern, strict), _parsed("")))


@functools.lru_cache(maxsize=1)
def clean() -> Machine:
    """Returns the automaton of the URLs without tricks, that have a scheme, a host, perhaps a port, and a path."""
    url = machine("<https?>://<[a-z0-9.-]+(?::[0-9]+)?(?:/.*)?>")
    # Each in two: what follows the scheme must at no place have come to the end of a trick.
    inside, at_end = (machine(f"<https?>://<.*(?:{trick})>", False) for trick in (patterns.TRICK_INSIDE, patterns.TRICK_AT_END))
    parts = (url, inside, at_end)
    number = {(0, 0, 0): 0}
    steps: list[dict[str, int]] = []
    finals = set()
    for states in (order := [(0, 0, 0)]):
        steps.append({})
        if states[0] in url.finals and states[2] not in at_end.finals:
            finals.add(number[states])
        for targets, char in together(parts, states, 1):
            if targets[1] not in inside.finals:
                if targets not in number:
                    number[targets] = len(order)
                    order.append(targets)
                steps[-1][char] = number[targets]
    return Machine(steps, finals)


def search(
    start: tuple[State, ...], step: t.Callable[[State], t.Iterable[tuple[State, str]]], accept: t.Callable[[State], bool],
) -> str | None:
    """Returns a shortest text that leads from one of the start states to an accepted one, None when none does."""
    before: dict[State, tuple[State, str] | None] = dict.fromkeys(start)
    waiting = collections.deque(start)
    while waiting:
        state = waiting.popleft()
        if accept(state):
            text = []
            while (arrow := before[state]) is not None:
                state, char = arrow
                text.append(char)
            return "".join(reversed(text))
        for target, char in step(state):
            if target not in before:
                before[target] = (state, char)
                waiting.append(target)
        if len(before) > _MOST_STATES:
            raise patterns.PatternError("the pattern is too intricate to be proved; make it simpler or several rules of it")
    return None


def telling(*machines: Machine) -> str:
    """Returns one of each set of characters that none of the automata tells apart."""
    seen: dict[tuple, str] = {}
    for char in patterns.CHARACTERS:
        seen.setdefault(tuple(machine.columns[char] for machine in machines), char)
    return "".join(seen.values())


def together(
    machines: t.Sequence[Machine], states: tuple[int | None, ...], needed: int, characters: str = patterns.CHARACTERS,
) -> t.Iterable[tuple[tuple, str]]:
    """Yields where several automata lead at once; the first ``needed`` of them must not end there."""
    first = machines[0].steps[t.cast(int, states[0])]
    for char in characters:
        if char in first:
            targets = tuple(m.steps[s].get(char) if s is not None else None for m, s in zip(machines, states, strict=True))
            if None not in targets[:needed]:
                yield targets, char


def common(*machines: Machine) -> str | None:
    """Returns a shortest URL without tricks that all of them match, None when there is none."""
    both = (clean(), *machines)
    characters = telling(*both)
    return search(
        (tuple(0 for _machine in both),), lambda states: together(both, states, len(both), characters),
        lambda states: all(state in m.finals for m, state in zip(both, states, strict=True)),
    )


def slash_matters(found: Machine) -> str | None:
    """Returns a URL without a final ``/`` that is matched differently with it, None when there is none."""
    both = (clean(), found)
    characters = telling(*both)

    def differs(state: tuple[int, int | None, bool]) -> bool:
        url, own, path = state
        further = clean().steps[url].get("/")
        if not path or url not in clean().finals or further not in clean().finals:
            return False
        return (own in found.finals) != (found.run(own, "/") in found.finals)

    def step(state: tuple[int, int | None, bool]) -> t.Iterable[tuple[tuple, str]]:
        url, own, path = state
        for (url_next, own_next), char in together(both, (url, own), 1, characters):
            # In a path once a / came that does not follow another or the scheme, with something behind it.
            yield (url_next, own_next, _in_path(url_next) and char != "/"), char

    return search(((0, 0, False),), step, differs)


@functools.lru_cache(maxsize=1)
def _path_states() -> frozenset[int]:
    """The states of clean() inside the path: all that follow the first / behind a host."""
    found = clean()
    waiting = [found.run(0, "http://a/")]
    seen = set(waiting)
    while waiting:
        for target in set(found.steps[waiting.pop()].values()) - seen:
            seen.add(target)
            waiting.append(target)
    return frozenset(seen)


def _in_path(state: int) -> bool:
    return state in _path_states()
