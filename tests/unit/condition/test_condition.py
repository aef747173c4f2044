# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates, last warnings, drift, and what they mean together."""

from __future__ import annotations

import base64
import datetime
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ansible_collections.openmlops.platform.plugins.module_utils.condition import certificates, drift, events, judging
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Member, Record
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Forbidden
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def tls_secret(name, days, namespace="ml", **names):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), NOW - datetime.timedelta(days=90),
                                   NOW + datetime.timedelta(days=days, hours=1))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(text) for text in names["dns"]]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return manifest("Secret", name, namespace, type="kubernetes.io/tls",
                    data={"tls.crt": base64.b64encode(pem).decode(), "tls.key": base64.b64encode(b"secret").decode()})


def test_certificates():
    cluster = FakeCluster("ml")
    cluster.put(tls_secret("soon", 5, dns=["ml.example"]))
    cluster.put(tls_secret("over", -3))
    cluster.put(manifest("Secret", "broken", "ml", type="kubernetes.io/tls", data={"tls.crt": "AAAA"}))
    cluster.put(manifest("Secret", "other", "ml", type="Opaque", data={}))
    found = certificates.read(cluster, ["ml", "none"], NOW)
    assert [(entry["secret"], entry["days_left"], entry["names"]) for entry in found] == [("over", -3, []), ("soon", 5, ["ml.example"])]
    assert "secret" not in str(found).replace("'secret':", "")


def test_certificates_that_may_not_be_read():
    cluster = FakeCluster("ml")

    def refuse(verb, obj):
        raise Forbidden(403, "Forbidden", "no")

    cluster.before = refuse
    assert certificates.read(cluster, ["ml"], NOW) == [] and events.warnings(cluster, ["ml"]) == []


def event(name, time, message="m", **fields):
    return {"metadata": {"creationTimestamp": time}, "involvedObject": {"kind": "Pod", "namespace": "ml", "name": name}, "reason": "BackOff",
            "message": message, **fields}


def test_last_warning():
    owners = {("ml", "web"): "web", ("ml", "web-admin"): "admin"}
    found = events.last([event("web-7d-x", "2026-01-01T02:00:00Z", "new\nline"), event("web-7d-y", "2026-01-01T01:00:00Z"),
                         event("web-admin-1", "2026-01-01T00:00:00Z"), event("stranger", "2026-01-01T03:00:00Z"),
                         event("web", "2026-01-01T00:00:00Z", lastTimestamp="2025-12-01T00:00:00Z")], owners)
    assert {name: entry["time"] for name, entry in found.items()} == {"web": "2026-01-01T02:00:00Z", "admin": "2026-01-01T00:00:00Z"}
    assert found["web"]["message"] == "new line" and found["web"]["object"] == "Pod ml/web-7d-x"


def managed(*managers):
    return {"managedFields": [{"manager": name, **({"subresource": part} if part else {})} for name, part in managers]}


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (managed(("openmlops", "")), ""),
        (managed(("openmlops", ""), ("kubectl-edit", "")), "(kubectl-edit)"),
        (managed(("kubectl", "scale")), "(kubectl)"),
        (managed(("kubectl-rollout", ""), ("kube-controller-manager", "status"), ("kubectl", "status")), ""),
        ({}, ""),
    ],
)
def test_told(meta, said):
    found = drift.told(manifest("Deployment", "web", "ml"), manifest("Deployment", "web", "ml", metadata=meta))
    assert (said in found) if said else found == ""


def test_drift():
    cluster = FakeCluster("ml")
    cluster.put(manifest("Secret", "mine", "ml", metadata=managed(("kubectl-create", ""))))
    members = [Member("v1", "ConfigMap", "ml", "gone"), Member("v1", "Secret", "ml", "mine"), Member("batch/v1", "Job", "ml", "done"),
               Member("example.org/v1", "Widget", "ml", "w")]
    releases = SimpleNamespace(drift=lambda name, space: f"release {space}/{name} is gone" if name == "lost" else "")
    found = drift.read(cluster, Record("web", "ml", {}, tuple(members), (("ml", "fine"), ("ml", "lost"))), releases)
    assert found == ["ConfigMap ml/gone is gone", "Widget ml/w is gone, its definition too", "release ml/lost is gone"]


def component(**fields):
    return {"name": "web", "ready": True, "reason": "", **fields}


@pytest.mark.parametrize(
    ("components", "state", "said"),
    [
        ([component()], "ok", ""),
        ([], "problem", "nothing is installed"),
        ([component(ready=False, reason="pod crashes")], "problem", "web: pod crashes"),
        ([component(drift=["x is gone"])], "warning", "web: x is gone"),
        ([component(certificates=[{"namespace": "ml", "secret": "tls", "days_left": 13, "expires": "2026-01-14"}])], "warning", "ends in 13 days"),
        ([component(certificates=[{"namespace": "ml", "secret": "tls", "days_left": 14, "expires": "2026-01-15"}])], "ok", ""),
        ([component(certificates=[{"namespace": "ml", "secret": "tls", "days_left": -1, "expires": "2025-12-31"}])], "problem", "has expired"),
        ([component(last_error={"message": "over by now"})], "ok", ""),
    ],
)
def test_judgement(components, state, said):
    found, reasons = judging.judge({"cluster": {"reachable": True}, "components": components}, 14)
    assert found == state and said in " ".join(reasons)


def test_judgement_without_a_cluster():
    assert judging.judge({"cluster": {"reachable": False, "reason": "no answer"}, "components": []}, 14) == (
        "problem", ["the cluster cannot be reached: no answer"])
