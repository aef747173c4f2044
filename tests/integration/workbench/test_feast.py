# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features end to end: defined and ingested from a notebook, retrieved for training, brought into the online store, and asked
for through the gateway. The data are scikit-learn's diabetes set, the patient's number as entity."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.openmlops.platform.tests.integration.platform_client import secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA
from ansible_collections.openmlops.platform.tests.integration.workbench.reach import reached

SERVER = "/feast/server"
# What each piece of code in the notebook begins with: the same definitions, found again by their names.
BEGIN = """
import datetime, json, os
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64
from sklearn.datasets import load_diabetes

store = FeatureStore()
uri = f"s3://{os.environ['FLOWS_BUCKET']}/features/diabetes.parquet"
"""
DEFINE = BEGIN + """
data = load_diabetes(as_frame=True)
then = pd.Timestamp.now(tz="UTC").floor("s") - pd.Timedelta(hours=2)
frame = data.data[["bmi", "bp", "s5"]].assign(patient=range(len(data.data)), event_timestamp=then)
# Measured a day earlier, with another outcome: what training must not see as today's.
old = frame.assign(bmi=frame.bmi - 1, event_timestamp=then - pd.Timedelta(days=1))
pd.concat([old, frame]).to_parquet(uri)

patient = Entity(name="patient", join_keys=["patient"], value_type=ValueType.INT64)
source = FileSource(name="diabetes", path=uri, timestamp_field="event_timestamp")
view = FeatureView(
    name="measures", entities=[patient], ttl=datetime.timedelta(days=30), source=source,
    schema=[Field(name="patient", dtype=Int64), *(Field(name=name, dtype=Float64) for name in ("bmi", "bp", "s5"))])
store.apply([patient, source, view])
print(json.dumps({"then": then.isoformat(), "views": [entry.name for entry in store.list_feature_views()]}))
"""
TRAIN = BEGIN + """
then = pd.Timestamp(THEN)
ask = pd.DataFrame({"patient": [0, 7, 441, 7], "event_timestamp": [then + pd.Timedelta(hours=1)] * 3 + [then - pd.Timedelta(hours=12)]})
found = store.get_historical_features(ask, ["measures:bmi", "measures:bp"]).to_df().sort_values(["patient", "event_timestamp"])
print(found[["patient", "bmi", "bp"]].to_json(orient="records"))
"""
MATERIALIZE = BEGIN + """
store.materialize_incremental(end_date=datetime.datetime.now(datetime.timezone.utc))
print(json.dumps(store.get_online_features(["measures:bmi", "measures:s5"], [{"patient": 0}, {"patient": 7}, {"patient": 9999}]).to_dict()))
"""
# A new measurement of one patient.
MEASURE = BEGIN + """
frame = pd.read_parquet(uri)
new = frame[frame.patient == 7].tail(1).assign(bmi=0.5, event_timestamp=pd.Timestamp.now(tz="UTC").floor("s"))
pd.concat([frame, new]).to_parquet(uri)
"""


def _numbered(entry):
    """Rows by their number; JSON has them by its text."""
    return {int(key) if key.isdigit() else key: value for key, value in entry.items()}


def _printed(text):
    """Returns the JSON among what a notebook printed, warnings included."""
    (line,) = [line for line in text.splitlines() if line.startswith(("{", "["))]
    return json.loads(line, object_hook=_numbered)


@pytest.fixture(scope="module")
def token(cluster, gateway):
    return gateway.login(ADA, secret(cluster, "ory", "user-ada-example-org", "password"))


@pytest.fixture(scope="module")
def data(ada):
    """The set itself: values by column, as the notebook has them."""
    return _printed(ada.run("from sklearn.datasets import load_diabetes\n"
                            "print(load_diabetes(as_frame=True).data.to_json(double_precision=15))"))


@pytest.fixture(scope="module")
def defined(ada):
    """What the notebook that defined the features printed."""
    found = _printed(ada.run(DEFINE, 400))
    assert found["views"] == ["measures"]
    return found


@pytest.fixture(scope="module")
def online(ada, defined):
    """What a notebook got from the online store after it had materialised."""
    return _printed(ada.run(MATERIALIZE, 400))


@pytest.fixture
def ask(gateway, token):
    """Asks the feature server through the gateway; returns the values by feature."""

    def call(patients, features=("measures:bmi",)):
        answer = gateway.ask(f"{SERVER}/get-online-features", "POST", token=token,
                             json={"features": list(features), "entities": {"patient": patients}})
        assert answer.status_code == 200, answer.text[:500]
        found = answer.json()
        return dict(zip(found["metadata"]["feature_names"], (entry["values"] for entry in found["results"])))

    return call


def test_training_sees_what_was_known_then(ada, defined, data):
    rows = _printed(ada.run(TRAIN.replace("THEN", repr(defined["then"])), 400))
    expected = [(0, data["bmi"][0]), (7, data["bmi"][7] - 1), (7, data["bmi"][7]), (441, data["bmi"][441])]
    assert [row["patient"] for row in rows] == [patient for patient, _bmi in expected]
    assert [row["bmi"] for row in rows] == pytest.approx([bmi for _patient, bmi in expected], abs=1e-9)
    assert [row["bp"] for row in rows] == pytest.approx([data["bp"][patient] for patient, _bmi in expected], abs=1e-9)


def test_a_notebook_materialises_and_asks(online, data):
    assert online["patient"] == [0, 7, 9999]
    assert online["bmi"][:2] == pytest.approx([data["bmi"][0], data["bmi"][7]]) and online["bmi"][2] is None
    assert online["s5"][:2] == pytest.approx([data["s5"][0], data["s5"][7]])


def test_the_feature_server_answers_behind_the_gateway(online, ask, data):
    found = ask([0, 441], ("measures:bmi", "measures:bp"))
    assert found["patient"] == [0, 441]
    assert found["bmi"] == pytest.approx([data["bmi"][0], data["bmi"][441]]) and found["bp"] == pytest.approx([data["bp"][0], data["bp"][441]])


def test_without_a_token_there_is_an_error_and_no_page(gateway):
    for path in (f"{SERVER}/health", "/feast/api/v1/projects"):
        answer = gateway.ask(path, headers={"Accept": "text/html"})
        assert answer.status_code == 401 and "json" in answer.headers["Content-Type"], (path, answer.text[:200])


def test_the_pages_are_behind_the_login_and_whole(gateway, token, defined):
    away = gateway.ask("/feast/", headers={"Accept": "text/html"})
    assert away.status_code == 302 and away.headers["Location"].startswith(f"{gateway.url}/auth/login")
    page = gateway.ask("/feast/p/platform", token=token, headers={"Accept": "text/html"})
    assert page.status_code == 200 and 'src="/feast/static/js/main.' in page.text
    script = gateway.ask(page.text.split('src="')[1].split('"')[0], token=token)
    assert script.status_code == 200 and '="/api/v1"' not in script.text and '"/feast/api/v1"' in script.text
    projects = gateway.ask("/feast/projects-list.json", token=token).json()["projects"]
    assert {"platform": "/feast/api/v1"}.items() <= {entry["id"]: entry["registryPath"] for entry in projects}.items()
    views = gateway.ask("/feast/api/v1/feature_views?project=platform", token=token).json()
    assert "measures" in json.dumps(views)


def test_the_schedule_brings_new_features(cluster, ada, online, ask):
    ada.run(MEASURE, 400)
    cluster.kubectl("create", "job", "-n", "feast", "--from=cronjob/feast-materialize", "by-a-test")
    try:
        end = time.monotonic() + 240
        while not (status := cluster.get("job", "-n", "feast", "by-a-test").get("status", {})).get("succeeded"):
            assert not status.get("failed") and time.monotonic() < end, cluster.kubectl("logs", "-n", "feast", "job/by-a-test", "--tail=50")
            time.sleep(2)
    finally:
        cluster.kubectl("delete", "job", "-n", "feast", "by-a-test")
    assert ask([7])["bmi"] == pytest.approx([0.5])


def test_flows_are_configured_as_notebooks_are(cluster, ada, gateway):
    theirs = json.loads(cluster.get("configmap", "-n", "flows", "feast-client")["data"]["feature_store.yaml"])
    own = _printed(ada.run("import os, pathlib; print(pathlib.Path(os.environ['FEAST_FS_YAML_FILE_PATH']).read_text())"))
    assert theirs == own and "password" not in json.dumps(own)
    template = json.loads(cluster.get("configmap", "-n", "prefect", "prefect-pool-default")["data"]["baseJobTemplate.json"])
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    assert {"name": "feast", "configMap": {"name": "feast-client"}} in pod["volumes"]
    assert "FEAST_FS_YAML_FILE_PATH" in [entry["name"] for entry in pod["containers"][0]["env"]]


def test_notebooks_and_flows_reach_the_servers_and_nobody_else_does(cluster, gateway):
    servers = {"feast-server.feast": 6566, "feast-registry.feast": 6570}
    assert reached(cluster, "flows", servers) == dict.fromkeys(servers, "open")
    assert reached(cluster, "default", servers) == dict.fromkeys(servers, "closed")
