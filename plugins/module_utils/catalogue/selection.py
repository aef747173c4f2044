# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which components are installed: those that were chosen, and what they need. Pure functions."""

from __future__ import annotations

import graphlib
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.lock import CatalogueError


def select(catalogue: dict[str, dict[str, t.Any]], chosen: list[str] | str) -> list[str]:
    """Returns the chosen components and all that they need, each after what it needs.

    Args:
        catalogue: by component, its ``needs``, and ``brings``: what is selected with it, but may be absent all the same.
        chosen: names; a text with commas is taken for a list.

    Raises:
        CatalogueError: naming every unknown component and those that there are.
    """
    names = [name.strip() for name in chosen.split(",") if name.strip()] if isinstance(chosen, str) else list(chosen)
    unknown = sorted(set(names) - set(catalogue))
    if unknown or not names:
        raise CatalogueError(
            f"platform_components: {'unknown: ' + ', '.join(unknown) if unknown else 'is empty'}; "
            f"choose from {', '.join(sorted(catalogue))}"
        )
    graph: dict[str, list[str]] = {}
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in graph:
            graph[name] = [other for kind in ("needs", "brings") for other in catalogue[name].get(kind) or []]
            lost = sorted(set(graph[name]) - set(catalogue))
            if lost:
                raise CatalogueError(f"component '{name}' needs {', '.join(lost)}, which the catalogue does not have")
            open_names += graph[name]
    return _stable_order(graph)


def _stable_order(graph: dict[str, list[str]]) -> list[str]:
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise CatalogueError(f"components need each other in a circle: {' -> '.join(error.args[1])}") from error
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


def requests(catalogue: dict[str, dict[str, t.Any]], selected: list[str], kind: str) -> list[dict[str, t.Any]]:
    """Returns what the selected components ask of another: their ``databases``, ``buckets`` or ``calls``.

    A bucket that several ask for is the first one's; the others say in their ``calls`` that they use it.
    """
    found = [{**entry, "component": name} for name in selected for entry in catalogue[name].get(kind) or []]
    if kind == "buckets":
        first = {entry["name"]: number for number, entry in reversed(list(enumerate(found)))}
        found = [entry for number, entry in enumerate(found) if first[entry["name"]] == number]
    return found


def gaps(catalogue: dict[str, dict[str, t.Any]], states: dict[str, str]) -> list[str]:
    """Returns what is wrong where a component shall be absent that another, which stays, needs: a sentence for each.

    Args:
        states: by selected component, each after what it needs, the value of its ``<name>_state``.
    """
    found = []
    for name in (name for name, state in states.items() if state == "absent"):
        users = [user for user, state in states.items() if state != "absent" and name in (catalogue[user].get("needs") or [])]
        if users:
            found.append(f"{name}_state is absent, but {', '.join(users)} cannot do without: set {name}_state to present, or "
                         f"{', '.join(f'{user}_state' for user in users)} to absent too")
    return found


def artifacts(
    selected: list[str], with_images: bool = True, modes: dict[str, str | list[str]] | None = None
) -> list[str]:
    """Returns what must be built for the selected components, in the names of the ``build`` action.

    Args:
        modes: by component, the value of its ``<name>_mode``, or all that hold of several; images that the lock file has for
            other modes are left out.
    """
    found: dict[str, None] = {}
    for name in selected:
        found.update(dict.fromkeys(f"binary/{binary}" for binary in lock.component(name).get("binaries") or []))
        if with_images:
            found.update(dict.fromkeys(f"image/{image['built']}" for image in images(name, modes).values() if image.get("built")))
    return list(found)


def images(name: str, modes: t.Mapping[str, str | list[str]] | None = None) -> dict[str, dict[str, t.Any]]:
    """Returns the lock file's images of a component in its mode, by role.

    Args:
        modes: as ``artifacts`` has it; a component that is not named there has all of them.
    """
    mode = (modes or {}).get(name)
    holding = [mode] if isinstance(mode, str) else mode
    return {role: image for role, image in (lock.component(name).get("images") or {}).items()
            if holding is None or not image.get("modes") or set(holding) & set(image["modes"])}
