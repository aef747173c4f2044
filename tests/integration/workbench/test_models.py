# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where models run, before there is one: who may write what, who reaches what, what is answered."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.openmlops.platform.tests.integration.workbench.reach import image

FILTERS = [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
           {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["authorization", "cookie"]}}]
NOTEBOOK = "system:serviceaccount:jupyterhub:notebook"


def dry(cluster, item, *more):
    """Asks the API server what it would say to an object; nothing is made. Returns what went wrong, or an empty text."""
    try:
        cluster.kubectl("apply", "--server-side", "--dry-run=server", *more, "-f", "-", stdin=json.dumps(item))
    except AssertionError as error:
        return str(error)
    return ""


@pytest.fixture
def tried(cluster, gateway):
    """Tries objects as a notebook, or as whoever runs the platform."""
    def run(item, user=NOTEBOOK):
        return dry(cluster, item, *(("--as", user) if user else ()))

    return run


def route(cluster, path="/models/models/wine/", **more):
    host = json.loads(cluster.get("configmap", "-n", "models", "model-deployment")["data"]["settings.json"])["hostname"]
    named = {} if host.replace(".", "").isdigit() else {"hostnames": [host]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "model-wine", "namespace": "models"},
        "spec": {"parentRefs": [{"name": "platform", "namespace": "envoy-gateway", "sectionName": "https"}], **named, "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "filters": FILTERS,
            "backendRefs": [{"name": "wine-a-predictor", "port": 80}], **more}]}}


def configmap(name, labels=None):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "models", "labels": labels or {}}, "data": {"a": "b"}}


def test_routes_stay_below_their_prefix(cluster, tried):
    assert tried(route(cluster)) == "" and tried(route(cluster, "/models/models/wine")) == ""
    for user in (NOTEBOOK, ""):
        for path in ("/", "/mlflow/", "/models/", "/models/modelsx/", "/models/team-a/wine/"):
            assert "a path below /models/models/" in tried(route(cluster, path), user), path
    assert "a path below" in tried(route(cluster, matches=[{"headers": [{"name": "a", "value": "b"}]}]))
    assert "rewrites its path" in tried(route(cluster, backendRefs=[], filters=[
        {"type": "RequestRedirect", "requestRedirect": {"hostname": "evil.example.org"}}]))
    assert "leads to Services of its own namespace" in tried(route(cluster, backendRefs=[{"name": "mlflow", "namespace": "mlflow", "port": 5000}]))
    away = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "mlflow", "namespace": "mlflow", "port": 5000}}}
    assert "leads to Services of its own namespace" in tried(route(cluster, filters=[*FILTERS, away]))
    for filters in (FILTERS[:1], [FILTERS[0], {**FILTERS[1], "requestHeaderModifier": {
            "remove": ["authorization", "cookie"], "set": [{"name": "x", "value": "%REQ(cookie)%"}]}}]):
        assert "authorization and cookie" in tried(route(cluster, filters=filters))
    elsewhere = route(cluster)
    elsewhere["spec"]["hostnames"] = ["other.example.org"]
    assert "spec.hostnames" in tried(elsewhere)


def test_nothing_stands_in_for_the_login(tried):
    policy = {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "open", "namespace": "models"},
              "spec": {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "model-wine"}],
                       "authorization": {"defaultAction": "Allow"}}}
    assert "set models_allow instead" in tried(policy, "")


def test_who_deploys_writes_states_of_models_only(tried):
    assert tried(configmap("model-wine", {"openmlops.io/model": "wine"})) == ""
    for name, labels in (("model-deployment", {"openmlops.io/model": "deployment"}), ("model-index", {"openmlops.io/model": "index"}),
                         ("model-wine", {}), ("other", {"openmlops.io/model": "wine"})):
        assert "writes ConfigMaps model-NAME" in tried(configmap(name, labels)), name
    assert "forbidden" in tried({**configmap("x"), "metadata": {"name": "x", "namespace": "mlflow"}}).lower()


def test_kserves_webhooks_answer(cluster, tried):
    def service(runtime):
        return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "wine-a", "namespace": "models"},
                "spec": {"predictor": {"serviceAccountName": "model-server", "model": {
                    "modelFormat": {"name": "sklearn"}, "runtime": runtime, "protocolVersion": "v2", "storageUri": "s3://mlflow/x"}}}}

    assert tried(service("openmlops-sklearn")) == ""
    # A name that the controller itself refuses; the definition would take it.
    wrong = service("openmlops-sklearn")
    wrong["metadata"]["name"] = "9wine"
    assert "admission webhook" in tried(wrong)
    hook = cluster.get("mutatingwebhookconfigurations", "inferenceservice.serving.kserve.io")["webhooks"][0]
    wanted = cluster.get("secret", "-n", "kserve", "kserve-webhook-ca")["data"]["tls.crt"]
    assert hook["clientConfig"]["caBundle"] == wanted and base64.b64decode(wanted).startswith(b"-----BEGIN CERTIFICATE-----")


def test_the_list_of_models(gateway, ada):
    for accept in ("*/*", "text/html"):
        found = gateway.ask("/models/models/none/v2/models/none/infer", "POST", json={}, headers={"Accept": accept})
        assert found.status_code == 401 and "<html" not in found.text
    assert gateway.ask("/models/").status_code == 401
    assert isinstance(ada.open("/models/", headers={"Accept": "application/json"}).json()["models"], list)
    assert "<h1>Models</h1>" in ada.open("/models/", headers={"Accept": "text/html"}).text
    missing = ada.open("/models/models/none/v2/models/none")
    assert missing.status_code == 404 and "there is no model models/none" in missing.json()["error"]


def test_what_a_model_reaches(cluster, gateway):
    """A pod as a model's server is. Who deploys chooses its labels: none leads out."""
    places = {"object-store.object-store": 7070, "mlflow.mlflow": 5000, "kratos-admin.ory": 80}
    code = ("import json, socket, time\nfound = {}\nfor host, port in %r:\n    found[host] = 'closed'\n    for _ in range(4):\n        try:\n"
            "            socket.create_connection((host + '.svc.cluster.local', port), 2).close()\n            found[host] = 'open'\n            break\n"
            "        except OSError:\n            time.sleep(0.5)\nprint(json.dumps(found))") % list(places.items())
    said = cluster.kubectl("run", "reach-models", "-n", "models", f"--image={image(cluster)}", "--image-pull-policy=IfNotPresent",
                           "--restart=Never", "--labels=openmlops.io/part=index", "--rm", "-i", "--quiet", "--command", "--", "python", "-c", code)
    assert json.loads(said.strip().splitlines()[-1]) == {
        "object-store.object-store": "open", "mlflow.mlflow": "closed", "kratos-admin.ory": "closed"}
