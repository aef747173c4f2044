# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of a set of rules: each URL and method of each service has exactly one rule, and no rule is without a service.

It reads the finished rules, not what they were made from. Generated patterns (shapes) are compared by their hosts and prefixes,
which costs next to nothing; all others are automata.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access import automata, patterns, reach, shapes
from ansible_collections.openmlops.platform.plugins.module_utils.access.shapes import Shape


@dataclasses.dataclass
class _Rule:
    """A rule as the proof sees it; without a shape it has an automaton, and the services that it reaches, each with a URL."""

    name: str
    url: str
    methods: frozenset[str]
    shape: Shape | None = None
    machine: automata.Machine | None = None
    reached: dict[str, str] = dataclasses.field(default_factory=dict)


class Proof:
    """The proof. ``problems`` holds what is wrong, each with an example and a cure."""

    def __init__(self, documents: list[dict[str, t.Any]], entries: list[dict[str, t.Any]], complete: bool = True) -> None:
        """Goes through all questions.

        Args:
            documents: Oathkeeper rules.
            entries: of services.normalise().
            complete: false when services are missing, so that a rule may be without one.
        """
        self.problems: list[str] = []
        self.entries = {entry["name"]: entry for entry in entries}
        self.at = {(entry["host"], entry["prefix"]): entry for entry in entries}
        self.complete = complete
        self.shaped: dict[tuple[str, str], list[_Rule]] = {}
        self.raw: list[_Rule] = []
        self.below: dict[str, frozenset[str]] = {}
        self._read(documents)
        for rules in self.shaped.values():
            for rule in rules:
                self._place(rule)
        for entry in entries:
            self._apart(entry)
            self._whole(entry)
        if self.raw:
            self._raw(reach.places(entries))

    def _read(self, documents: list[dict[str, t.Any]]) -> None:
        # What a generated rule may leave out is told by the rules that are not generated.
        urls = [document["match"]["url"] for document in documents]
        looks = {shapes.look(url): url for url in urls if patterns.unguarded(url) is not None}
        names: set[str] = set()
        for document in documents:
            rule = _Rule(document["id"], document["match"]["url"], frozenset(document["match"]["methods"]))
            if rule.name in names:
                self.problems.append(f"rule '{rule.name}': id: is used twice; rename one")
            names.add(rule.name)
            rule.shape = shapes.read(rule.url, looks)
            if rule.shape:
                self.below[rule.url] = frozenset(rule.shape.below)
                self.shaped.setdefault((rule.shape.host, rule.shape.prefix), []).append(rule)
                continue
            bare = patterns.unguarded(rule.url)
            if bare is None:
                self.problems.append(f"rule '{rule.name}': match.url lacks the look-ahead that refuses tricks; make it by oathkeeper_rules")
                continue
            rule.machine = automata.machine(bare)
            self.raw.append(rule)

    def _place(self, rule: _Rule) -> None:
        """A generated rule has a service, with its methods, and leaves out only what deeper services answer."""
        shape = t.cast(Shape, rule.shape)
        entry = self.at.get((shape.host, shape.prefix))
        if entry is None:
            self.problems.append(
                f"rule '{rule.name}' has no service at https://{shape.host}{shape.prefix}/; take it out or add the service")
            return
        for method in sorted(rule.methods - set(entry["methods"])):
            self.problems.append(
                f"rule '{rule.name}' lets {method} in, which service '{entry['name']}' does not have; add it to its methods")
        for below in shape.below:
            parts = below.split("/")
            if not any((shape.host, shape.prefix + "/".join(parts[:size])) in self.at for size in range(2, len(parts) + 1)):
                self.problems.append(self._unmatched(entry["name"], *_some(rule.methods), f"https://{shape.host}{shape.prefix}{below}"))

    def _apart(self, entry: dict[str, t.Any]) -> None:
        """Generated rules at one place share no method, and those above leave it out for every method."""
        here = self.shaped.get((entry["host"], entry["prefix"]), [])
        for one, other in itertools.combinations(here, 2):
            for method in _some(one.methods & other.methods):
                self._both(one, other, method, _url(entry), "take the method from one")
        parts = entry["prefix"].split("/")
        ways = ["/".join(parts[:size]) for size in range(1, len(parts) + 1)]
        for number, above in enumerate(ways[:-1]):
            rests = {way[len(above):] for way in ways[number + 1:]}
            for rule in self.shaped.get((entry["host"], above), ()):
                if rests.isdisjoint(self.below[rule.url]):
                    self.problems.append(f"rule '{rule.name}' matches {_url(entry)} too, which is service '{entry['name']}'; leave it out")

    def _whole(self, entry: dict[str, t.Any]) -> None:
        """Each method of a service has a rule at its place, or user-written ones, which are looked at later."""
        have = {method for rule in self.shaped.get((entry["host"], entry["prefix"]), ()) for method in rule.methods}
        for method in _some(set(entry["methods"]) - have) if not self.raw else ():
            self.problems.append(self._unmatched(entry["name"], method, _url(entry)))

    def _raw(self, hosts: dict[str, reach.Place]) -> None:
        for rule in self.raw:
            rule.reached = reach.reached(t.cast(automata.Machine, rule.machine), hosts)
            self._routed(rule)
            self._slash(rule)
            for name, url in rule.reached.items():
                entry = self.entries[name]
                for other in self.shaped.get((entry["host"], entry["prefix"]), ()):
                    self._meets(rule, other, name, url)
        for rule, other in itertools.combinations(self.raw, 2):
            for method in _some(rule.methods & other.methods) if rule.reached.keys() & other.reached.keys() else ():
                url = automata.common(t.cast(automata.Machine, rule.machine), t.cast(automata.Machine, other.machine))
                if url is not None:
                    self._both(rule, other, method, url, "make their patterns apart, for example by (?! ), or take a method from one")
        for name, entry in self.entries.items():
            have = {method for rule in self.shaped.get((entry["host"], entry["prefix"]), ()) for method in rule.methods}
            groups: dict[tuple[int, ...], str] = {}
            for method in sorted(set(entry["methods"]) - have):
                groups.setdefault(tuple(n for n, rule in enumerate(self.raw) if method in rule.methods and name in rule.reached), method)
            for numbers, method in groups.items():
                machines = [t.cast(automata.Machine, self.raw[number].machine) for number in numbers]
                url = reach.uncovered(machines, entry, hosts)
                if url is not None:
                    self.problems.append(self._unmatched(name, method, url))

    def _routed(self, rule: _Rule) -> None:
        if not self.complete:
            return
        if not rule.reached:
            self.problems.append(
                f"rule '{rule.name}' has no route: its pattern matches no URL of any service; correct match or add the service")
            return
        for method in sorted(rule.methods):
            if not any(method in self.entries[name]["methods"] for name in rule.reached):
                name, url = min(rule.reached.items())
                self.problems.append(
                    f"rule '{rule.name}' has no route for {method} {url}: service '{name}' does not have this method; "
                    "add it to the service's methods or take it from the rule")

    def _slash(self, rule: _Rule) -> None:
        url = automata.slash_matters(t.cast(automata.Machine, rule.machine))
        if url is not None:
            self.problems.append(
                f"rule '{rule.name}' does not judge {url} and {url}/ alike, but Oathkeeper 26.2 drops the final /; "
                "end the pattern with </?>, or with <(?:/.*)?> in place of /<.*>")

    def _meets(self, rule: _Rule, other: _Rule, service: str, url: str) -> None:
        """A user-written rule meets a generated one only where that gives way, for no method without a rule then."""
        if rule.url not in t.cast(Shape, other.shape).minus:
            for method in _some(rule.methods & other.methods):
                self._both(rule, other, method, url, f"give rule '{rule.name}' carve: [{service}], so that the service's rule gives way")
            return
        same = {method for raw in self.raw if raw.url == rule.url for method in raw.methods}
        for method in _some(other.methods - same):
            self.problems.append(self._unmatched(service, method, url))

    def _both(self, one: _Rule, other: _Rule, method: str, url: str, cure: str) -> None:
        self.problems.append(f"rules '{one.name}' and '{other.name}' both match {method} {url}, which Oathkeeper answers with 500; {cure}")

    def reached(self, name: str) -> dict[str, str]:
        """Returns the services that a user-written rule reaches, each with a URL."""
        return next((rule.reached for rule in self.raw if rule.name == name), {})

    @staticmethod
    def _unmatched(service: str, method: str, url: str) -> str:
        return f"service '{service}': no rule matches {method} {url}; widen a rule that replaces the service's own, or use carve instead"


def _some(methods: t.Collection[str]) -> list[str]:
    """Returns one of the methods for an example, GET before others; none when there is none."""
    return sorted(methods, key=lambda method: (method != "GET", method))[:1]


def _url(entry: dict[str, t.Any]) -> str:
    return f"https://{entry['host']}{entry['prefix']}/"
