# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network policies from the service catalogue: pods that are reached through the gateway are reached no other way."""

from __future__ import annotations

import hashlib
import json
import typing as t

_NAMESPACE = "kubernetes.io/metadata.name"


def policies(entries: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Returns a NetworkPolicy for each set of pods that an entry's ``selector`` names.

    It admits the gateway's proxies to the pods' ports, the pods' own namespace and the namespaces in ``clients``.

    Args:
        entries: of services.normalise().
        settings: with ``proxy_namespace`` and ``proxy_labels`` of the gateway's proxies.
    """
    groups: dict[str, list[dict[str, t.Any]]] = {}
    for entry in entries:
        if entry["selector"]:
            groups.setdefault(json.dumps([entry["namespace"], entry["selector"]], sort_keys=True), []).append(entry)
    return [_policy(key, members, settings) for key, members in sorted(groups.items())]


def _policy(key: str, members: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> dict[str, t.Any]:
    first = min(members, key=lambda entry: entry["name"])
    ports = sorted({entry["target_port"] for entry in members})
    clients = sorted({space for entry in members for space in entry["clients"]})
    proxies = {
        "namespaceSelector": {"matchLabels": {_NAMESPACE: settings["proxy_namespace"]}},
        "podSelector": {"matchLabels": settings.get("proxy_labels") or {}},
    }
    mark = hashlib.sha256(key.encode()).hexdigest()[:6]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"access-{first['name'][:48]}-{mark}", "namespace": first["namespace"]},
        "spec": {
            "podSelector": {"matchLabels": first["selector"]},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [proxies], "ports": [{"protocol": "TCP", "port": port} for port in ports]},
                {"from": [{"podSelector": {}}, *({"namespaceSelector": {"matchLabels": {_NAMESPACE: space}}} for space in clients)]},
            ],
        },
    }
