# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pull secret of ``platform_registries`` in plans and service accounts.

Pods of the platform name it themselves, by ``platform_image_pull_secrets``. Service accounts name it for pods that people
make. The account ``default``, which Kubernetes makes in each namespace, is only added to: it is nobody's plan, and what
others have put there stays.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import masking
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import Outcome
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import Plan
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins as _logins

_ACCOUNT = "default"
# Kinds whose objects bring pods into their namespace.
_PODS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ServiceAccount", "Cluster"}


def with_secrets(plans: list[Plan], logins: list[_logins.Login]) -> list[Plan]:
    """Returns the plans with a pull secret in each of their namespaces, and named by each of their service accounts."""
    return [_with_secret(plan, logins) for plan in plans] if logins else plans


def namespaces(plan: Plan) -> list[str]:
    """Returns the namespaces in which a plan makes pods, or may let others make them."""
    found = dict.fromkeys([plan.namespace])
    for phase in plan.phases.values():
        found |= dict.fromkeys(obj["metadata"]["name"] for obj in phase.objects if obj["kind"] == "Namespace")
        found |= dict.fromkeys(str(obj["metadata"]["namespace"]) for obj in phase.objects
                               if obj["kind"] in _PODS and obj["metadata"].get("namespace"))
    return sorted(found)


def _with_secret(plan: Plan, logins: list[_logins.Login]) -> Plan:
    phases = {
        name: dataclasses.replace(phase, objects=tuple(map(_named, phase.objects))) for name, phase in plan.phases.items()
    }
    made = [_logins.secret(namespace, logins) for namespace in namespaces(plan)]
    return dataclasses.replace(plan, phases=phases, secrets=(*plan.secrets, *made))


def _named(obj: Object) -> Object:
    if obj["kind"] != "ServiceAccount":
        return obj
    names = list(obj.get("imagePullSecrets") or [])
    return obj if {"name": _logins.SECRET} in names else {**obj, "imagePullSecrets": [*names, {"name": _logins.SECRET}]}


def ensure_accounts(cluster: Cluster, spaces: t.Iterable[str], check: bool = False) -> list[Outcome]:
    """Lets the account ``default`` of each namespace name the pull secret, beside what it names already.

    Args:
        spaces: namespaces of the platform; one that is not there yet is left out in check mode.
    """
    outcomes = []
    for space in spaces:
        live = cluster.get("v1", "ServiceAccount", _ACCOUNT, space)
        if live is None and check:
            continue
        if live is None:
            # Kubernetes makes it within moments of the namespace; until then it is made here in the same form.
            live = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT, "namespace": space}}
            outcomes.append(Outcome(ref(live), "created"))
            cluster.apply({**live, "imagePullSecrets": [{"name": _logins.SECRET}]})
            continue
        names = list(live.get("imagePullSecrets") or [])
        if {"name": _logins.SECRET} in names:
            outcomes.append(Outcome(ref(live), "unchanged"))
            continue
        after = cluster.patch_merge(live, {"imagePullSecrets": [*names, {"name": _logins.SECRET}]}, dry_run=check)
        outcomes.append(Outcome(ref(live), "updated", masking.diff(live, after)))
    return outcomes
