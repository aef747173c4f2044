# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what people call a model to the place of its artifacts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.mlflow import Mlflow
from ansible_collections.openmlops.platform.plugins.module_utils.serving.uris import artifact_path, reader, resolve
from ansible_collections.openmlops.platform.tests.unit.serving.world import ROOT, SKLEARN, FakeMlflow


@pytest.fixture
def server():
    return FakeMlflow()


@pytest.fixture
def mlflow(server):
    return Mlflow(server, "/mlflow")


PLACE = f"{ROOT}/7/models/m-1/artifacts"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/path/", "s3://bucket/path"), ("gs://bucket//deep/path", "gs://bucket/deep/path"), ("pvc://claim/models/a", "pvc://claim/models/a"),
        ("models:/wine/1", PLACE), ("models:/wine@champion", PLACE), ("models:/m-1", PLACE), ("models:/wine/latest", PLACE),
        ("models:///wine/1", PLACE), ("runs:/r1/model", PLACE), ("runs:/r1/other/model", f"{ROOT}/7/r1/artifacts/other/model"),
        ("mlflow-artifacts:/7/models/m-1/artifacts", PLACE), ("mlflow-artifacts://host:5000/7/models/m-1/artifacts", PLACE),
    ],
)
def test_where_models_are(mlflow, uri, expected):
    assert resolve(uri, mlflow, ROOT) == expected


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("wine", "is none of s3://"), ("file:///tmp/model", "is none of"), ("s3://", "must be s3://bucket/path"), ("s3:/bucket/a", "must be s3"),
        ("pvc://", "pvc://claim/path"), ("s3://b/../c", "must be s3://bucket/path"), ("runs:/r1", "must be runs:/<run>/<path>"),
        ("runs:/none/model", "MLflow has no run none"), ("models:/wine", "must be models:/<name>/<version>"),
        ("models:/wine/7", "has no version 7 of the registered model wine"), ("models:/wine@loser", "has no alias loser of the registered model wine"),
        ("models:/beer/latest", "no registered model beer"), ("models:/wine/Production", "stages are gone in MLflow 3"),
        ("models:/m-9", "has no logged model m-9"), ("models:/@champion", "must be models"), ("models:/wine@", "must be models"),
    ],
)
def test_what_is_no_model(mlflow, uri, message):
    with pytest.raises(ModelError, match=message):
        resolve(uri, mlflow, ROOT)


def test_a_version_of_a_logged_model(server, mlflow):
    server.versions["wine", "2"] = "models:/m-1"
    assert resolve("models:/wine/2", mlflow, ROOT) == PLACE


def test_the_newest_model_of_a_run(server, mlflow):
    server.models["m-2"] = {**server.models["m-1"], "model_id": "m-2", "creation_timestamp_ms": 2, "artifact_uri": "s3://elsewhere/m-2"}
    assert resolve("runs:/r1/model", mlflow, ROOT) == "s3://elsewhere/m-2"


def test_names_are_sent_as_they_are(server, mlflow):
    server.versions["o'wine & more", "3"] = "s3://bucket/a"
    assert resolve("models:/o'wine & more/3", mlflow, ROOT) == resolve("models:/o'wine & more/latest", mlflow, ROOT) == "s3://bucket/a"


def test_artifacts_that_no_server_gets(server, mlflow):
    server.versions["wine", "4"] = "file:///mlruns/1"
    with pytest.raises(ModelError, match="keeps it at file:///mlruns/1"):
        resolve("models:/wine/4", mlflow, ROOT)
    with pytest.raises(ModelError, match="does not say where MLflow keeps artifacts"):
        resolve("models:/wine/1", mlflow, "")


@pytest.mark.parametrize(("fault", "message"), [
    ((500, b"oops"), "MLflow does not tell about run r1: it answers 500"), ((403, b'{"message": "no"}'), "it answers 403 no"),
    ((200, b"<html>"), "MLflow does not tell"), ((404, b"<html>"), "answers 404"), ((200, b"[]"), "answers 200")])
def test_mlflow_out_of_order(server, mlflow, fault, message):
    server.fault = fault
    with pytest.raises(ModelError, match=message):
        resolve("runs:/r1/model", mlflow, ROOT)


def test_files_beside_a_model(mlflow):
    assert reader("s3://other/m", ROOT, mlflow) is None
    read = reader(PLACE, ROOT, mlflow)
    assert read("MLmodel") == SKLEARN and read("none") is None


@given(st.lists(st.text("ab.-_1", min_size=1, max_size=5).filter(lambda part: part not in (".", "..")), min_size=1, max_size=4))
def test_there_and_back(parts):
    path = "/".join(parts)
    place = resolve(f"mlflow-artifacts:/{path}", Mlflow(FakeMlflow(), "/mlflow"), ROOT)
    assert artifact_path(place, ROOT) == path
    assert artifact_path(place, f"{ROOT}/{parts[0]}x") is None
