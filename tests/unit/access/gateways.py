# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all gateways' objects share: entries, settings, made-up catalogues, and definitions closed to unknown fields."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import dispatch

UPSTREAM = Path(os.environ.get("OPENMLOPS_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "upstream"


def entry(name="mlflow", **given_keys):
    base = {
        "name": name, "title": name, "description": "", "host": "ml.example.org", "prefix": f"/{name}", "service": name,
        "namespace": name, "port": 80, "target_port": 80, "selector": {}, "clients": [], "methods": ["GET"],
        "allow": "authenticated", "api": False, "identity": "none", "strip_prefix": False, "websocket": False,
        "timeout": 300, "idle_timeout": 3600, "landing": True,
    }
    return {**base, **given_keys}


def settings(gateway: str, home: str, **given_keys: t.Any) -> dict[str, t.Any]:
    """The settings of a gateway whose objects live in the namespace ``home``."""
    base = {
        "gateway": gateway, "hostname": "ml.example.org", "scheme": "https", "port": 443, "gateway_namespace": home,
        "proxy_namespace": home, "proxy_labels": {}, "tls_secret": "platform-tls",
        "oathkeeper": {"namespace": "ory", "service": "oathkeeper-api", "port": 4456}, "options": {},
    }
    return {**base, **given_keys}


def specs(given: dict[str, t.Any], entries: t.Iterable[dict[str, t.Any]]) -> dict[tuple[str, str], dict[str, t.Any]]:
    """By kind and name, the specs of the objects for entries; all of them in the gateway's namespace."""
    found = dispatch.objects(list(entries), given)["routes"]
    result = {(obj["kind"], obj["metadata"]["name"]): obj["spec"] for obj in found}
    assert len(result) == len(found)
    assert {obj["metadata"]["namespace"] for obj in found} == {given["gateway_namespace"]}
    return result


def closed(node):
    if isinstance(node, dict):
        node = {key: closed(value) for key, value in node.items() if key != "format"}
        if node.get("x-kubernetes-int-or-string"):
            node.pop("type", None)
            return {"type": ["integer", "string"]}
        if isinstance(node.get("properties"), dict) and "additionalProperties" not in node \
                and not node.get("x-kubernetes-preserve-unknown-fields"):
            if set(node["properties"]) != {"apiVersion", "kind", "metadata", "spec", "status"}:
                node["additionalProperties"] = False
    elif isinstance(node, list):
        node = [closed(value) for value in node]
    return node


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
HOSTS = st.sampled_from(["ml.example.org", "hub.example.org", "10.201.0.2", "127.0.0.1"])
SEGMENTS = st.from_regex(r"[A-Za-z0-9._~-]{1,12}", fullmatch=True).filter(lambda text: text.strip("."))
ENTRIES = st.builds(
    entry, name=NAMES, host=HOSTS, prefix=st.lists(SEGMENTS, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts)),
    service=NAMES, namespace=NAMES, port=st.integers(1, 65535), strip_prefix=st.booleans(),
    timeout=st.integers(0, 400_000), idle_timeout=st.integers(0, 400_000),
    allow=st.one_of(st.sampled_from(["public", "authenticated", "nobody"]), st.lists(NAMES, min_size=1, max_size=3)),
)
CATALOGUES = st.lists(ENTRIES, max_size=25, unique_by=lambda one: one["name"])
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "B", "x"]), max_size=4).map(lambda parts: "/" + "/".join(parts))
