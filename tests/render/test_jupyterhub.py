# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jupyterhub chart: two programs, the pods that they start, and who reaches whom."""
from __future__ import annotations

import copy
import json
import types

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ansible_collections.openmlops.platform.tests.render.conftest import CHARTS, upstream_values
from ansible_collections.openmlops.platform.tests.render.restricted import violations

CHART = "jupyterhub"
VALUES = yaml.safe_load((CHARTS / CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHARTS / CHART / "values.schema.json").read_text(encoding="utf-8"))
FULL = {
    "imagePullSecrets": [{"name": "registry"}],
    "hub": {
        "baseUrl": "/jupyter/", "labels": {"team": "lab"}, "annotations": {"a": "b"}, "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "core", "operator": "Exists"}], "resources": {"limits": {"memory": "1Gi"}},
        "extraEnv": {"PLAIN": "x", "KEPT": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}},
        "extraFiles": {"login": {"mountPath": "/usr/local/etc/jupyterhub/login.py", "stringData": "x = 1\n"}},
        "extraConfig": {"b": "c.order = c.order + ['b']", "a": "c.order = ['a']"},
        "services": {"bot": {"url": "http://bot", "apiToken": "not used"}}, "loadRoles": {"bot-role": {"scopes": ["self"], "services": ["bot"]}},
        "config": {"KubeSpawner": {"start_timeout": 77}, "Authenticator": {"allow_all": True}},
        "allowNamedServers": True, "namedServerLimitPerUser": 3,
    },
    "proxy": {"labels": {"team": "lab"}, "annotations": {"a": "b"}, "service": {"type": "NodePort", "nodePorts": {"http": 30080}},
              "chp": {"extraCommandLineFlags": ["--timeout=60000"], "networkPolicy": {"allowedIngressPorts": []}}},
    "singleuser": {
        "image": {"pullSecrets": [{"name": "users"}]}, "extraFiles": {"config": {"mountPath": "/etc/x.py", "stringData": "y = 2\n"}},
        "memory": {"limit": "2G"}, "cpu": {"limit": 2, "guarantee": 0.5}, "extraEnv": {"TZ": "Europe/Berlin"},
        "serviceAccountName": "notebook", "defaultUrl": "/lab", "profileList": [{"display_name": "one"}],
        "storage": {"capacity": "5Gi", "dynamic": {"storageClass": "fast"}, "extraVolumes": {"shared": {"name": "shared", "emptyDir": {}}},
                    "extraVolumeMounts": {"shared": {"name": "shared", "mountPath": "/home/shared"}}},
        "networkPolicy": {"egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}]},
    },
    "cull": {"users": True, "adminUsers": False, "removeNamedServers": True, "maxAge": 9},
    "debug": {"enabled": True},
}
both_ways = pytest.mark.parametrize("values", [{}, FULL], ids=["minimal", "everything"])


class Section(types.SimpleNamespace):
    """A configuration section as traitlets has it, as far as the hub's file uses it."""

    def update(self, values):
        self.__dict__.update(values)


class Config(dict):
    """`c` of a JupyterHub configuration."""

    def __getattr__(self, name):
        return self.setdefault(name, Section()) if name[0].isupper() else self[name]

    def __setattr__(self, name, value):
        self[name] = value

    def __missing__(self, name):
        self[name] = Section()
        return self[name]


def configured(rendered, monkeypatch, tmp_path):
    """What the hub's configuration file makes of the chart's values."""
    data = rendered.one("Secret", "hub")["stringData"]
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "values.json").write_text(data["values.json"])
    (tmp_path / "existing-secret").mkdir()
    for name in ("JupyterHub.cookie_secret", "CryptKeeper.keys"):
        (tmp_path / "existing-secret" / f"hub.config.{name}").write_text("ab" * 32)
    (tmp_path / "existing-secret" / "hub.services.bot.apiToken").write_text("kept")
    monkeypatch.setenv("POD_NAMESPACE", "lab")
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    found = Config()
    exec(compile(data["jupyterhub_config.py"].replace("/usr/local/etc/jupyterhub", str(tmp_path)), "config", "exec"), {"c": found})
    return found


@both_ways
def test_valid_for_kubernetes_and_restricted(render, values):
    rendered = render(CHART, values)
    for item in rendered.objects:
        kubernetes_validate.validate(item, "1.35", strict=True)
        labels = item["metadata"]["labels"]
        assert (labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/managed-by"]) == ("demo", "Helm")
    for name, calls in (("hub", True), ("proxy", False)):
        pod = rendered.one("Deployment", name)["spec"]["template"]
        assert violations(pod["spec"]) == []
        assert pod["spec"]["enableServiceLinks"] is False and pod["spec"]["automountServiceAccountToken"] is calls
        assert all(container["securityContext"]["readOnlyRootFilesystem"] is True for container in pod["spec"]["containers"])
        assert "helm.sh/chart" not in pod["metadata"]["labels"]
        variables = [variable["name"] for variable in pod["spec"]["containers"][0]["env"]]
        assert len(set(variables)) == len(variables)


def test_services_and_policies_find_their_pods(render):
    rendered = render(CHART, FULL)
    pods = {name: rendered.one("Deployment", name)["spec"]["template"]["metadata"]["labels"] for name in ("hub", "proxy")}
    for service, pod in {"hub": "hub", "proxy-public": "proxy", "proxy-api": "proxy"}.items():
        assert rendered.one("Service", service)["spec"]["selector"].items() <= pods[pod].items()
    for policy in ("hub", "proxy"):
        assert rendered.one("NetworkPolicy", policy)["spec"]["podSelector"]["matchLabels"].items() <= pods[policy].items()
    assert pods["hub"]["team"] == pods["proxy"]["team"] == "lab"


def test_what_is_handed_on(render):
    rendered = render(CHART, FULL)
    hub, proxy = (rendered.one("Deployment", name)["spec"]["template"] for name in ("hub", "proxy"))
    container = hub["spec"]["containers"][0]
    environment = {variable["name"]: variable for variable in container["env"]}
    assert environment["PLAIN"]["value"] == "x" and environment["KEPT"]["valueFrom"]["secretKeyRef"] == {"name": "s", "key": "k"}
    assert environment["CONFIGPROXY_AUTH_TOKEN"] == proxy["spec"]["containers"][0]["env"][0]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/usr/local/etc/jupyterhub/login.py"]["subPath"] == "file.login"
    assert rendered.one("Secret", "hub")["stringData"]["file.login"] == "x = 1\n"
    assert rendered.one("Secret", "singleuser")["stringData"] == {"config": "y = 2\n"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/jupyter/hub/health" and "--debug" in container["args"]
    command = proxy["spec"]["containers"][0]["command"]
    assert "--error-target=http://hub:8081/jupyter/hub/error" in command and "--timeout=60000" in command
    assert hub["spec"]["imagePullSecrets"] == proxy["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    port = rendered.one("Service", "proxy-public")["spec"]["ports"][0]
    assert (port["port"], port["nodePort"]) == (80, 30080)


def test_the_hub_has_no_rights_but_over_servers(render):
    rules = render(CHART).one("Role")["rules"]
    assert {resource for rule in rules for resource in rule["resources"]} == {"pods", "persistentvolumeclaims", "events"}


def test_ways_in_and_out(render):
    def ports(policy, way):
        return [rule.get("ports") for rule in policy["spec"][way]]

    closed = render(CHART, FULL)
    assert [{"port": "http"}] in ports(render(CHART).one("NetworkPolicy", "proxy"), "ingress")
    assert all("from" in rule for rule in closed.one("NetworkPolicy", "proxy")["spec"]["ingress"]), "everybody reaches the proxy"
    rules = {"cloudMetadataServer": False, "dnsPortsCloudMetadataServer": False, "dnsPortsKubeSystemNamespace": True,
             "dnsPortsPrivateIPs": False, "nonPrivateIPs": False, "privateIPs": False}
    egress = render(CHART, {"singleuser": {"networkPolicy": {"egressAllowRules": rules}}}).one("NetworkPolicy", "singleuser")["spec"]["egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in egress] == [[8081], [8000], [53, 53]]
    everywhere = json.dumps(closed.one("NetworkPolicy", "singleuser")["spec"]["egress"])
    assert "192.0.2.1/32" in everywhere and '"169.254.169.254/32"' in everywhere


def test_configuration(render, monkeypatch, tmp_path):
    found = configured(render(CHART, FULL), monkeypatch, tmp_path)
    hub, spawner = found["JupyterHub"], found["KubeSpawner"]
    assert (hub.base_url, hub.allow_named_servers, hub.named_server_limit_per_user, hub.log_level) == ("/jupyter/", True, 3, "DEBUG")
    assert hub.cookie_secret == bytes.fromhex("ab" * 32) and found["CryptKeeper"].keys == ["ab" * 32]
    assert found.order == ["a", "b"], "extraConfig runs in the order of its names"
    assert spawner.start_timeout == 77, "hub.config comes after the values"
    bot, culler = hub.services
    assert bot == {"name": "bot", "url": "http://bot", "api_token": "kept"}
    assert "--url=http://localhost:8081/jupyter/hub/api" in culler["command"] and "--cull-admin-users=false" in culler["command"]
    assert {role["name"] for role in hub.load_roles} == {"bot-role", "jupyterhub-idle-culler"}
    assert "admin:users" in hub.load_roles[1]["scopes"]
    assert (spawner.mem_limit, spawner.mem_guarantee, spawner.cpu_guarantee) == ("2G", "1G", 0.5)
    assert (spawner.storage_capacity, spawner.storage_class, spawner.namespace) == ("5Gi", "fast", "lab")
    assert spawner.image_pull_secrets == ["registry", "users"] and spawner.service_account == "notebook"
    assert set(spawner.volumes) == {"volume-{user_server}", "files", "shared"}
    assert {mount["mountPath"] for mount in spawner.volume_mounts.values()} == {"/home/jovyan", "/etc/x.py", "/home/shared"}


@pytest.mark.parametrize(("storage", "claim"), [({"type": "static", "static": {"pvcName": "homes"}}, "homes"), ({"type": "none"}, None)])
def test_other_homes(render, monkeypatch, tmp_path, storage, claim):
    found = configured(render(CHART, {"singleuser": {"storage": storage}, "cull": {"enabled": False}}), monkeypatch, tmp_path)
    volumes = found["KubeSpawner"].volumes
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values()] == ([claim] if claim else [])
    assert found["JupyterHub"].services == []


def test_schema_takes_the_defaults_and_refuses_the_rest():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    given = copy.deepcopy(VALUES)
    given["hub"]["existingSecret"] = "kept"
    jsonschema.validate(given, SCHEMA)
    for place in (["hub"], ["hub", "db"], ["proxy", "chp"], ["singleuser", "storage", "dynamic"], ["cull"], []):
        wrong = copy.deepcopy(given)
        inside = wrong
        for key in place:
            inside = inside[key]
        inside["surprise"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)


@pytest.mark.parametrize("values", [
    {"hub": {"existingSecret": ""}}, {"hub": {"baseUrl": "jupyter"}}, {"hub": {"config": {"lower": {}}}},
    {"scheduling": {"userScheduler": {"enabled": True}}}, {"singleuser": {"cloudMetadata": {"blockWithIptables": True}}},
])
def test_helm_refuses(render, values):
    with pytest.raises(render.error, match="schema"):
        render(CHART, values)


def test_every_value_exists_upstream(shared):
    upstream = upstream_values(shared / "upstream" / "jupyterhub")
    assert list(unknown(VALUES, upstream)) == []


def unknown(values, known, prefix=""):
    """Paths that upstream does not have; below what it has empty, anything goes."""
    for key, value in values.items():
        if key not in known:
            yield f"{prefix}{key}"
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key] and not key.endswith("ecurityContext"):
            yield from unknown(value, known[key], f"{prefix}{key}.")
