# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The automata of patterns accept just what a regular-expression engine matches."""

from __future__ import annotations

import itertools
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from ansible_collections.openmlops.platform.plugins.module_utils.access import automata, patterns, shapes

WORDS = ["".join(word) for size in range(5) for word in itertools.product("ab/", repeat=size)]
PATHS = [
    "", "/", "/a", "/a/", "/a//b", "/a/./b", "/a/../b", "/a/..", "/a/.", "/a/...", "/a/.b", "//", "/%2e", "/%2F", "/%5c", "/%20", "/%41", "/%c3%a9",
    "/\u00e9", "/a b", "/a/..b/", "/~x", "/a;b", "/%7e", "/%25",
    "/a/..;/b", "/a/..;x=y/b", "/a/.;/b", "/a/..;", "/a/...;/b", "/a/x..;/b", "/..;/b",
]


def accepts(machine, text):
    return machine.run(0, text) in machine.finals


expressions = st.recursive(
    st.sampled_from(["a", "b", "/", ".", "[ab]", "[^a]", r"\/", ""]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join), st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        inner.map(lambda one: f"({one})*"), inner.map(lambda one: f"(?:{one}){{1,2}}"), inner.map(lambda one: f"(?:{one})?"),
        st.tuples(inner, inner).map(lambda two: f"(?!{two[0]}){two[1]}"), st.tuples(inner, inner).map(lambda two: f"(?={two[0]}){two[1]}"),
        st.tuples(inner, inner).map(lambda two: f"(?!{two[0]}$){two[1]}"), st.tuples(inner, inner).map(lambda two: f"(?:(?!{two[0]}){two[1]}|b)?"),
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(expressions)
def test_an_automaton_accepts_what_the_engine_matches(expression):
    pattern = f"a<{expression}>b"
    try:
        machine = automata.machine(pattern)
    except patterns.PatternError:
        return  # a look-ahead that is repeated
    for word in WORDS:
        text = f"a{word}b"
        assert accepts(machine, text) == bool(re.fullmatch(patterns.compiled(pattern), text)), text


@pytest.mark.parametrize("path", PATHS)
def test_clean_urls_are_those_without_tricks(path):
    tricks = re.search(patterns.TRICKS, path) is not None
    assert accepts(automata.clean(), f"https://ml.example:443{path}") is not tricks


@pytest.mark.parametrize("pattern", [
    "<https?>://ml.example/<.*>", "https://ml.example/<.*>", "https://<[a-z.]+>/<.*>", "https://ml.example/a/.<.*>", "https://ml.example/a/..<.*>",
    "https://ml.example<.*>", "<http|https>://ml.example<(/.*)?>",
])
@pytest.mark.parametrize("path", PATHS)
def test_a_guarded_pattern_refuses_tricks_and_nothing_else(pattern, path):
    url = f"https://ml.example{path}"
    made = bool(re.fullmatch(patterns.compiled(patterns.guarded(pattern)), url))
    trick = re.search(patterns.TRICKS, url.partition("://")[2]) is not None
    assert made == (bool(re.fullmatch(patterns.compiled(pattern), url)) and not trick)
    assert re.compile(patterns.compiled(patterns.guarded(pattern))).groups == re.compile(patterns.compiled(pattern)).groups
    bare = patterns.unguarded(patterns.guarded(pattern))
    assert bool(re.fullmatch(patterns.compiled(bare), url)) == bool(re.fullmatch(patterns.compiled(pattern), url))


@pytest.mark.parametrize(("expression", "told"), [
    ("(?<=a)b", "enclose"), ("(?i)a", "only"), (r"\s", "different things"), (r"(a)\1", "different things"), ("^a", "anchored"), ("a{9,3}", "upwards"),
    ("a**", "follows another"), ("*a", "repeats nothing"), ("a)", "without its"), ("(a", "not closed"), ("[a", "not closed"), ("[a-[b]]", "inside"),
    ("%20", "decoded"), ("\u00e9", "printable ASCII"), ("(?!a)*", "cannot be repeated"), ("[z-a]", "from one character"), (r"\\", "backslash"),
])
def test_what_cannot_be_proved_is_refused(expression, told):
    with pytest.raises(patterns.PatternError, match=told):
        patterns.guarded(f"https://ml.example/<{expression}>")


@pytest.mark.parametrize(("pattern", "told"), [
    ("ml.example/", "begins with"), ("https://ml.example/a/../b", "refused"),
    ("https://ml.example/a b", "does not stand"), ("https://ml.example/<a>?x=1", "does not stand"), ("https://ml.example/<a", "enclose"),
])
def test_urls_that_cannot_be(pattern, told):
    with pytest.raises(patterns.PatternError, match=told):
        patterns.guarded(pattern)


def test_a_pattern_of_tricks_alone_matches_nothing():
    assert automata.common(automata.machine("<https?>://ml.example/a//b")) is None


def test_classes_that_depend_on_unicode_are_spelled_out():
    assert r"[0-9]+x[a-z.0-9]" in patterns.guarded(r"https://ml.example/<\d+x[a-z.\d]>")


def test_a_shape_is_read_as_it_was_written():
    raw = "<(?!x)https?>://ml.example/<a|b>"
    shape = shapes.Shape("ml.example", "/a.b", ("/c-d", "/e~f"), (raw,))
    assert shapes.read(shapes.write(shape), {shapes.look(raw): raw}) == shape
    assert shapes.read(shapes.write(shape), {}) is None
    assert shapes.read("<https?>://ml.example/<.*>", {}) is None


def test_an_example_that_two_patterns_share():
    one, other = automata.machine("<https?>://ml.example/a/<[^/]+>/x"), automata.machine("<https?>://ml.example/<[^/]+>/b/<.*>")
    assert automata.common(one, other) == "http://ml.example/a/b/x"
    assert automata.common(one, automata.machine("<https?>://ml.example/a/<(?!.*x).*>")) is None


@pytest.mark.parametrize(("pattern", "example"), [
    ("<https?>://ml.example/a/<.*>", "http://ml.example/a"), ("<https?>://ml.example/a", "http://ml.example/a"),
    ("<https?>://ml.example/a<(?:/.*)?>", None), ("<https?>://ml.example/a</?>", None), ("<https?>://ml.example/<.*>", None),
])
def test_the_final_slash(pattern, example):
    assert automata.slash_matters(automata.machine(pattern)) == example
