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

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS, Object, ref
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import Finding, error, note, ok, shortened
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs

# In the order in which they are told; others come after these.
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "bind", "escalate")
# What apply, prune and remove need of an object.
_OBJECT = ("get", "create", "patch", "delete")
_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RBAC = "rbac.authorization.k8s.io"
_HOOK = "helm.sh/hook"
_THREADS = 8


class Right(t.NamedTuple):
    """One right; an empty namespace means the whole cluster, an empty name all objects. A resource that starts with / is a path."""

    group: str
    resource: str
    namespace: str
    verb: str
    name: str = ""

    @property
    def what(self) -> str:
        """The resource as kubectl names it."""
        return (f"{self.resource}.{self.group}" if self.group else self.resource) + (f" ({self.name})" if self.name else "")


# What runs need beside the objects of the plans. In the platform's own namespace: records, and the lock, which is replaced.
_SPACE = (("", "configmaps", ("get", "list", "create", "patch", "delete")),
          ("coordination.k8s.io", "leases", ("get", "create", "update")))
# In each namespace: Secrets, those in which Helm keeps its releases too; reasons why something is not ready; and pods that are told
# of a changed ConfigMap, or are broken and block the ones that follow them.
_EVERYWHERE = (("", "secrets", ("get", "list", "create", "update", "patch", "delete")), ("", "pods", ("get", "list", "patch", "delete")),
               ("", "pods/log", ("get",)), ("", "events", ("get", "list")), ("apps", "replicasets", ("get", "list")))
# A port of a pod: the request that opens it is a GET, and since Kubernetes 1.35 it takes the right to create as well.
_PORT = ("", "pods/portforward", ("get", "create"))
# In the namespace of a component.
_BESIDE: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    # People are brought to Kratos and Keto by their services; Oathkeeper's decisions are asked for by a port.
    "ory": (("", "services/proxy", ("get", "create", "update", "patch", "delete")), _PORT, ("", "configmaps", ("get",))),
    # playbooks/backup.yml and restore.yml: their Jobs, and the pod that reads.
    "backup": (_PORT, ("", "pods", ("create",)), ("batch", "jobs", ("get", "list", "create", "patch", "delete")),
               ("", "persistentvolumeclaims", ("get",))),
}


def needed(needs: Needs, space: str, resource: t.Callable[[str, str], tuple[str, str, bool] | None]) -> set[Right]:
    """Returns the rights that runs with these plans need: to install, to update, to remove.

    Args:
        space: the platform's own namespace.
        resource: by apiVersion and kind, group, plural and whether it is namespaced; None for what is not served yet.
    """
    found = _each(_SPACE, space)
    for namespace in needs.namespaces:
        found |= _each(_EVERYWHERE, namespace)
    for component, namespace in needs.components:
        found |= _each(_BESIDE.get(component, ()), namespace)
    found |= {Right("", "serviceaccounts", namespace, verb) for namespace in needs.accounts for verb in ("get", "create", "patch")}
    if needs.definitions:
        found |= {Right("apiextensions.k8s.io", "customresourcedefinitions", "", verb) for verb in ("list", *_OBJECT)}
    own_roles = {(obj["kind"], str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"]) for obj in needs.objects
                 if obj["kind"] in ("Role", "ClusterRole")}
    for obj in needs.objects:
        served = resource(obj["apiVersion"], obj["kind"])
        if served is None:
            continue
        group, plural, namespaced = served
        namespace = _namespace_of(obj, needs) if namespaced else ""
        # Helm waits for what runs before or after an installation.
        hook = ("list", "watch") if _HOOK in (obj["metadata"].get("annotations") or {}) and obj["kind"] in ("Job", "Pod") else ()
        found |= {Right(group, plural, namespace, verb) for verb in (*_OBJECT, *hook)}
        found |= _passed_on(obj, namespace, own_roles)
    for entry in needs.offspring:
        served = resource(entry["api_version"], entry["kind"])
        if served is not None:
            verbs = ("get", "list", "patch", "delete") if entry.get("finalizer") else ("get", "list", "delete")
            found |= {Right(*served[:2], str(entry["namespace"]) if served[2] else "", verb) for verb in verbs}
    return found


def _each(entries: t.Iterable[tuple[str, str, tuple[str, ...]]], namespace: str) -> set[Right]:
    return {Right(group, plural, namespace, verb) for group, plural, verbs in entries for verb in verbs}


def _namespace_of(obj: Object, needs: Needs) -> str:
    # A chart's object of a kind that is not served yet may name none: it lands in the release's.
    return str(obj["metadata"].get("namespace") or "") or needs.release_of.get(ref(obj), "").partition("/")[0]


def _passed_on(obj: Object, namespace: str, own: t.Container[tuple[str, str, str]]) -> set[Right]:
    """Returns the rights that one must have to give them to others
    (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping)."""
    name = obj["metadata"]["name"]
    if obj["kind"] in ("Role", "ClusterRole"):
        found = {right for rule in obj.get("rules") or [] for right in _of_rule(rule, namespace)}
        # Its rules are gathered from other roles, so nobody can have them beforehand.
        return found | ({Right(_RBAC, "clusterroles", "", "escalate", name)} if obj.get("aggregationRule") else set())
    if obj["kind"] in ("RoleBinding", "ClusterRoleBinding"):
        kind, role = obj["roleRef"]["kind"], obj["roleRef"]["name"]
        if (kind, namespace if kind == "Role" else "", role) not in own:
            return {Right(_RBAC, "roles" if kind == "Role" else "clusterroles", namespace, "bind", role)}
    return set()


def _of_rule(rule: dict[str, t.Any], namespace: str) -> t.Iterator[Right]:
    for verb in rule.get("verbs") or []:
        for path in rule.get("nonResourceURLs") or []:
            yield Right("", path if path.startswith("/") else f"/{path}", "", verb)
        for group in rule.get("apiGroups") or []:
            for plural in rule.get("resources") or []:
                for name in rule.get("resourceNames") or [""]:
                    yield Right(group, plural, namespace, verb, name)


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
    if right.resource.startswith("/"):
        spec: dict[str, t.Any] = {"nonResourceAttributes": {"path": right.resource, "verb": right.verb}}
    else:
        resource, _slash, part = right.resource.partition("/")
        spec = {"resourceAttributes": {
            "group": right.group, "resource": resource, "verb": right.verb, "namespace": right.namespace,
            **({"subresource": part} if part else {}), **({"name": right.name} if right.name else {})}}
    answer = cluster.request("POST", _PATH, body={
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec})
    return bool((answer.get("status") or {}).get("allowed"))


def findings(missing: set[Right], asked: int) -> list[Finding]:
    """Returns what to tell of the rights that are missing: one finding for the cluster, one for each namespace."""
    if not missing:
        return [ok("rights", f"the account has all {asked} rights that this platform needs")]
    found = []
    for namespace in sorted({right.namespace for right in missing}):
        lines: dict[tuple[str, ...], list[str]] = {}
        for what in sorted({right.what for right in missing if right.namespace == namespace}):
            verbs = _ordered({right.verb for right in missing if right.namespace == namespace and right.what == what})
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


def roles(wanted: set[Right], account: dict[str, t.Any]) -> list[Object]:
    """Returns the roles that give rights, and their bindings.

    Args:
        wanted: all that a run needs, not only what is missing: applied again, a role has the new rules in place of the old ones.
        account: ``username`` of the account, as the server knows it; empty: the bindings name somebody to be filled in.
    """
    found: list[Object] = []
    name = str(account.get("username") or "FILL-IN")
    prefix = "system:serviceaccount:"
    subject: Object = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    if name.startswith(prefix):
        space, _colon, short = name.removeprefix(prefix).partition(":")
        subject = {"kind": "ServiceAccount", "name": short, "namespace": space}
    for namespace in sorted({right.namespace for right in wanted}):
        kind = "Role" if namespace else "ClusterRole"
        meta = {"name": "openmlops-installer", "labels": LABELS, **({"namespace": namespace} if namespace else {})}
        found.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta,
                      "rules": _rules([right for right in wanted if right.namespace == namespace])})
        found.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": f"{kind}Binding", "metadata": meta, "subjects": [subject],
                      "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": meta["name"]}})
    return found


def _rules(wanted: list[Right]) -> list[Object]:
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for right in wanted:
        verbs.setdefault((right.group, right.resource, right.name), set()).add(right.verb)
    merged: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, resource, name), which in sorted(verbs.items()):
        merged.setdefault(("/" if resource.startswith("/") else group, name, _ordered(which)), []).append(resource)
    return [
        {"nonResourceURLs": resources, "verbs": list(which)} if group == "/" else
        {"apiGroups": [group], "resources": resources, **({"resourceNames": [name]} if name else {}), "verbs": list(which)}
        for (group, name, which), resources in merged.items()
    ]


def _ordered(verbs: set[str]) -> tuple[str, ...]:
    return (*(verb for verb in VERBS if verb in verbs), *sorted(verbs - set(VERBS)))
