# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

CHART = "versitygw"


def test_the_root_secret_is_required(render):
    with pytest.raises(render.error, match="set auth.existingSecret"):
        render(CHART, minimal=False)


def test_arguments_and_environment(render):
    rendered = render(CHART)
    assert rendered.container["args"] == ["posix", "/mnt/data"]
    assert rendered.env == {
        "ROOT_ACCESS_KEY_ID": {"secretKeyRef": {"name": "s3-root", "key": "rootAccessKeyId"}},
        "ROOT_SECRET_ACCESS_KEY": {"secretKeyRef": {"name": "s3-root", "key": "rootSecretAccessKey"}},
        "VGW_PORT": ":7070",
        "VGW_REGION": "us-east-1",
        "VGW_HEALTH": "/_/health",
    }
    assert [mount["mountPath"] for mount in rendered.container["volumeMounts"]] == ["/mnt/data"]


def test_backend_arguments_are_split(render):
    arguments = {"gateway": {"backend": {"args": " --chuid  /mnt/data "}}}
    assert render(CHART, arguments).container["args"] == ["posix", "--chuid", "/mnt/data"]


def test_users_of_their_own(render):
    rendered = render(CHART, {"iam": {"enabled": True, "cacheTtl": 5}})
    assert rendered.env["VGW_IAM_DIR"] == "/mnt/iam"
    assert rendered.env["VGW_IAM_CACHE_TTL"] == "5"
    assert "VGW_IAM_CACHE_DISABLE" not in rendered.env
    mounts = {mount["mountPath"]: mount["subPath"] for mount in rendered.container["volumeMounts"]}
    assert mounts == {"/mnt/data": "data", "/mnt/iam": "iam"}


def test_admin_port(render):
    assert [port["name"] for port in render(CHART).one("Service")["spec"]["ports"]] == ["s3-api"]
    rendered = render(CHART, {"admin": {"enabled": True, "port": 7999}})
    assert rendered.env["VGW_ADMIN_PORT"] == ":7999"
    assert {"name": "admin", "containerPort": 7999} in rendered.container["ports"]
    assert {"name": "admin", "port": 7999, "targetPort": "admin"} in rendered.one("Service")["spec"]["ports"]


def test_port_and_other_settings(render):
    gateway = {"port": 9000, "region": "lab", "virtualDomain": "s3.example.org", "quiet": True, "debug": True}
    rendered = render(CHART, {"gateway": gateway, "extraEnv": [{"name": "A", "value": "1"}]})
    assert rendered.one("Service")["spec"]["ports"] == [{"name": "s3-api", "port": 9000, "targetPort": "s3-api"}]
    expected = {"VGW_PORT": ":9000", "VGW_REGION": "lab", "VGW_VIRTUAL_DOMAIN": "s3.example.org", "VGW_QUIET": "true",
                "VGW_DEBUG": "true", "A": "1"}
    assert expected.items() <= rendered.env.items()


def test_probes(render):
    for probe in ("readinessProbe", "livenessProbe"):
        assert render(CHART).container[probe]["httpGet"] == {"path": "/_/health", "port": "s3-api"}


def test_one_writer_at_a_time(render):
    assert render(CHART).one("Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    with pytest.raises(render.error, match="needs persistence.accessMode ReadWriteMany"):
        render(CHART, {"replicaCount": 2})
    assert render(CHART, {"replicaCount": 2, "persistence": {"accessMode": "ReadWriteMany"}})


def test_claim(render):
    rendered = render(CHART, {"persistence": {"size": "20Gi", "storageClassName": "fast"}})
    claim = rendered.one("PersistentVolumeClaim")
    assert claim["metadata"]["name"] == "demo-versitygw-data"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": "20Gi"}},
    }
    (volume,) = rendered.pod["spec"]["volumes"]
    assert volume == {"name": "data", "persistentVolumeClaim": {"claimName": "demo-versitygw-data"}}


def test_a_claim_that_exists(render):
    rendered = render(CHART, {"persistence": {"create": False, "claimName": "mine"}})
    assert not rendered.has("PersistentVolumeClaim")
    assert rendered.pod["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "mine"}
    with pytest.raises(render.error, match="set persistence.claimName"):
        render(CHART, {"persistence": {"create": False}})


def test_no_persistence(render):
    rendered = render(CHART, {"persistence": {"enabled": False}})
    assert not rendered.has("PersistentVolumeClaim")
    assert rendered.pod["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]


@pytest.mark.parametrize("values", [{"gateway": {"backend": {"type": "s3"}}}, {"iam": {"type": "ldap"}},
                                    {"auth": {"secretKey": "x"}}, {"persistence": {"size": "10 GB"}}])
def test_what_it_does_not_do(render, values):
    with pytest.raises(render.error, match="schema"):
        render(CHART, values)


def test_name_of_the_release_is_not_doubled(render):
    assert render(CHART, release="versitygw").one("Service")["metadata"]["name"] == "versitygw"
