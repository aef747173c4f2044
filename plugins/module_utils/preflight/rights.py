# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights the plans need, which of them the account lacks, and the roles that give them.

The server is asked with SelfSubjectAccessReview, which everybody may create and which is never stored
(https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access).
"""

from __future__ import annotations

import concurrent.futures
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import Finding, error, note, ok, shortened
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs

VERBS = ("get", "list", "create", "patch", "delete")
_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_THREADS = 8


class Right(t.NamedTuple):
    """One right; an empty namespace means the whole cluster."""

    group: str
    resource: str
    namespace: str
    verb: str

    @property
    def what(self) -> str:
        """The resource as kubectl names it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


# What runs need beside the objects of the plans: records, the lock, Helm's own Secrets, reasons why something is not ready.
_ALWAYS = (("", "configmaps"), ("", "secrets"), ("coordination.k8s.io", "leases"))
_READ = (("", "pods"), ("", "events"), ("apps", "replicasets"))


def needed(needs: Needs, space: str, resource: t.Callable[[str, str], tuple[str, str, bool] | None]) -> set[Right]:
    """Returns the rights that a run with these plans needs.

    Args:
        space: the platform's own namespace.
        resource: by apiVersion and kind, group, plural and whether it is namespaced; None for what is not served yet.
    """
    found = {Right(group, plural, space, verb) for group, plural in _ALWAYS for verb in VERBS}
    for namespace in needs.namespaces:
        found |= {Right("", "secrets", namespace, verb) for verb in VERBS}
        found |= {Right(group, plural, namespace, verb) for group, plural in _READ for verb in ("get", "list")}
        found.add(Right("", "pods/log", namespace, "get"))
    found |= {Right("", "serviceaccounts", namespace, verb) for namespace in needs.accounts for verb in ("get", "patch")}
    if needs.definitions:
        found |= {Right("apiextensions.k8s.io", "customresourcedefinitions", "", verb) for verb in VERBS}
    for obj in needs.objects:
        served = resource(obj["apiVersion"], obj["kind"])
        if served is None:
            continue
        group, plural, namespaced = served
        namespace = str(obj["metadata"].get("namespace") or "") if namespaced else ""
        found |= {Right(group, plural, namespace, verb) for verb in VERBS if verb != "list"}
    return found


def lacking(cluster: Cluster, wanted: set[Right]) -> set[Right]:
    """Returns those of the rights that the account does not have; asks as little as possible.

    An administrator costs one question; then each right is asked for in the whole cluster, then in its namespace.
    """
    if not wanted or _allowed(cluster, Right("*", "*", "", "*")):
        return set()
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        wide = sorted({right._replace(namespace="") for right in wanted})
        everywhere = {right for right, yes in zip(wide, pool.map(lambda one: _allowed(cluster, one), wide), strict=True) if yes}
        open_rights = sorted(right for right in wanted if right._replace(namespace="") not in everywhere)
        narrow = [right for right in open_rights if right.namespace]
        there = {right for right, yes in zip(narrow, pool.map(lambda one: _allowed(cluster, one), narrow), strict=True) if yes}
    return set(open_rights) - there


def _allowed(cluster: Cluster, right: Right) -> bool:
    resource, _slash, part = right.resource.partition("/")
    attributes = {"group": right.group, "resource": resource, "verb": right.verb, "namespace": right.namespace,
                  **({"subresource": part} if part else {})}
    answer = cluster.request("POST", _PATH, body={
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}})
    return bool((answer.get("status") or {}).get("allowed"))


def findings(missing: set[Right], asked: int) -> list[Finding]:
    """Returns what to tell of the rights that are missing: one finding for the cluster, one for each namespace."""
    if not missing:
        return [ok("rights", f"the account has all {asked} rights that this platform needs")]
    found = []
    for namespace in sorted({right.namespace for right in missing}):
        lines: dict[tuple[str, ...], list[str]] = {}
        for what in sorted({right.what for right in missing if right.namespace == namespace}):
            verbs = tuple(verb for verb in VERBS for right in missing
                          if right.namespace == namespace and right.what == what and right.verb == verb)
            lines.setdefault(verbs, []).append(what)
        where = f"in namespace {namespace}" if namespace else "in the whole cluster"
        cause = "\n".join(f"the account may not {', '.join(verbs)} {shortened(names, 12)} {where}" for verbs, names in lines.items())
        found.append(error("rights", cause, (
            "an administrator gives the account the roles that -e platform_preflight_rights_file=FILE writes down, or runs the "
            "platform once; see docs/preflight.md" if namespace else
            "an administrator makes what concerns the whole cluster, or gives the account the ClusterRole that "
            "-e platform_preflight_rights_file=FILE writes down"
        )))
    return found


def unasked(kinds: list[str]) -> list[Finding]:
    """Returns a note on kinds whose rights cannot be asked for, since the cluster does not serve them yet."""
    if not kinds:
        return []
    return [note("rights", f"not asked for yet, since their definitions come with the platform: {shortened(kinds, 12)}")]


def roles(missing: set[Right], account: dict[str, t.Any]) -> list[Object]:
    """Returns the roles that give the missing rights, and their bindings.

    Args:
        account: ``username`` of the account, as the server knows it; empty: the bindings name somebody to be filled in.
    """
    found: list[Object] = []
    name = str(account.get("username") or "FILL-IN")
    prefix = "system:serviceaccount:"
    subject: Object = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    if name.startswith(prefix):
        space, _colon, short = name.removeprefix(prefix).partition(":")
        subject = {"kind": "ServiceAccount", "name": short, "namespace": space}
    for namespace in sorted({right.namespace for right in missing}):
        kind = "Role" if namespace else "ClusterRole"
        meta = {"name": "openmlops-installer", "labels": LABELS, **({"namespace": namespace} if namespace else {})}
        found.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta,
                      "rules": _rules([right for right in missing if right.namespace == namespace])})
        found.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": f"{kind}Binding", "metadata": meta, "subjects": [subject],
                      "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": meta["name"]}})
    return found


def _rules(missing: list[Right]) -> list[Object]:
    verbs: dict[tuple[str, str], set[str]] = {}
    for right in missing:
        verbs.setdefault((right.group, right.resource), set()).add(right.verb)
    merged: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), which in sorted(verbs.items()):
        merged.setdefault((group, tuple(verb for verb in VERBS if verb in which)), []).append(resource)
    return [{"apiGroups": [group], "resources": resources, "verbs": list(which)} for (group, which), resources in merged.items()]
