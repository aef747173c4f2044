# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jupyterhub role renders for each way to use it: our chart takes it, and upstream's schema does."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from ansible_collections.openmlops.platform.tests.render.conftest import ROOT, upstream_values

GATEWAY = {"platform_gateway": "envoy_gateway", "platform_hostname": "ml.example.org", "platform_chart_source": "bundled",
           "platform_image_source": "built", "platform_selected": ["mlflow", "object_store", "prefect", "dask", "jupyterhub"]}
CLIENT = {**GATEWAY, "jupyterhub_oauth_client_id": "id", "jupyterhub_oauth_client_secret": "never shown"}
CASES = {
    "alone": {},
    "platform": GATEWAY,
    "models": {**GATEWAY, "platform_selected": [*GATEWAY["platform_selected"], "models", "kserve"]},
    "own host": {**GATEWAY, "jupyterhub_host": "jupyter.example.org", "mlflow_host": "mlflow.example.org"},
    "node port": {"jupyterhub_node_port": 30888, "jupyterhub_dummy_password": "never shown", "jupyterhub_connect_components": False},
    "github": {**CLIENT, "jupyterhub_authenticator": "github", "jupyterhub_github_organizations": ["lab:ml"]},
    "google": {**CLIENT, "jupyterhub_authenticator": "google", "jupyterhub_google_hosted_domains": ["example.org"],
               "jupyterhub_google_groups": ["ml@example.org"], "jupyterhub_google_admin_groups": ["admins@example.org"]},
    "nobody": {**GATEWAY, "jupyterhub_allow": "nobody"},
    "one profile as root": {**GATEWAY, "jupyterhub_profiles": [{"name": "Plain"}, {"name": "Root", "start_as_root": True}]},
    "google domain": {**CLIENT, "jupyterhub_authenticator": "google", "jupyterhub_google_hosted_domains": ["example.org"]},
    "oidc": {**CLIENT, "jupyterhub_authenticator": "oidc", "jupyterhub_oidc_groups_claim": "groups", "jupyterhub_allowed_groups": ["lab"],
             **{f"jupyterhub_oidc_{name}_url": f"https://id.example.org/{name}" for name in ("authorize", "token", "userinfo")}},
    "everything": {
        **GATEWAY, "platform_image_pull_secrets": ["registry"], "jupyterhub_image_pull_secrets": ["users"],
        "jupyterhub_allowed_users": ["Ada@Example.org"], "jupyterhub_admin_groups": ["admins"], "jupyterhub_admin_access": True,
        "jupyterhub_profiles": [
            {"name": "Python", "default": True},
            {"name": "Spark 3.5", "image": "registry.example.org/spark:1", "memory_limit": "16G", "cpu_guarantee": 1, "service_account": "prod",
             "environment": {"A": "b"}, "start_as_root": True, "override": {"extra_resource_limits": {"nvidia.com/gpu": "1"}}}],
        "jupyterhub_start_as_root": True, "jupyterhub_storage_type": "static", "jupyterhub_storage_claim": "homes",
        "jupyterhub_shared_volume_size": "100Gi", "jupyterhub_shared_volume_class": "nfs", "jupyterhub_shared_volume_read_only": True,
        "jupyterhub_named_servers": True, "jupyterhub_named_server_limit": 2, "jupyterhub_kernel_cull_timeout": 1800,
        "jupyterhub_kernel_cull_connected": True, "jupyterhub_time_zone": "Europe/Berlin", "jupyterhub_environment": {"X": "1"},
        "jupyterhub_api_server_cidrs": ["192.0.2.1/32"], "jupyterhub_internet": True,
        "jupyterhub_egress": [{"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}],
        "jupyterhub_service_account_rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        "jupyterhub_config": {"JupyterHub": {"shutdown_on_logout": True}}, "jupyterhub_extra_config": {"own": "x = 1"},
    },
}
each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Case -> the role's plan, rendered by Ansible; all of them in one run."""
    here = Path(sys.executable).parent
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(here), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip(f"no ansible-playbook in {here} and on PATH")
    folder = tmp_path_factory.mktemp("jupyterhub")
    (folder / "templates").symlink_to(ROOT / "roles/jupyterhub/templates")
    files = [str(ROOT / f"roles/{role}/{kind}/main.yml") for role in ("platform", "jupyterhub") for kind in ("defaults", "vars")]
    tasks = [{"name": case, "ansible.builtin.debug": {"msg": "{{ _jupyterhub_plan }}"},
              "vars": {**variables, "role_path": str(ROOT / "roles/jupyterhub")}} for case, variables in CASES.items()]
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks, "vars_files": files}]))
    done = subprocess.run([ansible, "-i", "localhost,", "-c", "local", str(folder / "play.yml")], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    (play,) = json.loads(done.stdout)["plays"]
    return {task["task"]["name"]: task["hosts"]["localhost"]["msg"] for task in play["tasks"]}


@pytest.fixture
def values(plans, case):
    return plans[case]["phases"]["applications"]["releases"][0]["values"]


def release(plans, case):
    return plans[case]["phases"]["applications"]["releases"][0]["values"]


@each_case
def test_our_chart_takes_them(render, values):
    rendered = render("jupyterhub", values, minimal=False)
    assert {deployment["metadata"]["name"] for deployment in rendered.objects if deployment["kind"] == "Deployment"} == {"hub", "proxy"}


@each_case
def test_the_upstream_chart_takes_them(values, shared):
    """Upstream's schema knows every path, also those below what its values leave open."""
    folder = shared / "upstream" / "jupyterhub"
    jsonschema.validate(laid_over(upstream_values(folder), values), json.loads((folder / "values.schema.json").read_text()))


@each_case
def test_no_secret_is_in_them(plans, case):
    assert "never shown" not in json.dumps(plans[case])


@pytest.mark.parametrize(("case", "name", "everybody"), [
    ("alone", "dummy", True), ("platform", "platform_login.PlatformAuthenticator", True), ("github", "github", False),
    ("google", "google", False), ("google domain", "google", True), ("oidc", "generic-oauth", False),
    ("everything", "platform_login.PlatformAuthenticator", False),
])
def test_who_may_log_in(plans, case, name, everybody):
    config = release(plans, case)["hub"]["config"]
    assert config["JupyterHub"]["authenticator_class"] == name
    assert config["Authenticator"]["allow_all"] is everybody


def test_each_login_has_what_it_needs(plans):
    config = {case: release(plans, case)["hub"]["config"] for case in CASES}
    assert config["github"]["GitHubOAuthenticator"] == {"allowed_organizations": ["lab:ml"], "scope": ["read:org"]}
    # Groups by domain; a list, even an empty one, would end the hub.
    assert config["google"]["GoogleOAuthenticator"] == {
        "hosted_domain": ["example.org"], "strip_domain": False, "allowed_google_groups": {"example.org": ["ml@example.org"]},
        "admin_google_groups": {"example.org": ["admins@example.org"]}}
    assert config["google domain"]["GoogleOAuthenticator"] == {"hosted_domain": ["example.org"], "strip_domain": False}
    assert config["oidc"]["GenericOAuthenticator"]["auth_state_groups_key"] == "oauth_user.groups"
    assert config["oidc"]["Authenticator"]["allowed_groups"] == ["lab"] and config["oidc"]["Authenticator"]["manage_groups"] is True
    callback = config["oidc"]["OAuthenticator"]["oauth_callback_url"]
    assert callback == "https://ml.example.org/jupyter/hub/oauth_callback"
    assert release(plans, "github")["hub"]["extraEnv"]["OAUTH_CLIENT_SECRET"]["valueFrom"]["secretKeyRef"]["key"] == "oauth-client-secret"
    assert config["platform"]["Authenticator"]["auth_refresh_age"] == -1, "a cookie is asked about on each request"
    assert config["everything"]["Authenticator"]["allowed_users"] == ["ada@example.org"]
    assert "extraFiles" not in release(plans, "github")["hub"]


def test_the_signed_identity_goes_to_the_login_alone(plans):
    for case, identity in (("platform", "id_token"), ("github", "headers")):
        by_name = {service["name"]: service for service in plans[case]["services"]}
        assert by_name["jupyterhub"]["identity"] == "headers"
        assert (by_name["jupyterhub-login"]["prefix"], by_name["jupyterhub-login"]["identity"]) == ("/jupyter/hub/login", identity)
    assert plans["alone"]["services"] == []
    assert plans["own host"]["services"][0]["prefix"] == "/" and plans["own host"]["services"][0]["host"] == "jupyter.example.org"


def test_tools_are_known_in_each_notebook(plans):
    environment = {case: release(plans, case)["singleuser"]["extraEnv"] for case in CASES}
    assert environment["platform"]["MLFLOW_TRACKING_URI"] == "http://mlflow.mlflow.svc.cluster.local:5000/mlflow"
    assert environment["platform"]["PREFECT_API_URL"] == "http://prefect-server.prefect.svc.cluster.local:4200/prefect/api"
    assert environment["platform"]["DASK_KUBERNETES__IMAGE"].startswith("localhost/openmlops/science:")
    assert environment["own host"]["MLFLOW_TRACKING_URI"].endswith(":5000")
    assert environment["alone"] == {} and environment["everything"]["TZ"] == "Europe/Berlin" and environment["everything"]["X"] == "1"


def test_where_notebooks_may_go(plans):
    policy = release(plans, "platform")["singleuser"]["networkPolicy"]
    spaces = [rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for rule in policy["egress"]]
    assert spaces == ["openshift-dns", "mlflow", "object-store", "prefect", "dask"]
    assert {rule["port"] for rule in policy["egress"][0]["ports"]} == {5353}
    assert [key for key, on in policy["egressAllowRules"].items() if on] == ["dnsPortsKubeSystemNamespace", "dnsPortsPrivateIPs"]
    more = release(plans, "everything")["singleuser"]["networkPolicy"]
    assert more["egress"][-2:] == [
        {"ports": [{"port": 443}, {"port": 6443}], "to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]},
        {"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}]
    assert more["egressAllowRules"]["nonPrivateIPs"] is True and more["egressAllowRules"]["cloudMetadataServer"] is False
    assert release(plans, "platform")["proxy"]["chp"]["networkPolicy"]["allowedIngressPorts"] == []
    assert release(plans, "alone")["proxy"]["chp"]["networkPolicy"]["allowedIngressPorts"] == ["http"]


def test_profiles(plans):
    python, spark = release(plans, "everything")["singleuser"]["profileList"]
    assert (python["slug"], python["default"]) == ("python", True)
    override = spark["kubespawner_override"]
    assert (spark["slug"], override["image"], override["mem_limit"]) == ("spark-3-5", "registry.example.org/spark:1", "16G")
    assert override["extra_resource_limits"] == {"nvidia.com/gpu": "1"} and override["environment"] == {"A": "b"}
    assert override["uid"] == 0 and override["cmd"] == ["start.sh", "jupyterhub-singleuser"]


def test_root_only_where_it_is_asked_for(plans):
    for case in CASES:
        restricted = release(plans, case)["hub"]["config"]["KubeSpawner"].get("container_security_context", {})
        assert restricted.get("runAsNonRoot", False) is (case != "everything")
    assert "NB_USER" in release(plans, "everything")["hub"]["extraConfig"]["00-platform"]
    assert "NB_USER" not in release(plans, "platform")["hub"]["extraConfig"]["00-platform"]


def test_a_profile_as_root_has_the_capabilities_to_become_the_user(plans):
    """KubeSpawner lays its context over that of all others, in which there are none."""
    plain, root = release(plans, "one profile as root")["singleuser"]["profileList"]
    assert "container_security_context" not in plain["kubespawner_override"]
    assert root["kubespawner_override"]["container_security_context"]["capabilities"] is None
    assert root["kubespawner_override"]["container_security_context"]["runAsNonRoot"] is False


def test_where_nobody_may_enter_nobody_is_named(plans):
    assert {entry["identity"] for entry in plans["nobody"]["services"]} == {"none"}


def test_a_token_of_kubernetes_only_where_it_is_of_use(plans):
    mounted = {case: release(plans, case)["hub"]["config"]["KubeSpawner"]["automount_service_account_token"] for case in CASES}
    assert not mounted["alone"] and not mounted["node port"] and mounted["platform"] and mounted["everything"]


def test_volumes(plans):
    made = [item for item in plans["everything"]["phases"]["applications"]["objects"] if item and item["kind"] == "PersistentVolumeClaim"]
    assert [(claim["metadata"]["name"], claim["spec"]["storageClassName"]) for claim in made] == [("jupyterhub-shared", "nfs")]
    storage = release(plans, "everything")["singleuser"]["storage"]
    assert storage["static"] == {"pvcName": "homes"}
    assert storage["extraVolumeMounts"]["shared"] == {"name": "shared", "mountPath": "/home/shared", "readOnly": True}
    kernels = json.loads(release(plans, "everything")["singleuser"]["extraFiles"]["platform_kernels"]["stringData"])
    assert kernels["MappingKernelManager"]["cull_idle_timeout"] == 1800


def laid_over(base, over):
    """Values over defaults, as Helm lays them."""
    both = {key: laid_over(base[key], over[key]) for key in base.keys() & over.keys()
            if isinstance(base[key], dict) and isinstance(over[key], dict)}
    return {**base, **over, **both}


def test_notebooks_import_the_package_where_models_are_served(plans):
    notebook = release(plans, "models")["singleuser"]
    (volume,) = notebook["storage"]["extraVolumes"].values()
    (mount,) = notebook["storage"]["extraVolumeMounts"].values()
    assert notebook["extraEnv"]["PYTHONPATH"] == mount["mountPath"] and volume["name"] == mount["name"]
    objects = plans["models"]["phases"]["applications"]["objects"]
    (code,) = [obj for obj in objects if obj["kind"] == "ConfigMap"]
    assert code["metadata"]["name"] == volume["configMap"]["name"]
    assert set(code["data"]) == {item["key"] for item in volume["configMap"]["items"]}
    assert "openmlops/__init__.py" in [item["path"] for item in volume["configMap"]["items"]]
    assert "PYTHONPATH" not in release(plans, "platform")["singleuser"]["extraEnv"]
