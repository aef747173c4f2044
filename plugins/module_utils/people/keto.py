# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ory Keto: who belongs to which group, and which group may enter which service, as relation tuples."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.people.asking import ask
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import ServiceError

_PAGE = 500

# (namespace, object, relation, subject): a subject is an identity's id, or "group:<name>" for the members of a group.
Tuple = tuple[str, str, str, str]


def membership(group: str, identity: str) -> Tuple:
    """Returns the tuple that makes an identity a member of a group."""
    return ("Group", group, "members", identity)


def entry(service: str, group: str) -> Tuple:
    """Returns the tuple that lets the members of a group enter a service."""
    return ("Service", service, "access", f"group:{group}")


class Keto:
    """Keto's read and write API, through the API server's proxy.

    Args:
        cluster: connection to the API server.
        namespace: where Keto runs.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace

    def tuples(self, kind: str) -> set[Tuple]:
        """Returns all tuples of a namespace of Keto's: Group or Service."""
        found: set[Tuple] = set()
        token = ""
        while True:
            query = {"namespace": kind, "page_size": _PAGE, **({"page_token": token} if token else {})}
            answer = ask(self._cluster, self._namespace, "keto-read", "GET", "/relation-tuples", query=query)
            if answer.status != 200:
                raise ServiceError(f"Keto would not list the tuples of {kind}: HTTP {answer.status}")
            found |= {_read(raw) for raw in answer.body.get("relation_tuples") or []}
            token = answer.body.get("next_page_token") or ""
            if not token:
                return found

    def change(self, added: set[Tuple], removed: set[Tuple]) -> None:
        """Adds and removes tuples, all or none."""
        deltas = [{"action": "insert", "relation_tuple": _written(one)} for one in sorted(added)]
        deltas += [{"action": "delete", "relation_tuple": _written(one)} for one in sorted(removed)]
        if not deltas:
            return
        answer = ask(self._cluster, self._namespace, "keto-write", "PATCH", "/admin/relation-tuples", body=deltas)
        if answer.status not in (200, 201, 204):
            raise ServiceError(f"Keto would not change {len(deltas)} tuples: HTTP {answer.status} {str(answer.body)[:300]}")


def _read(raw: dict[str, t.Any]) -> Tuple:
    group = (raw.get("subject_set") or {}).get("object")
    return (raw["namespace"], raw["object"], raw["relation"], f"group:{group}" if group else str(raw.get("subject_id")))


def _written(one: Tuple) -> dict[str, t.Any]:
    namespace, name, relation, subject = one
    kind, _colon, group = subject.partition(":")
    who = {"subject_set": {"namespace": "Group", "object": group, "relation": "members"}} if kind == "group" and group else {"subject_id": subject}
    return {"namespace": namespace, "object": name, "relation": relation, **who}
