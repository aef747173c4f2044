# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server itself says: of the objects for all three gateways, and of Services that would take Emissary down."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import dispatch
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import normalise

UPSTREAM = Path(os.environ.get("OPENMLOPS_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "upstream"
FILES = {
    "ambassador": "ambassador/crds/*.yaml", "istio": "istio/crds/*.yaml",
    "envoy_gateway": "gateway/gateway-api/standard/*.yaml", "policies": "gateway/envoy-gateway/crds/*.yaml",
}
# Every feature of the catalogue at least once.
SERVICES = [
    {"name": "root", "prefix": "/", "allow": "authenticated"},
    {"name": "public", "prefix": "/public/a/", "allow": "public", "strip_prefix": True, "timeout": 0, "idle_timeout": 0},
    {"name": "team", "prefix": "/team", "allow": ["team", "admins"], "api": True, "identity": "headers", "websocket": True, "timeout": 604800},
    {"name": "closed", "prefix": "/team/closed/", "allow": "nobody"},
    {"name": "hub", "prefix": "/", "host": "hub.example.org", "allow": "authenticated", "identity": "id_token", "idle_timeout": 60},
    {"name": "address", "prefix": "/x.y~z_1-2/", "host": "192.0.2.1", "allow": "authenticated", "methods": ["GET", "HEAD"]},
]
OPTIONS = {
    "ambassador": {"proxy_protocol": True, "trusted_hops": 1, "tls_min_version": "1.3", "module": {"server_name": "ml"},
                   "mappings": [{"name": "canary", "hostname": "*", "prefix": "/team/", "service": "next.team:80", "weight": 10}]},
    "envoy_gateway": {"proxy_protocol": True, "trusted_hops": 1, "tls_min_version": "1.3"},
    "istio": {"trusted_hops": 1, "tls_min_version": "1.3"},
}
ANNOTATION = "getambassador.io/config"
SPACE = "gateway-objects"


def v3alpha1_only(definition: dict) -> dict:
    """Returns a definition of Emissary's as its chart installs it: one version, no conversion."""
    versions = [{**version, "storage": True} for version in definition["spec"]["versions"] if version["name"] == "v3alpha1"]
    spec = {key: value for key, value in definition["spec"].items() if key != "conversion"}
    return {**definition, "spec": {**spec, "versions": versions}}


@pytest.fixture(scope="module")
def definitions(cluster):
    """The definitions of all three gateways; those that were not there before go again."""
    if not UPSTREAM.is_dir():
        pytest.skip(f"no folder {UPSTREAM} (OPENMLOPS_SHARED names its parent)")
    there = set(cluster.kubectl("get", "crd", "-o", "name").split())
    wanted = []
    for kind, pattern in FILES.items():
        for path in sorted(UPSTREAM.glob(pattern)):
            found = [one for one in yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) if one]
            wanted += [v3alpha1_only(one) if kind == "ambassador" else one for one in found if one["kind"] == "CustomResourceDefinition"]
    new = [one for one in wanted if f"customresourcedefinition.apiextensions.k8s.io/{one['metadata']['name']}" not in there]
    names = [f"crd/{one['metadata']['name']}" for one in new]
    try:
        if new:
            items = json.dumps({"apiVersion": "v1", "kind": "List", "items": new})
            cluster.kubectl("apply", "--server-side", "-f", "-", stdin=items, timeout=300)
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", *names, timeout=180)
        yield
    finally:
        if names:
            cluster.kubectl("delete", "--ignore-not-found", "--wait=false", *names, check=False)


def objects(gateway: str, tls: str, options: dict) -> list[dict]:
    entries = normalise([{"service": one["name"], "namespace": "default", "port": 80, **one} for one in SERVICES], "ml.example.org")
    found = dispatch.objects(entries, {
        "gateway": gateway, "port": 8443, "gateway_namespace": "default", "proxy_labels": {"example.org/proxy": "yes"}, "tls_secret": tls,
        "oathkeeper": {"namespace": "default", "service": "oathkeeper-api", "port": 4456}, "options": options,
    })["routes"]
    for obj in found:
        obj["metadata"]["namespace"] = "default"
    return found


def apply(cluster, found: list[dict], check: bool = True) -> str:
    """Has the server validate objects strictly, with the definitions as they are; nothing is made. Returns what it took."""
    return cluster.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-",
                           stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": found}), check=check)


@pytest.mark.parametrize("tls", ["platform-tls", ""], ids=["tls", "plain"])
@pytest.mark.parametrize("gateway", OPTIONS)
def test_the_server_takes_the_objects(cluster, definitions, gateway, tls):
    for options in ({}, OPTIONS[gateway]):
        found = objects(gateway, tls, options)
        assert len(apply(cluster, found).split()) == len(found) > len(SERVICES) - 3


@pytest.mark.parametrize("gateway", OPTIONS)
def test_the_server_would_refuse_others(cluster, definitions, gateway):
    for obj in objects(gateway, "platform-tls", {}):
        if obj["kind"] != "Module":  # it takes anything
            wrong = {**obj, "spec": {**obj["spec"], "surprise": 1}}
            assert apply(cluster, [wrong], check=False) == "", obj["kind"]


@pytest.fixture(scope="module")
def guarded(cluster):
    """A namespace in which somebody may only make Services and Ingresses."""
    if not cluster.kubectl("get", "-n", "openmlops", "configmap", "service-catalogue", check=False):
        pytest.skip("the cluster has no way in (platform_gateway)")
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "somebody", "namespace": SPACE}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "somebody", "namespace": SPACE}, "rules": [
            {"apiGroups": ["", "networking.k8s.io"], "resources": ["services", "ingresses"], "verbs": ["create", "get", "patch", "update"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "somebody", "namespace": SPACE},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "somebody"},
         "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": SPACE}]},
    ]
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    yield
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def service(name: str, document: str | None) -> dict:
    notes = {} if document is None else {ANNOTATION: document}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": SPACE, "annotations": notes},
            "spec": {"ports": [{"port": 80}]}}


def ingress(name: str, document: str | None) -> dict:
    spec = {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}
    return {**service(name, document), "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec}


def made_by_somebody(cluster, obj: dict) -> bool:
    return bool(cluster.kubectl("create", f"--as=system:serviceaccount:{SPACE}:somebody", "-o", "name", "-f", "-",
                                stdin=json.dumps(obj), check=False))


def test_a_service_cannot_take_emissary_down(cluster, guarded):
    old = "apiVersion: ambassador/v1\nkind: Mapping\nname: x\nprefix: /x/\nservice: x\n"
    new = old.replace("ambassador/v1", "getambassador.io/v3alpha1")
    for number, document in enumerate([old, new, "nonsense", " "]):
        assert not made_by_somebody(cluster, service(f"bad-{number}", document))
        assert not made_by_somebody(cluster, ingress(f"bad-{number}", document))
    for make in (service, ingress):
        assert made_by_somebody(cluster, make("good", None))
    # Nor is it brought in later.
    somebody = f"--as=system:serviceaccount:{SPACE}:somebody"
    assert not cluster.kubectl("annotate", somebody, "-n", SPACE, "service/good", f"{ANNOTATION}={old}", "-o", "name", check=False)
    assert cluster.kubectl("annotate", somebody, "-n", SPACE, "service/good", "example.org/a=b", "-o", "name")


def test_what_had_the_annotation_before_can_still_be_finished(cluster, guarded):
    binding = cluster.get("validatingadmissionpolicybinding", "openmlops-gateway-annotations")
    for key in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
        binding["metadata"].pop(key, None)
    cluster.kubectl("delete", "validatingadmissionpolicybinding", "openmlops-gateway-annotations")
    try:
        until(lambda: made_by_somebody(cluster, service("before", "old: document")), "the policy still holds")
    finally:
        cluster.kubectl("apply", "--server-side", "--field-manager=openmlops", "-f", "-", stdin=json.dumps(binding))
    until(lambda: not made_by_somebody(cluster, service(f"after-{time.monotonic_ns()}", "old: document")), "the policy does not hold again")
    somebody = f"--as=system:serviceaccount:{SPACE}:somebody"
    assert cluster.kubectl("annotate", somebody, "-n", SPACE, "service/before", "example.org/a=b", "-o", "name")
    assert not cluster.kubectl("annotate", somebody, "--overwrite", "-n", SPACE, "service/before", f"{ANNOTATION}=new", "-o", "name", check=False)


def until(holds, otherwise: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.5)
