# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models end to end: logged in a notebook, deployed from notebook and controller, asked through the gateway while they are replaced."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.tests.integration.conftest import ROOT
from ansible_collections.openmlops.platform.tests.integration.platform_client import secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA
from ansible_collections.openmlops.platform.tests.integration.workbench.reach import reached
from ansible_collections.openmlops.platform.tests.integration.workbench.serving import Load, deploy, predict
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError

NAME = "diabetes"
# Two versions that answer differently: one has learned, the other knows the mean only.
TRAIN = """
import json, mlflow
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

mlflow.set_experiment("serving")
data = load_diabetes()
found = {"row": data.data[7].tolist()}
for alias, model in {"champion": LinearRegression(), "challenger": DummyRegressor()}.items():
    model.fit(data.data, data.target)
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(model, name="model", serialization_format="pickle", registered_model_name="serving-diabetes")
    mlflow.MlflowClient().set_registered_model_alias("serving-diabetes", alias, logged.registered_model_version)
    found[alias] = {"value": float(model.predict(data.data[7:8])[0]), "run": run.info.run_id, "version": logged.registered_model_version}
print(json.dumps(found))
"""
# A model with code of its own beside it, in a file that no image has.
OWN_MODEL = """
import mlflow.pyfunc
from mlflow.models import set_model


class Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        from words import twice
        return twice(model_input)


set_model(Twice())
"""
OWN_CODE = f"""
import json, mlflow, pathlib, xgboost
from sklearn.datasets import load_diabetes

pathlib.Path("/tmp/words.py").write_text("def twice(value):\\n    return value * 2\\n")
pathlib.Path("/tmp/own_model.py").write_text({OWN_MODEL!r})
mlflow.set_experiment("serving")
data = load_diabetes()
with mlflow.start_run() as run:
    own = mlflow.pyfunc.log_model(name="own", python_model="/tmp/own_model.py", code_paths=["/tmp/words.py"])
    trees = xgboost.XGBRegressor(n_estimators=5).fit(data.data, data.target)
    boosted = mlflow.xgboost.log_model(trees, name="boosted")
print(json.dumps({{"own": own.model_uri, "boosted": boosted.model_uri, "row": data.data[7].tolist(),
                  "value": float(trees.predict(data.data[7:8])[0])}}))
"""
FROM_NOTEBOOK = """
import json
from openmlops import model_deployment
print(json.dumps(model_deployment(**CALL, say=lambda line: None)))
"""


def printed(text):
    """Returns the JSON among what a notebook printed."""
    return json.loads([line for line in text.splitlines() if line.startswith("{")][-1])


@pytest.fixture(scope="module")
def token(cluster, gateway):
    return gateway.login(ADA, secret(cluster, "ory", "user-ada-example-org", "password"))


@pytest.fixture(scope="module")
def models(ada):
    """The two versions: their predictions for one row."""
    return printed(ada.run(TRAIN, 400))


@pytest.fixture(scope="module")
def model(cluster, ada, models):
    """The first version, deployed from a notebook by its alias; all is taken away at the end."""
    call = {"name": NAME, "model_uri": "models:/serving-diabetes@champion"}
    try:
        found = printed(ada.run(FROM_NOTEBOOK.replace("CALL", repr(call)), 400))
        assert found["changed"] and found["framework"] == "sklearn" and list(found["weights"].values()) == [100]
        yield found
    finally:
        with contextlib.suppress(ModelError):
            deploy(cluster, NAME, state="absent")


def only(values, expected):
    """Returns the share of the values that are what a model says."""
    return sum(value == pytest.approx(expected) for value in values) / len(values)


def test_a_person_predicts_through_the_gateway(gateway, token, model, models):
    assert model["predict_url"] == f"{gateway.url}/models/models/{NAME}/v2/models/{NAME}/infer"
    assert predict(gateway, token, model["predict_url"], [models["row"]]) == pytest.approx([models["champion"]["value"]])


def test_without_a_token_there_is_an_error_and_no_page(gateway, model):
    path = model["predict_url"].removeprefix(gateway.url)
    for method, headers in (("POST", {}), ("GET", {"Accept": "text/html"}), ("POST", {"Authorization": "Bearer wrong"})):
        found = gateway.ask(path, method, headers=headers)
        assert found.status_code == 401 and "json" in found.headers["Content-Type"], (method, headers, found.text[:200])


def test_the_same_from_the_controller_changes_nothing(cluster, model):
    """By the action itself."""
    options = {"name": NAME, "model_uri": "models:/serving-diabetes@champion", "kubeconfig": str(cluster.kubeconfig), "context": cluster.context}
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
                   "ANSIBLE_NOCOLOR": "1"}
    for check in ([], ["--check", "--diff"]):
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible"), "localhost", "-i", "localhost,", "-c", "local", "-m",
             "openmlops.platform.model_deployment", "-a", json.dumps(options), *check],
            cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment)
        assert done.returncode == 0 and "SUCCESS" in done.stdout and "changed: false" in done.stdout, done.stdout + done.stderr


def test_the_list_of_models_has_it(gateway, token, model):
    found = gateway.ask("/models/", token=token, headers={"Accept": "application/json"})
    assert found.status_code == 200 and NAME in found.text and model["revision"] in found.text
    missing = gateway.ask("/models/models/no-such-model/v2/health/ready", token=token)
    assert missing.status_code == 404 and "json" in missing.headers["Content-Type"]


def test_a_canary_then_everything_then_back_under_load(cluster, gateway, token, model, models):
    first, second = models["champion"]["value"], models["challenger"]["value"]
    challenger = {"model_uri": "models:/serving-diabetes@challenger"}
    with Load(gateway, token, model["predict_url"], models["row"]) as load:
        load.more(20)
        canary = deploy(cluster, NAME, traffic=10, **challenger)
        assert sorted(canary["weights"].values()) == [10, 90]
        share = only(load.more(300), second)
        assert 0.03 < share < 0.2, share
        whole = deploy(cluster, NAME, **challenger)
        assert whole["weights"] == {canary["revision"]: 100} and whole["previous"] == model["revision"]
        assert only(load.more(50), second) == 1
        assert not deploy(cluster, NAME, **challenger)["changed"]
        back = deploy(cluster, NAME, state="rolled_back")
        assert back["changed"] and back["weights"] == {model["revision"]: 100}
        assert only(load.more(50), first) == 1
        assert not deploy(cluster, NAME, state="rolled_back")["changed"]
    assert load.failures == [], f"{len(load.failures)} of {len(load.answers)}: {load.failures[:5]}"
    print(f"  {len(load.answers)} predictions, none failed")


def test_a_shadow_answers_nobody(cluster, gateway, token, model, models):
    shadow = deploy(cluster, NAME, model_uri="models:/serving-diabetes@challenger", shadow=True)
    try:
        assert shadow["shadow"] == shadow["revision"] and shadow["weights"] == {model["revision"]: 100}
        for _number in range(20):
            assert predict(gateway, token, model["predict_url"], [models["row"]]) == pytest.approx([models["champion"]["value"]])
        pod = cluster.get("pods", "-n", "models", "-l", f"serving.kserve.io/inferenceservice={NAME}-{shadow['revision']}")["items"][0]
        counted = cluster.kubectl("exec", "-n", "models", pod["metadata"]["name"], "-c", "kserve-container", "--", "python", "-c", (
            "import urllib.request as r\n"
            "for port in (8082, 8080):\n"
            "    try: print(r.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=5).read().decode())\n"
            "    except OSError: pass"))
        lines = [line for line in counted.splitlines() if line.startswith("model_infer_request_success_total")]
        assert lines and float(lines[0].split()[-1]) >= 20, counted[-2000:]
    finally:
        deploy(cluster, NAME, state="rolled_back")
    (left,) = cluster.get("inferenceservices", "-n", "models", "-l", f"openmlops.io/model={NAME}")["items"]
    assert left["metadata"]["name"] == f"{NAME}-{model['revision']}"


def test_a_model_that_cannot_come_up_changes_nothing(cluster, gateway, token, model, models):
    with pytest.raises(ModelError, match="Requests go where they went before") as error:
        deploy(cluster, NAME, model_uri="s3://no-such-bucket/model", framework="sklearn", wait_timeout=300)
    assert "storage-initializer" in str(error.value) and "last words" in str(error.value), str(error.value)
    assert predict(gateway, token, model["predict_url"], [models["row"]]) == pytest.approx([models["champion"]["value"]])
    assert deploy(cluster, NAME, state="rolled_back")["weights"] == {model["revision"]: 100}


def test_predictors_reach_no_database(cluster, model):
    closed = {"postgresql-rw.postgresql": 5432, "mlflow.mlflow": 5000, "kratos-admin.ory": 80}
    assert reached(cluster, "models", closed) == dict.fromkeys(closed, "closed")


def test_own_code_and_xgboost(cluster, ada, gateway, token, model):
    made = printed(ada.run(OWN_CODE, 400))
    names = {"own": ("own-code", "mlflow"), "boosted": ("boosted", "xgboost")}
    try:
        for key, (name, _framework) in names.items():  # both start at once
            deploy(cluster, name, model_uri=made[key], wait=False)
        found = {key: deploy(cluster, name, model_uri=made[key]) for key, (name, _framework) in names.items()}
        assert {key: one["framework"] for key, one in found.items()} == {key: framework for key, (_name, framework) in names.items()}
        assert predict(gateway, token, found["own"]["predict_url"], [[1.0, 2.0]], "np") == pytest.approx([2.0, 4.0])
        assert predict(gateway, token, found["boosted"]["predict_url"], [made["row"]]) == pytest.approx([made["value"]], rel=1e-4)
    finally:
        for name, _framework in names.values():
            deploy(cluster, name, state="absent")


@pytest.mark.slow
def test_tensorflow(cluster, gateway, token, model):
    settings = json.loads(cluster.get("configmap", "-n", "models", "model-deployment")["data"]["settings.json"])
    runtime = (settings["frameworks"].get("tensorflow") or {}).get("runtime")
    if not runtime:
        pytest.skip("no server of this cluster runs TensorFlow (frameworks of the ConfigMap model-deployment)")
    image = cluster.get("clusterservingruntimes.serving.kserve.io", runtime)["spec"]["containers"][0]["image"]
    code = f"""
import json, mlflow, numpy as np, tensorflow as tf
mlflow.set_tracking_uri({settings["tracking_uri"]!r})
mlflow.set_experiment("serving")
model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])
with mlflow.start_run():
    info = mlflow.tensorflow.log_model(model, name="tf", signature=mlflow.models.infer_signature(np.zeros((1, 2))))
print(json.dumps({{"uri": info.model_uri}}))
"""
    made = printed(cluster.kubectl(
        "run", f"tensorflow-{uuid.uuid4().hex[:8]}", "-n", "flows", f"--image={image}", "--image-pull-policy=IfNotPresent", "--restart=Never",
        "--rm", "-i", "--quiet", "--env=HOME=/tmp", "--command", "--", "python", "-c", code, timeout=400))
    try:
        found = deploy(cluster, "layers", model_uri=made["uri"], framework="tensorflow")
        assert predict(gateway, token, found["predict_url"], [[1.0, 2.0]], "np") == pytest.approx([3.0])
    finally:
        deploy(cluster, "layers", state="absent")


def test_absent_leaves_nothing(cluster, gateway, token, model):
    assert deploy(cluster, NAME, state="absent")["changed"]
    assert not deploy(cluster, NAME, state="absent")["changed"]
    kinds, end = "inferenceservices,httproutes,configmaps,deployments,services,pods", time.monotonic() + 30
    # What the engine made goes with its owner, a moment later.
    while left := cluster.get(kinds, "-n", "models", "-l", f"openmlops.io/model={NAME}")["items"]:
        assert time.monotonic() < end, [f"{item['kind']} {item['metadata']['name']}" for item in left]
        time.sleep(1)
    found = gateway.ask(model["predict_url"].removeprefix(gateway.url), "POST", token=token, json={})
    assert found.status_code == 404 and "json" in found.headers["Content-Type"]
