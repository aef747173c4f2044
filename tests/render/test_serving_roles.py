# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles models, kserve and seldon make of an inventory, and what notebooks and flows are told of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.converge import plan as plans
from ansible_collections.openmlops.platform.tests.render.conftest import ROOT, upstream_values
from ansible_collections.openmlops.platform.tests.render.restricted import violations

WORD = "geheim-1"
CALLS = [{"service": "models", "namespace": "jupyterhub", "account": "notebook"},
         {"service": "models", "namespace": "flows", "account": "prefect-flow"}]
GATEWAY = {"platform_hostname": "ml.example.org", "platform_url": "https://ml.example.org", "platform_calls": CALLS,
           "platform_selected": ["models", "kserve"]}
UPSTREAM = {"platform_chart_source": "upstream", "platform_image_source": "upstream"}
CASES = {
    "defaults": {"platform_selected": ["models", "kserve"]},
    "envoy": {**GATEWAY, "platform_gateway": "envoy_gateway"},
    "address": {**GATEWAY, "platform_gateway": "envoy_gateway", "platform_hostname": "10.0.0.1", "platform_tls": "none",
                "platform_url": "http://10.0.0.1"},
    "ambassador": {**GATEWAY, **UPSTREAM, "platform_gateway": "ambassador", "models_extra_namespaces": ["team-a"]},
    "istio": {**GATEWAY, **UPSTREAM, "platform_gateway": "istio", "models_extra_namespaces": ["team-a"]},
    "seldon": {**GATEWAY, **UPSTREAM, "platform_gateway": "envoy_gateway", "platform_selected": ["models", "seldon"]},
    "seldon alone": {**UPSTREAM, "platform_selected": ["models", "seldon"], "seldon_certificates": "chart"},
    "teams": {**GATEWAY, "platform_gateway": "envoy_gateway", "models_extra_namespaces": ["team-a", "team-b"],
              "models_deployers": [{"namespace": "ci", "name": "robot"}], "models_client_namespaces": ["shop"],
              "kserve_frameworks": ["sklearn", "tensorflow"], "platform_image_pull_secrets": ["registry"],
              "models_allow": ["data-science"], "kserve_server_workers": 2},
    "external": {**UPSTREAM, "object_store_mode": "external", "object_store_external_endpoint": "https://s3.example.org:9000",
                 "object_store_external_access_key_id": "id", "object_store_external_secret_access_key": WORD,
                 "object_store_bucket_prefix": "acme-", "kserve_certificates": "platform"},
    "amazon": {**UPSTREAM, "object_store_mode": "external", "object_store_region": "eu-central-1",
               "models_service_account_annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}},
    "google": {**UPSTREAM, "object_store_mode": "gcs"},
}
GIVEN = {"platform_chart_source": "bundled", "platform_image_source": "built", "inventory_dir": str(ROOT)}
KINDS = {"HTTPRoute", "Mapping", "VirtualService", "ClusterServingRuntime", "ClusterStorageContainer"}
BAD = {
    "models": {
        "models_namespace": {"models_namespace": "mlflow"},
        "models_extra_namespaces": {"models_extra_namespaces": ["Team"]},
        "models_engine": {"models_engine": "torch"},
        "models_drain_seconds": {"models_drain_seconds": -1},
        "models_request_seconds": {"models_request_seconds": 0},
        "models_index_image_tag": {"models_index_image_repository": "x"},
        "models_deployers": {"models_deployers": [{"name": "x"}]},
    },
    "kserve": {
        "kserve_certificates": {"kserve_certificates": "cert_manager"},
        "kserve_frameworks": {"kserve_frameworks": []},
        "kserve_server_image_repository": {"kserve_server_image_tag": "x"},
        "kserve_namespace": {"kserve_namespace": "models"},
        "images/mlserver-tensorflow": {**UPSTREAM, "kserve_frameworks": ["tensorflow"]},
    },
    "seldon": {
        "kserve": {},
        "platform_accepted_licences": {**UPSTREAM, "seldon_version": "1.18.2"},
        "seldon_certificates": {**UPSTREAM, "seldon_certificates": "x"},
        "seldon_namespace": {**UPSTREAM, "seldon_namespace": "models"},
    },
}
ROLES = ("models", "kserve", "seldon")


def play(folder, role, tasks):
    """Runs tasks with the variables of the roles; returns the process."""
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not ansible:
        pytest.skip("no ansible-playbook beside this Python and on PATH")
    place = folder / role
    place.mkdir()
    (place / "templates").symlink_to(ROOT / "roles" / role / "templates")
    files = [ROOT / "roles" / name / kind / "main.yml" for name in ("platform", "jupyterhub", "prefect", *ROLES)
             for kind in ("defaults", "vars")]
    (place / "play.yml").write_text(yaml.safe_dump([{
        "hosts": "localhost", "gather_facts": False, "vars_files": [str(file) for file in files], "tasks": tasks}]))
    return subprocess.run([ansible, "-i", "localhost,", "-c", "local", str(place / "play.yml")], cwd=ROOT, capture_output=True,
                          text=True, check=False, env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """(role, case) -> its plan; all of a role in one run of Ansible."""
    folder, result = tmp_path_factory.mktemp("serving"), {}
    for role in ROLES:
        cases = {case: given for case, given in CASES.items() if role == "models" or (case.startswith("seldon")) == (role == "seldon")}
        tasks = [{"name": case, "ansible.builtin.debug": {"msg": "{{ _%s_plan }}" % role},
                  "vars": {**GIVEN, **given, "role_path": str(ROOT / "roles" / role)}} for case, given in cases.items()]
        done = play(folder, role, tasks)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
        result |= {(role, task["task"]["name"]): task["hosts"]["localhost"]["msg"] for task in json.loads(done.stdout)["plays"][0]["tasks"]}
    return result


def objects(plan):
    return [item for phase in plan["phases"].values() for item in phase.get("objects", []) if item]


def one(plan, kind, name):
    """The object of this kind and name in the plan's own namespace, or in none."""
    (match,) = [item for item in objects(plan) if (item["kind"], item["metadata"]["name"]) == (kind, name)
                and item["metadata"].get("namespace") in (None, plan["namespace"])]
    return match


def releases(plan):
    return {release["name"]: release for phase in plan["phases"].values() for release in phase.get("releases", [])}


def test_objects_are_valid_and_restricted(found):
    for plan in found.values():
        for item in objects(plan):
            if item["kind"] in KINDS:
                continue
            kubernetes_validate.validate(json.loads(json.dumps(item).replace("<certificate kserve/kserve-webhook-ca/tls.crt>", "YQ==")),
                                         "1.35", strict=True)
            if item["kind"] == "Deployment":
                assert violations(item["spec"]["template"]["spec"]) == []


def test_plans_are_plans(found):
    for (role, case), plan in found.items():
        given = {key: value for key, value in plan.items() if key != "defer" and value}
        parsed = plans.parse(given, lambda _entry: None, lambda _name: "") if not releases(plan) else None
        assert plan["component"] == role and (parsed is None or parsed.namespace), case


def test_no_secret_is_anywhere_but_in_secrets(found):
    assert WORD not in json.dumps(list(found.values()))


def test_runtimes_fit_kserves_definitions(found, shared):
    for file, kind in (("clusterservingruntimes", "ClusterServingRuntime"), ("clusterstoragecontainers", "ClusterStorageContainer")):
        path = shared / "upstream/kserve/crds" / f"serving.kserve.io_{file}.yaml"
        if not path.is_file():
            pytest.skip(f"no {path}")
        (version,) = yaml.safe_load(path.read_text())["spec"]["versions"]
        schema = strict(version["schema"]["openAPIV3Schema"])
        for case in ("defaults", "teams"):
            for item in (entry for entry in objects(found["kserve", case]) if entry["kind"] == kind):
                jsonschema.validate(item, schema)


def strict(schema):
    """A structural schema in which what is not named is wrong; numbers may be texts where Kubernetes says so."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    if isinstance(schema.get("properties"), dict) and "metadata" not in schema["properties"] and not schema.get("additionalProperties"):
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    return made


def test_values_are_known_upstream(found, shared):
    for (role, case), plan in found.items():
        for release in releases(plan).values():
            folder = {"kserve/kserve-resources": "kserve/kserve-resources",
                      "seldon/seldon-core-operator": "seldon/v1.17.1/seldon-core-operator"}.get(release["chart"])
            if folder:
                known = upstream_values(shared / "upstream" / folder)
                assert list(unknown(release["values"], known)) == [], (role, case)


def unknown(values, known, place=""):
    for key, value in values.items():
        path = f"{place}.{key}".lstrip(".")
        if key not in known:
            yield path
        elif isinstance(value, dict) and isinstance(known[key], dict) and known[key]:
            yield from unknown(value, known[key], path)


def test_our_chart_takes_the_values(found, render):
    for case in ("defaults", "teams", "external"):
        release = releases(found["kserve", case])["kserve"]
        assert release["source"] == "bundled"
        rendered = render("kserve-resources", release["values"], minimal=False)
        assert violations(rendered.pod["spec"]) == []
        data = rendered.one("ConfigMap")["data"]
        assert json.loads(data["ingress"])["disableIngressCreation"] is True
        assert json.loads(data["deploy"]) == {"defaultDeploymentMode": "Standard"}
        assert json.loads(data["security"]) == {"autoMountServiceAccountToken": False}
        assert rendered.pod["metadata"]["annotations"]["openmlops.io/secrets"] == "<fingerprint kserve/kserve-webhook-server-cert>"


def test_webhooks_trust_an_authority_of_their_own(found):
    hooks = [hook for item in objects(found["kserve", "defaults"]) if item["kind"].endswith("WebhookConfiguration") for hook in item["webhooks"]]
    assert {hook["clientConfig"]["caBundle"] for hook in hooks} == {"<certificate kserve/kserve-webhook-ca/tls.crt>"}
    assert {hook["clientConfig"]["service"]["path"] for hook in hooks} >= {"/mutate-pods", "/validate-serving-kserve-io-v1alpha1-servingruntime"}
    (pods,) = [hook for hook in hooks if hook["clientConfig"]["service"]["path"] == "/mutate-pods"]
    assert pods["objectSelector"]["matchExpressions"] == [{"key": "serving.kserve.io/inferenceservice", "operator": "Exists"}]
    secrets = {secret["name"]: secret["data"] for secret in found["kserve", "defaults"]["secrets"]}
    server = secrets["kserve-webhook-server-cert"]["tls.crt"]["certificate"]
    assert "kserve-webhook-server-service.kserve.svc" in server["dns_names"] and server["renew_days"] >= 180
    assert secrets["kserve-webhook-ca"]["tls.crt"]["certificate"]["days"] > 2 * server["days"]


def test_cert_manager_instead(found):
    plan = found["kserve", "google"]
    assert plan["secrets"] == [] and not [item for item in objects(plan) if item["kind"].endswith("WebhookConfiguration")]
    assert releases(plan)["kserve"]["source"] == "" and releases(plan)["kserve"]["values"]["kserve"]["certManager"] == {"enabled": True}
    assert "kserve-crd" in releases(plan) and not plan["phases"]["definitions"]["definitions"]


def test_what_is_purged_only(found):
    offspring = found["kserve", "defaults"]["offspring"]
    assert all(entry["data"] for entry in offspring)
    assert {entry["kind"]: entry.get("finalizer") for entry in offspring} == {
        "TrainedModel": "trainedmodel.finalizer", "InferenceService": "inferenceservice.finalizers", "InferenceGraph": None}
    for case, kind, spaces in (("envoy", "HTTPRoute", {"models"}), ("ambassador", "Mapping", {"emissary"}),
                               ("istio", "VirtualService", {"models", "team-a"}), ("defaults", "", set())):
        routes = [entry for entry in found["models", case]["offspring"] if entry["kind"] != "ConfigMap"]
        assert {entry["namespace"] for entry in routes} == spaces and {entry["kind"] for entry in routes} <= {kind}
        assert all(entry["data"] and entry["selector"] == {"openmlops.io/model": None} for entry in found["models", case]["offspring"])


def test_settings(found):
    def settings(case):
        return json.loads(one(found["models", case], "ConfigMap", "model-deployment")["data"]["settings.json"])

    assert settings("envoy") == {
        "ambassador_id": "openmlops", "artifact_root": "s3://mlflow", "drain_seconds": 10, "request_seconds": 60, "engine": "kserve", "frameworks": {
            "mlflow": {"runtime": "openmlops-mlflow"}, "sklearn": {"runtime": "openmlops-sklearn"}, "xgboost": {"runtime": "openmlops-xgboost"}},
        "gateway": "envoy_gateway", "gateway_name": "platform", "gateway_namespace": "envoy-gateway", "hostname": "ml.example.org",
        "image_pull_secrets": [], "listener": "https", "mlflow_service": {"name": "mlflow", "namespace": "mlflow", "port": 5000},
        "namespace": "models", "namespaces": ["models"], "prefix": "/models/", "public_url": "https://ml.example.org", "route_namespace": "",
        "service_account": "model-server", "storage_secret": "model-storage",
        "tracking_uri": "http://mlflow.mlflow.svc.cluster.local:5000/mlflow"}
    alone = settings("defaults")
    assert (alone["gateway"], alone["public_url"], alone["hostname"], alone["gateway_name"]) == ("none", "", "", "")
    assert (settings("seldon")["engine"], settings("seldon")["prefix"], settings("seldon")["frameworks"]) == ("seldon", "/seldon/", {})
    assert settings("ambassador")["route_namespace"] == "emissary" and settings("istio")["route_namespace"] == ""
    assert settings("external")["artifact_root"] == "s3://acme-mlflow" and settings("google")["artifact_root"] == "gs://mlflow"
    assert settings("address")["listener"] == "http"
    # Each runtime that is named is there.
    for case in ("defaults", "teams"):
        named = {entry["runtime"] for entry in settings(case)["frameworks"].values()}
        assert named == {item["metadata"]["name"] for item in objects(found["kserve", case]) if item["kind"] == "ClusterServingRuntime"}


def test_storage(found):
    def secret(case):
        return found["models", case]["secrets"][0]

    inside = secret("defaults")
    assert inside["annotations"] == {
        "serving.kserve.io/s3-region": "us-east-1", "serving.kserve.io/s3-endpoint": "object-store.object-store.svc.cluster.local:7070",
        "serving.kserve.io/s3-usehttps": "0", "serving.kserve.io/s3-usevirtualbucket": "0"}
    assert inside["data"]["AWS_SECRET_ACCESS_KEY"] == {"copy": "mlflow/mlflow-bucket/secret_access_key"}
    assert inside["data"]["RCLONE_CONFIG_S3_ENDPOINT"]["value"].startswith("http://object-store")
    outside = secret("external")
    assert outside["annotations"]["serving.kserve.io/s3-endpoint"] == "s3.example.org:9000"
    assert outside["annotations"]["serving.kserve.io/s3-usehttps"] == "1"
    amazon = secret("amazon")
    assert "AWS_ACCESS_KEY_ID" not in amazon["data"] and amazon["annotations"] == {"serving.kserve.io/s3-region": "eu-central-1"}
    assert amazon["data"]["RCLONE_CONFIG_S3_ENV_AUTH"] == {"value": "true"}
    assert set(secret("google")["data"]) == {"RCLONE_CONFIG_GS_TYPE", "RCLONE_CONFIG_GS_ENV_AUTH"}
    assert [entry["namespace"] for entry in found["models", "teams"]["secrets"]] == ["models", "team-a", "team-b"]
    account = one(found["models", "amazon"], "ServiceAccount", "model-server")
    assert account["secrets"] == [{"name": "model-storage"}] and account["automountServiceAccountToken"] is False


def test_rights(found):
    def rules(case, namespace="models"):
        (role,) = [item for item in objects(found["models", case]) if item["kind"] == "Role" and item["metadata"] == {
            "name": "model-deployer", "namespace": namespace}]
        return {resource for rule in role["rules"] for resource in rule["resources"]}

    assert {"inferenceservices", "httproutes", "configmaps", "pods/log"} <= rules("envoy") and "seldondeployments" not in rules("envoy")
    assert "seldondeployments" in rules("seldon") and "secrets" not in rules("seldon")
    assert rules("ambassador", "emissary") == {"mappings"} and "mappings" not in rules("ambassador")
    bound = [item for item in objects(found["models", "teams"]) if item["kind"] == "RoleBinding" and item["metadata"]["name"] == "model-deployer"]
    assert [item["metadata"]["namespace"] for item in bound] == ["models", "team-a", "team-b"]
    assert {(entry["namespace"], entry["name"]) for entry in bound[0]["subjects"]} == {
        ("jupyterhub", "notebook"), ("flows", "prefect-flow"), ("ci", "robot")}


def test_network(found):
    def policy(case):
        return one(found["models", case], "NetworkPolicy", "models")["spec"]

    assert policy("defaults")["ingress"] == [{}]
    names = re.findall(r'"kubernetes.io/metadata.name": "([a-z-]+)"', json.dumps([policy("teams")["ingress"]]))
    assert names == ["envoy-gateway", "shop", "jupyterhub", "flows"]
    # No label that somebody gives a model's pods leads out of it.
    assert policy("teams")["podSelector"] == {}
    everywhere = [item["metadata"]["namespace"] for item in objects(found["models", "teams"])
                  if (item["kind"], item["metadata"]["name"]) == ("NetworkPolicy", "models")]
    assert everywhere == ["models", "team-a", "team-b"]
    assert "ipBlock" not in json.dumps(policy("envoy")["egress"])
    block = next(rule for rule in policy("external")["egress"] if "ipBlock" in json.dumps(rule))
    assert {"port": 9000} in block["ports"] and block["to"][0]["ipBlock"]["except"] == ["169.254.169.254/32"]
    assert "169.254" not in json.dumps(policy("amazon")["egress"])


def test_the_way_in(found):
    (service,) = found["models", "teams"]["services"]
    assert (service["prefix"], service["api"], service["allow"], service["landing"]) == ("/models/", True, ["data-science"], True)
    assert found["models", "teams"]["shared"] == {"namespaces": ["models", "team-a", "team-b"], "prefix": "/models/"}
    assert found["models", "ambassador"]["shared"] == {} and found["models", "defaults"]["services"] == []
    assert found["models", "seldon"]["services"][0]["prefix"] == "/seldon/"


def test_admission(found):
    def policies(case):
        return {item["metadata"]["name"] for item in objects(found["models", case]) if item["kind"] == "ValidatingAdmissionPolicy"}

    assert policies("envoy") == {"openmlops-model-routes", "openmlops-model-route-policies", "openmlops-model-states"}
    assert policies("istio") == policies("ambassador") == {"openmlops-model-routes", "openmlops-model-states"}
    assert policies("defaults") == set()
    for case, named in (("envoy", "ml.example.org"), ("address", "!has(object.spec.hostnames)")):
        assert named in json.dumps(one(found["models", case], "ValidatingAdmissionPolicy", "openmlops-model-routes"))
    # Where the gateway itself would let a route lead anywhere, or forget the login.
    ways = {case: json.dumps(one(found["models", case], "ValidatingAdmissionPolicy", "openmlops-model-routes")) for case in ("istio", "ambassador", "envoy")}
    assert "way.destination.host.matches(variables.service)" in ways["istio"] and "object.spec.all(key, key in" in ways["ambassador"]
    assert not re.search("envoy_override|bypass_auth|host_regex|add_request_headers|docs", ways["ambassador"])
    assert all('\\"authorization\\", \\"cookie\\"' in text for text in ways.values())
    bindings = [item for item in objects(found["models", "teams"]) if item["kind"] == "ValidatingAdmissionPolicyBinding"]
    for item in bindings:
        (wanted,) = item["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert wanted["values"] == ["models", "team-a", "team-b"]


@pytest.mark.parametrize("role", ROLES)
def test_bad_input_is_told(tmp_path, role):
    text = (ROOT / "roles" / role / "tasks/preflight.yml").read_text()
    tasks = []
    for named, given in BAD[role].items():
        for task in yaml.safe_load(text):
            tasks.append({**task, "name": f"{named}: {task['name']}", "ignore_errors": True,
                          "vars": {**GIVEN, **given, "role_path": str(ROOT / "roles" / role)}})
    done = play(tmp_path, role, tasks)
    results = [(task["task"]["name"], task["hosts"]["localhost"]) for task in json.loads(done.stdout)["plays"][0]["tasks"]]
    for named in BAD[role]:
        told = [result.get("msg", "") for name, result in results if name.startswith(f"{named}: ") and result.get("failed")]
        assert len(told) == 1 and named in told[0], (named, told)
