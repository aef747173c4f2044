# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which revisions answer after a call."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import Revision
from ansible_collections.openmlops.platform.plugins.module_utils.serving.state import State, config_map, deployed, of_config_map, rolled_back


def rev(letter, **changes):
    return Revision(uri=f"s3://b/{letter}", given=f"models:/{letter}", framework="sklearn", protocol="v2", engine="kserve", **changes)


A, B, C = map(rev, "abc")


@pytest.mark.parametrize(
    ("before", "new", "traffic", "shadow", "expected"),
    [
        (State(), A, 100, False, State(A)),
        # The first of a name answers everything, since there is nothing else.
        (State(), A, 10, False, State(A)),
        (State(A), A, 10, False, State(A)),
        (State(A), B, 100, False, State(B, previous=A)),
        (State(A), B, 10, False, State(A, B, 10)),
        (State(A, B, 10), B, 50, False, State(A, B, 50)),
        (State(A, B, 50), B, 100, False, State(B, previous=A)),
        (State(A, B, 10), C, 20, False, State(A, C, 20)),
        (State(A, B, 10), C, 100, False, State(C, previous=A)),
        # The one that answers, alone again: the canary ends.
        (State(A, B, 10, previous=C), A, 100, False, State(A, previous=C)),
        (State(A, B, 10), A, 70, False, State(A, B, 30)),
        (State(B, previous=A), A, 100, False, State(A, previous=B)),
        (State(A), B, 100, True, State(A, shadow=B)),
        (State(A, shadow=B), C, 100, True, State(A, shadow=C)),
        (State(A, C, 10), B, 100, True, State(A, C, 10, shadow=B)),
        (State(A, B, 10), B, 100, True, State(A, shadow=B)),
        (State(A, shadow=B), B, 10, False, State(A, B, 10)),
        (State(A, shadow=C), B, 10, False, State(A, B, 10, shadow=C)),
        (State(A, shadow=B), B, 100, False, State(B, previous=A)),
        (State(A, shadow=B), A, 100, False, State(A)),
        (State(A, previous=B, undone=True), C, 100, False, State(C, previous=A)),
        (State(A, previous=B, undone=True), A, 100, False, State(A, previous=B, undone=True)),
    ],
)
def test_deployments(before, new, traffic, shadow, expected):
    after = deployed(before, new, traffic, shadow)
    assert after == expected
    assert deployed(after, new, traffic, shadow) == after


@pytest.mark.parametrize(("before", "new", "message"), [(State(), A, "nothing answers yet"), (State(A), A, "is the one that answers")])
def test_no_shadow(before, new, message):
    with pytest.raises(ModelError, match=message):
        deployed(before, new, 100, True)


@pytest.mark.parametrize(
    ("before", "unfinished", "expected"),
    [
        (State(B, previous=A), False, State(A, previous=B, undone=True)),
        (State(A, B, 10, previous=C), False, State(A, previous=C, undone=True)),
        (State(A, shadow=B), False, State(A, undone=True)),
        # What never came up is the last deployment; the one before it stays.
        (State(B, previous=A), True, State(B, previous=A, undone=True)),
        (State(), True, State()),
    ],
)
def test_rollbacks_go_one_step(before, unfinished, expected):
    after = rolled_back(before, unfinished)
    assert after == expected
    if after.stable:
        assert rolled_back(after, False) == after


@pytest.mark.parametrize(("before", "message"), [(State(), "not deployed"), (State(A), "no earlier revision")])
def test_nothing_to_go_back_to(before, message):
    with pytest.raises(ModelError, match=message):
        rolled_back(before, False)


def test_number_and_name_make_no_revision():
    more = rev("a", replicas=3)
    again = Revision(uri=A.uri, given="runs:/r/model", framework="sklearn", protocol="v2", engine="kserve", replicas=3)
    assert more.id == A.id == again.id
    after = deployed(State(A), again, 100, False)
    assert after.stable.replicas == 3 and after.stable.given == A.given
    assert len({A.id, B.id, rev("a", env={"X": "1"}).id, rev("a", resources={"limits": {"cpu": "1"}}).id}) == 4


calls = st.lists(st.one_of(
    st.tuples(st.just("deploy"), st.sampled_from([A, B, C]), st.integers(1, 100), st.booleans()), st.tuples(st.just("back"), st.booleans())))


@given(calls)
def test_whatever_is_called(steps):
    state = State()
    for step in steps:
        try:
            state = deployed(state, *step[1:]) if step[0] == "deploy" else rolled_back(state, step[1])
        except ModelError:
            continue
        ids = [one.id for one in state.running]
        assert len(ids) == len(set(ids))
        assert (state.stable is None) == (state.weights == {})
        if state.stable:
            assert sum(state.weights.values()) == 100 and all(0 < weight <= 100 for weight in state.weights.values())
        assert (state.canary is None) == (state.percent == 0)
        kept = config_map("wine", "models", state, {"engine": "kserve"})
        assert of_config_map(kept) == state
        assert json.loads(kept["data"]["state.json"])["weights"] == state.weights


@pytest.mark.parametrize("data", [{}, {"state.json": "{"}, {"state.json": "[]"}, {"state.json": '{"stable": 3}'}])
def test_a_state_that_is_none(data):
    with pytest.raises(ModelError, match="models/model-wine does not hold the state"):
        of_config_map({"metadata": {"name": "model-wine", "namespace": "models"}, "data": data})
