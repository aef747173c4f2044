# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live probe: passes on the real platform, and fails when somebody opened a door by hand."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.openmlops.platform.tests.integration.access.echo import PLACES, reached
from ansible_collections.openmlops.platform.tests.integration.platform_client import secret


@pytest.fixture
def people(cluster):
    """Returns what Kratos and Keto hold, by a function: identities and rights, through the API server."""
    def ask():
        def raw(service, path):
            return json.loads(cluster.kubectl("get", "--raw", f"/api/v1/namespaces/ory/services/{service}:80/proxy/{path}"))
        tuples = raw("keto-read", "relation-tuples?namespace=Group&page_size=500")["relation_tuples"]
        return {one["id"] for one in raw("kratos-admin", "admin/identities?page_size=250")}, {json.dumps(one, sort_keys=True) for one in tuples}
    return ask


def test_it_passes_says_so_and_leaves_nothing(cluster, gateway, people, tmp_path):
    before, secrets = people(), cluster.kubectl("get", "secrets", "-A", "-o", "name")
    done = cluster.run("probe", "-e", f"platform_probe_file={tmp_path}/probe.json").ok()
    assert done.changed == 0 and "all as intended" in done.text
    found = json.loads((tmp_path / "probe.json").read_text())
    assert found["result"] == "passed" and found["deviations"] == [] and found["rules"] == {} and found["gateway"]["asked"] is True
    lines = {(line["service"], line["method"], line["who"]): line for line in found["lines"]}
    for place in PLACES:
        name = "echo" + place.replace("/", "-")
        assert {(method, who) for service, method, who in lines if service == name} >= {
            (method, who) for method in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
            for who in ("nobody", "user", "machine", "member of team")}
    assert lines["echo-team", "DELETE", "nobody"]["oathkeeper"] == lines["echo-team", "DELETE", "nobody"]["gateway"] == "login needed"
    assert lines["echo-team", "DELETE", "user"]["oathkeeper"] == "forbidden"
    # Allowed, so only asked about, never sent.
    assert lines["echo-team", "DELETE", "member of team"]["oathkeeper"] == "allowed"
    assert lines["echo-team", "DELETE", "member of team"]["gateway"] is None
    assert people() == before and cluster.kubectl("get", "secrets", "-A", "-o", "name") == secrets


def test_a_door_that_somebody_opened_is_named_and_the_next_run_closes_it(cluster, gateway, variables, tmp_path):
    there = cluster.get("configmap", "-n", "ory", "oathkeeper-rules")
    rules = json.loads(there["data"]["access-rules.json"])
    for rule in rules:
        if rule["id"] == "service:echo-private":
            rule.update(authenticators=[{"handler": "noop"}], mutators=[{"handler": "noop"}])
    cluster.kubectl("patch", "configmap", "-n", "ory", "oathkeeper-rules", "--type=merge", "-p",
                    json.dumps({"data": {"access-rules.json": json.dumps(rules)}}))
    # Else the kubelet takes up to a minute to write the file.
    cluster.kubectl("annotate", "pod", "-n", "ory", "-l", "openmlops.io/part=oathkeeper", "test=opened", "--overwrite")
    done = cluster.run("probe", "-e", f"platform_probe_file={tmp_path}/probe.json")
    assert done.code != 0
    text = done.text.replace("\\n", "\n")
    assert "rule service:echo-private differs in authenticators" in text
    assert "echo-private: DELETE" in text and "as nobody: should be «login needed», is «allowed» (Oathkeeper)" in text and "make up" in text
    found = json.loads((tmp_path / "probe.json").read_text())
    assert found["result"] == "failed" and {line["service"] for line in found["deviations"]} == {"echo-private"}
    assert {line["who"] for line in found["deviations"]} == {"nobody"} and len(found["deviations"]) == 7
    # Nothing was sent through a gateway that lets in whom it should not.
    assert found["gateway"]["asked"] is False
    healed = cluster.run("up", "-e", f"@{variables}").ok()
    assert healed.changed > 0 and "all as intended" in healed.text


def test_a_gateway_that_asks_nobody_is_found(cluster, gateway, tmp_path):
    """Rules that are right are not enough: what the gateway does not ask about is open."""
    policy = cluster.kubectl("get", "securitypolicy", "-n", "envoy-gateway", "-o", "name").split()[0]
    kept = cluster.get("-n", "envoy-gateway", policy)
    cluster.kubectl("delete", "-n", "envoy-gateway", policy)
    try:
        end = time.monotonic() + 60
        while not reached(gateway.ask("/private/a")):
            assert time.monotonic() < end, "the gateway did not open"
            time.sleep(0.5)
        done = cluster.run("probe", "-e", f"platform_probe_file={tmp_path}/probe.json", "-e", "platform_probe_timeout=3")
    finally:
        kept["metadata"] = {key: kept["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in kept["metadata"]}
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=openmlops", "-f", "-", stdin=json.dumps(
            {key: value for key, value in kept.items() if key != "status"}))
    assert done.code != 0 and "is «allowed» (the gateway)" in done.text
    found = json.loads((tmp_path / "probe.json").read_text())
    assert {line["by"] for line in found["deviations"]} == {"the gateway"}
    # What could change something was not sent any more.
    assert {line["method"] for line in found["lines"] if line["gateway"]} <= {"GET", "HEAD", "OPTIONS"}
    cluster.run("probe", "-e", "platform_probe_gateway=always").ok()


def test_check_mode_asks_nobody(cluster, gateway, people):
    before = people()
    assert "decisions" not in cluster.run("probe", "--check").ok().text and people() == before


def test_no_session_is_told(cluster, gateway):
    done = cluster.run("probe", "-vvv").ok()
    assert "ory_kratos_session=" not in done.text and "ory_st_" not in done.text
    assert secret(cluster, "ory", "kratos", "dsn") not in done.text
