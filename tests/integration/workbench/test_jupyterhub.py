# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data scientist's day: log in once, start a server, train and track a model; and what a notebook may not do."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA, EVE

# No address is set here: MLFLOW_TRACKING_URI is there already.
TRAIN = """
import json, mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

data = load_wine(as_frame=True)
train_x, test_x, train_y, test_y = train_test_split(data.data, data.target, random_state=7)
mlflow.set_experiment("notebook")
with mlflow.start_run() as run:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(train_x, train_y)
    mlflow.log_param("C", 0.5)
    mlflow.log_metric("accuracy", model.score(test_x, test_y))
    conda = {"name": "wine", "channels": ["conda-forge"], "dependencies": ["python=3.11", "pip", {"pip": ["mlflow", "scikit-learn==1.7.0"]}]}
    logged = mlflow.sklearn.log_model(model, name="model", conda_env=conda)
again = mlflow.pyfunc.load_model(logged.model_uri)
print(json.dumps({"run": run.info.run_id, "same": bool((again.predict(test_x) == model.predict(test_x)).all()),
                  "environment": open(mlflow.pyfunc.get_model_dependencies(logged.model_uri)).read()}))
"""
# Tries to connect to each address, once.
CONNECT = """
import json, socket
from concurrent.futures import ThreadPoolExecutor

def is_open(address):
    try:
        socket.create_connection(address, 5).close()
        return True
    except OSError:
        return False

with ThreadPoolExecutor(20) as pool:
    answers = pool.map(is_open, ADDRESSES)
print(json.dumps({f"{host}:{port}": answer for (host, port), answer in zip(ADDRESSES, answers)}))
"""


def test_one_login_opens_it(gateway, login):
    """Nobody meets a login form of the hub, and nobody enters without the platform's session."""
    assert gateway.ask("/jupyter/hub/home").status_code == 401
    assert gateway.ask("/jupyter/hub/home", headers={"Accept": "text/html"}).headers["Location"].startswith(f"{gateway.url}/auth/login")
    browser = login(ADA)
    home = browser.open("/jupyter/hub/home")
    assert home.status_code == 200 and ADA in home.text and not home.history[-1].url.endswith("/auth/login")


def test_a_notebook_trains_and_tracks(ada):
    proof = json.loads(ada.run(TRAIN).splitlines()[-1])
    assert proof["same"] is True
    # The environment that was named with the model, not the notebook's.
    assert "scikit-learn==1.7.0" in proof["environment"].split()
    run = ada.open(f"/mlflow/api/2.0/mlflow/runs/get?run_id={proof['run']}").json()["run"]
    assert run["info"]["status"] == "FINISHED"
    assert {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}["accuracy"] > 0.9
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["mlflow.user"] == ADA


def test_files_stay_when_the_server_is_started_anew(cluster, ada):
    ada.run("import pathlib; pathlib.Path.home().joinpath('kept.txt').write_text('still here')")
    first = pod_of(cluster, ADA)["metadata"]["uid"]
    ada.stop()
    ada.start()
    assert pod_of(cluster, ADA)["metadata"]["uid"] != first
    assert "still here" in ada.run("import pathlib; print(pathlib.Path.home().joinpath('kept.txt').read_text())")


def test_servers_and_files_outlive_a_restart_of_the_hub(cluster, ada):
    before = pod_of(cluster, ADA)["metadata"]["uid"]
    cluster.kubectl("rollout", "restart", "-n", "jupyterhub", "deployment/hub")
    cluster.kubectl("rollout", "status", "-n", "jupyterhub", "deployment/hub", "--timeout=120s", timeout=150)
    end = time.monotonic() + 60  # the way to the new pod is known a moment after it is ready
    while (status := ada.open("/jupyter/hub/home").status_code) != 200:
        assert time.monotonic() < end, status
        time.sleep(1)
    assert "still here" in ada.run("import pathlib; print(pathlib.Path.home().joinpath('kept.txt').read_text())")
    assert pod_of(cluster, ADA)["metadata"]["uid"] == before


def test_a_notebook_reaches_its_tools_and_nothing_else(cluster, ada):
    node = cluster.facts["node_address"]
    reached = {"mlflow.mlflow.svc.cluster.local:5000": True, "hub.jupyterhub.svc.cluster.local:8081": True,
               "object-store.object-store.svc.cluster.local:7070": True, "prefect-server.prefect.svc.cluster.local:4200": True,
               "dask-scheduler.dask.svc.cluster.local:8786": True, "kubernetes.default.svc.cluster.local:443": True}
    refused = [("postgresql-rw.postgresql.svc.cluster.local", 5432), ("169.254.169.254", 80),
               ("oathkeeper-api.ory.svc.cluster.local", 4456), ("kratos-admin.ory.svc.cluster.local", 80),
               ("keto-write.ory.svc.cluster.local", 80), ("proxy-api.jupyterhub.svc.cluster.local", 8001), (node, 10250), (node, 2379)]
    pairs = [(name.split(":")[0], int(name.split(":")[1])) for name in reached] + refused
    found = json.loads(ada.run(f"ADDRESSES = {pairs!r}\n{CONNECT}").splitlines()[-1])
    assert found == reached | {f"{host}:{port}": False for host, port in refused}


def test_a_notebook_has_no_rights_but_to_make_dask_clusters(cluster, ada):
    account = "system:serviceaccount:jupyterhub:notebook"
    for verb, kind in (("get", "secrets"), ("create", "pods"), ("get", "persistentvolumeclaims"), ("list", "pods"), ("create", "pods/exec")):
        assert cluster.kubectl("auth", "can-i", verb, kind, "-n", "jupyterhub", f"--as={account}", check=False).strip() == "no"
    # What it can do with what it finds in its pod, not only what it should.
    refused = ada.run("""
import kubernetes
kubernetes.config.load_incluster_config()
api = kubernetes.client.CoreV1Api()
for call in (lambda: api.list_namespaced_secret("jupyterhub"), lambda: api.list_namespaced_pod("jupyterhub"),
             lambda: api.list_namespaced_persistent_volume_claim("jupyterhub"), lambda: api.list_namespace()):
    try:
        call()
        print("open")
    except kubernetes.client.ApiException as error:
        print(error.status)
""")
    assert refused.split() == ["403"] * 4
    pod = pod_of(cluster, ADA)["spec"]
    container = pod["containers"][0]["securityContext"]
    assert container["runAsUser"] == 1000 and container["capabilities"] == {"drop": ["ALL"]}
    # The only claim in it is the person's own.
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert len(claims) == 1 and claims[0].startswith("claim-ada-example-org")


def test_nobody_comes_into_another_ones_server(ada, eve):
    for path in ("/lab", "/api/contents/kept.txt", "/files/kept.txt"):
        answer = eve.open(ada.server + path)
        assert answer.status_code == 403 and "still here" not in answer.text, (path, answer.status_code, answer.url)
    assert eve.call("DELETE", f"/jupyter/hub/api/users/{ADA}/server").status_code in (403, 404)


@pytest.mark.slow
def test_a_home_that_was_deleted_comes_back_empty(cluster, eve):
    """As after a removal with data, when the hub's database is still there."""
    eve.start()
    eve.stop()
    (claim,) = [item["metadata"]["name"] for item in cluster.get("persistentvolumeclaims", "-n", "jupyterhub")["items"]
                if item["metadata"]["name"].startswith("claim-eve-")]
    cluster.kubectl("delete", "persistentvolumeclaim", "-n", "jupyterhub", claim)
    eve.start()
    eve.stop()


def test_a_browser_that_changes_hands_is_another_person(login, ada):
    """Ada's cookies of JupyterHub with Eve's session of the platform: Eve is Eve, on the hub and on Ada's server."""
    other = login(EVE)
    for cookie in ada.http.cookies:
        if cookie.path.startswith("/jupyter/"):
            other.http.cookies.set_cookie(cookie)
    assert other.open(f"{ada.server}/api/contents/kept.txt", headers={"Accept": "application/json"}).status_code == 403
    home = other.open("/jupyter/hub/home").text
    assert EVE in home and ADA not in home


def test_a_token_of_jupyters_own_works_beside_the_session(ada):
    made = ada.call("POST", f"/jupyter/hub/api/users/{ADA}/tokens", json={"note": "test", "expires_in": 300})
    assert made.status_code == 201, made.text[:300]
    # Another client of the same person: the platform's session, no cookie of the hub, Jupyter's token.
    with ada.gateway.session() as client:
        for cookie in ada.http.cookies:
            if cookie.name.startswith("ory_kratos"):
                client.cookies.set_cookie(cookie)
        headers = {"Authorization": f"token {made.json()['token']}"}
        assert client.get(f"{ada.gateway.url}/jupyter/hub/api/user", headers=headers, timeout=30).json()["name"] == ADA
        assert client.get(f"{ada.gateway.url}{ada.server}/api/status", headers=headers, timeout=30).status_code == 200
        assert client.get(f"{ada.gateway.url}{ada.server}/api/status", timeout=30).status_code == 403


def test_logging_out_of_the_platform_ends_it(ada):
    ada.log_out()
    for path in ("/jupyter/hub/home", f"{ada.server}/lab", f"{ada.server}/api/contents/kept.txt"):
        answer = ada.open(path, headers={"Accept": "application/json"}, allow_redirects=False)
        assert answer.status_code == 401, (path, answer.status_code)
    # The server goes on without its person, who comes back to it; later tests work with it.
    ada.log_in()
    assert ada.start() < 20


def pod_of(cluster, email):
    """The pod of a person's server."""
    pods = cluster.get("pods", "-n", "jupyterhub", "-l", "component=singleuser-server")["items"]
    found = [pod for pod in pods if pod["metadata"]["annotations"]["hub.jupyter.org/username"] == email]
    assert len(found) == 1, [pod["metadata"]["name"] for pod in pods]
    return found[0]
