# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from all entries of the service catalogue together becomes the component ``access``. Pure functions.

Each component says in its plan which ``services`` it offers, the gateway's component what its ``gateway`` is like, and the
component ``access`` how people get in. All of it is recorded in the cluster, so that a run of one role alone derives the same
whole: the entries of the components that it does not touch come from their records.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access import network
from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import dispatch
from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError, normalise
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, labelled
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import Phase, Plan
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.refresh import REFRESH_ANNOTATION

ACCESS = "access"
CATALOGUE = "service-catalogue"
RULES = "oathkeeper-rules"


def derived(wanted: list[Plan], known: dict[str, Record]) -> list[Plan]:
    """Returns the plans, that of ``access`` with all that follows from the catalogue.

    Args:
        wanted: the plans of this run.
        known: the records of what is installed; those of components among ``wanted`` do not count.

    Raises:
        AccessError: when entries contradict each other; all problems at once.
    """
    parts = {name: record.catalogue for name, record in known.items() if not record.about.get("removed")}
    parts |= {plan.component: plan.catalogue for plan in wanted}
    access = parts.get(ACCESS, {}).get(ACCESS)
    if not access:
        return wanted
    phases = _phases(parts, access)
    own = next((plan for plan in wanted if plan.component == ACCESS), None)
    if own is None:
        found = known[ACCESS]
        own = Plan(ACCESS, found.namespace, found.about, (), {}, found.catalogue)
    merged = {
        **own.phases,
        **{name: dataclasses.replace(own.phases.get(name, Phase()), objects=tuple(
            [*own.phases.get(name, Phase()).objects, *(labelled(obj, ACCESS) for obj in objects)]))
           for name, objects in phases.items()},
    }
    return [*(plan for plan in wanted if plan.component != ACCESS), dataclasses.replace(own, phases=merged)]


def _phases(parts: dict[str, dict[str, t.Any]], access: dict[str, t.Any]) -> dict[str, list[Object]]:
    services = [entry for name in sorted(parts) for entry in parts[name].get("services") or []]
    entries = normalise(services + list(access.get("services") or []), access["hostname"])
    _check_groups(entries, access.get("groups") or [])
    gateway = next((part["gateway"] for name, part in sorted(parts.items()) if part.get("gateway") and name == access["gateway"]), {})
    # Where people make ways themselves, below a prefix of the catalogue (component models).
    shared = [part["shared"] for _name, part in sorted(parts.items()) if part.get("shared")]
    settings = {**{key: value for key, value in access.items() if key not in ("services", "rules", "groups")}, **gateway,
                "shared_namespaces": sorted({str(space) for entry in shared for space in entry["namespaces"]}),
                "shared_prefixes": sorted({str(entry["prefix"]).rstrip("/") for entry in shared})}
    documents = rules(entries, access["hostname"], access["login_url"], access["check_url"], access.get("rules"))
    oathkeeper = access["oathkeeper"]["namespace"]
    catalogue = json.dumps({"url": access["url"], "services": entries}, indent=1, sort_keys=True)
    spaces = dict.fromkeys([access["namespace"], access["portal_namespace"]])
    return {
        "preparation": [
            _config(RULES, oathkeeper, {"access-rules.json": json.dumps(documents, indent=1, sort_keys=True)},
                    {"namespace": oathkeeper, "selector": "openmlops.io/part=oathkeeper"}),
            *(_config(CATALOGUE, space, {"catalogue.json": catalogue},
                      {"namespace": space, "selector": "openmlops.io/component=portal"}) for space in spaces),
        ],
        "routes": [*dispatch.objects(entries, settings)["routes"], *network.policies(entries, settings)],
    }


def _check_groups(entries: list[dict[str, t.Any]], known: list[str]) -> None:
    """Raises AccessError when a service lets in a group that is not among those of the inventory, if that names any."""
    problems = [
        f"service '{entry['name']}': allow: platform_groups has no {group}; add it there or take it out here"
        for entry in entries if isinstance(entry["allow"], list) for group in entry["allow"] if known and group not in known
    ]
    if problems:
        raise AccessError("\n".join(problems))


def _config(name: str, namespace: str, data: dict[str, str], readers: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "annotations": {REFRESH_ANNOTATION: json.dumps(readers)}},
        "data": data,
    }
