# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which revisions of a model answer, and what a call makes of that: a state machine without side effects.

``stable`` answers what ``canary`` does not; ``shadow`` is sent a copy of each request and its answers go nowhere; ``previous``
is what a rollback returns to: its definition, no pod.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import Revision, labels

_PARTS = ("stable", "canary", "shadow", "previous")


@dataclasses.dataclass(frozen=True)
class State:
    """What there is of a model.

    Attributes:
        percent: of the requests, how many the canary answers.
        undone: whether the last deployment was rolled back already; a rollback goes one step, however often it is asked for.
    """

    stable: Revision | None = None
    canary: Revision | None = None
    percent: int = 0
    shadow: Revision | None = None
    previous: Revision | None = None
    undone: bool = False

    @property
    def running(self) -> tuple[Revision, ...]:
        """The revisions that have pods."""
        return tuple(found for found in (self.stable, self.canary, self.shadow) if found)

    @property
    def weights(self) -> dict[str, int]:
        """Percent of the requests by revision, those that answer."""
        if self.stable is None:
            return {}
        return {self.stable.id: 100 - self.percent, **({self.canary.id: self.percent} if self.canary else {})}

    def to_dict(self) -> dict[str, t.Any]:
        """Returns the state as JSON has it."""
        parts = {name: getattr(self, name) for name in _PARTS}
        return {**{name: part.to_dict() if part else None for name, part in parts.items()},
                "weights": self.weights, "undone": self.undone}

    @staticmethod
    def from_dict(document: t.Mapping[str, t.Any]) -> State:
        """Returns the state of such a document."""
        parts = {name: Revision.from_dict(document[name]) if document.get(name) else None for name in _PARTS}
        canary = parts["canary"]
        percent = int((document.get("weights") or {}).get(canary.id, 0)) if canary else 0
        return State(**parts, percent=percent, undone=bool(document.get("undone")))


def deployed(state: State, new: Revision, traffic: int, shadow: bool) -> State:
    """Returns the state after a deployment.

    Args:
        traffic: percent of the requests that the new model answers; the one before answers the others. 100 ends canary and shadow.
        shadow: send it copies only.

    Raises:
        ModelError: when there is nothing that it could be a shadow of.
    """
    new = _known(state, new)
    if shadow:
        result = _shadowed(state, new)
    elif state.stable is None:
        result = State(stable=new)
    elif new.id == state.stable.id:
        alone = traffic == 100
        result = dataclasses.replace(
            state, stable=new, canary=None if alone else state.canary, shadow=None if alone else state.shadow,
            percent=100 - traffic if state.canary else 0)
    elif traffic == 100:
        result = State(stable=new, previous=state.stable)
    else:
        result = dataclasses.replace(state, canary=new, percent=traffic, shadow=_other(state.shadow, new))
    return state if result == state else dataclasses.replace(result, undone=False)


def rolled_back(state: State, unfinished: bool) -> State:
    """Returns the state in which the last deployment is undone, once: asked again, nothing changes.

    Args:
        unfinished: whether there is a revision that was started and never got a request.

    Raises:
        ModelError: when there is nothing to go back to.
    """
    if state.stable is None:
        if unfinished:
            return state
        raise ModelError("it is not deployed, so there is nothing to roll back")
    if unfinished:
        return dataclasses.replace(state, undone=True)
    if state.undone:
        return state
    if state.canary or state.shadow:
        return dataclasses.replace(state, canary=None, percent=0, shadow=None, undone=True)
    if state.previous is None:
        raise ModelError("there is no earlier revision to roll back to: deploy the model that you want by its URI")
    return State(stable=state.previous, previous=state.stable, undone=True)


def _known(state: State, new: Revision) -> Revision:
    """Returns the new revision under the name by which it is known already, if it is; with the number of replicas asked for."""
    for part in (state.stable, state.canary, state.shadow):
        if part and part.id == new.id:
            return dataclasses.replace(part, replicas=new.replicas)
    return new


def _shadowed(state: State, new: Revision) -> State:
    if state.stable is None:
        raise ModelError("nothing answers yet that it could be a shadow of: deploy a model first, without shadow")
    if state.stable.id == new.id:
        raise ModelError(f"revision {new.id} is the one that answers; a shadow is another model")
    canary = _other(state.canary, new)
    return dataclasses.replace(state, shadow=new, canary=canary, percent=state.percent if canary else 0)


def _other(part: Revision | None, new: Revision) -> Revision | None:
    return part if part and part.id != new.id else None


# -- where it is kept -----------------------------------------------------------------------------------------------


def config_map_name(model: str) -> str:
    """Returns the name of the ConfigMap with a model's state."""
    return f"model-{model}"


def config_map(model: str, namespace: str, state: State, about: t.Mapping[str, t.Any]) -> Object:
    """Returns the ConfigMap that keeps a model's state.

    Args:
        about: what readers of the list of models are told besides: engine, addresses.
    """
    document = {"version": 1, "name": model, "namespace": namespace, **about, **state.to_dict()}
    return {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": config_map_name(model), "namespace": namespace, "labels": labels(model)},
        "data": {"state.json": json.dumps(document, indent=1, sort_keys=True)},
    }


def of_config_map(found: Object | None) -> State:
    """Returns the state that a ConfigMap keeps.

    Raises:
        ModelError: when somebody has written something else into it.
    """
    if found is None:
        return State()
    try:
        return State.from_dict(json.loads(found["data"]["state.json"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        meta = found["metadata"]
        raise ModelError(
            f"ConfigMap {meta['namespace']}/{meta['name']} does not hold the state of a model ({type(error).__name__}). "
            "state: absent removes the model and all that belongs to it."
        ) from None
