# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From data to a model that answers, in one flow: features in Feast, training on Dask, the model in MLflow, deployed at the gateway.

Deployed by prefect.yaml beside it; the notebook story.ipynb does both and explains.
"""

import datetime
import json
import os
import re
import sys
from pathlib import Path

import mlflow
import pandas as pd
from dask_kubernetes.operator import KubeCluster
from distributed import Client
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64
from openmlops import model_deployment
from prefect import flow, runtime, task
from sklearn.datasets import load_diabetes

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # Prefect loads this file, not its folder

import training  # noqa: E402

SMALL = {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}


@task
def read(data: str) -> pd.DataFrame:
    """Returns numbers: features, and the last column as ``target``.

    Args:
        data: ``diabetes`` (442 patients, comes with scikit-learn), or a CSV file beside this one.
    """
    frame = load_diabetes(as_frame=True).frame if data == "diabetes" else pd.read_csv(HERE / data, sep=None, engine="python")
    frame.columns = [re.sub(r"\W+", "_", str(name)).strip("_").lower() for name in frame.columns]
    frame = frame.rename(columns={frame.columns[-1]: "target"}).astype(float)
    print(f"{data}: {len(frame)} rows, {len(frame.columns) - 1} features")
    return frame


@task
def ingest(frame: pd.DataFrame, name: str) -> str:
    """Brings the features into Feast; returns the name of their view."""
    uri = f"s3://{os.environ['FLOWS_BUCKET']}/features/{name}.parquet"
    then = pd.Timestamp.now(tz="UTC").floor("s") - pd.Timedelta(hours=1)
    frame.drop(columns="target").assign(sample=range(len(frame)), event_timestamp=then).to_parquet(uri)
    sample = Entity(name="sample", join_keys=["sample"], value_type=ValueType.INT64)
    source = FileSource(name=name, path=uri, timestamp_field="event_timestamp")
    fields = [Field(name="sample", dtype=Int64), *(Field(name=column, dtype=Float64) for column in frame.columns if column != "target")]
    view = FeatureView(name=f"{name}_features", entities=[sample], source=source, ttl=datetime.timedelta(days=3650), schema=fields)
    FeatureStore().apply([sample, source, view])
    return view.name


@task
def history(frame: pd.DataFrame, view: str) -> pd.DataFrame:
    """Returns the features as Feast knows them, each with its target."""
    now = pd.Timestamp.now(tz="UTC").floor("s")
    asked = pd.DataFrame({"sample": range(len(frame)), "event_timestamp": now})
    columns = [column for column in frame.columns if column != "target"]
    found = FeatureStore().get_historical_features(asked, [f"{view}:{column}" for column in columns]).to_df()
    return found.sort_values("sample").set_index("sample")[columns].assign(target=frame["target"])


@task
def search(table: pd.DataFrame, alphas: tuple[float, ...]) -> dict:
    """Tries every alpha on a Dask cluster of this run's own; returns the best."""
    features, target = table.drop(columns="target").to_numpy(), table["target"].to_numpy()
    name = f"story-{str(runtime.flow_run.id)[:8]}"
    with KubeCluster(name=name, n_workers=2, resources=SMALL, resource_timeout=180, quiet=True) as cluster, Client(cluster) as client:
        client.wait_for_workers(2, timeout=120)
        client.upload_file(training.__file__)  # what is defined here is not installed there
        scores = client.gather(client.map(training.score, alphas, features=features, target=target))
    best = max(scores, key=lambda entry: entry["r2"])
    print(f"best of {len(scores)}: alpha {best['alpha']}, R² {best['r2']:.3f}, on {len({entry['host'] for entry in scores})} workers")
    return best


@task
def register(table: pd.DataFrame, best: dict, name: str, view: str) -> dict:
    """Trains the best model on all data, and puts it into MLflow's registry; returns run, version and one prediction."""
    features, target = table.drop(columns="target").to_numpy(), table["target"].to_numpy()
    fitted = training.model(best["alpha"]).fit(features, target)
    mlflow.set_experiment("story")
    with mlflow.start_run(run_name=f"{name} {best['alpha']}") as run:
        mlflow.log_params({"alpha": best["alpha"], "features": view, "rows": len(table)})
        mlflow.log_metric("r2", best["r2"])
        # In this form scikit-learn's own server reads it, which needs less memory than MLflow's.
        logged = mlflow.sklearn.log_model(fitted, name="model", serialization_format="pickle", registered_model_name=name)
    row = features[0].tolist()
    return {"run": run.info.run_id, "experiment": run.info.experiment_id, "version": str(logged.registered_model_version),
            "row": row, "prediction": float(fitted.predict(features[:1])[0])}


@flow(name="story", log_prints=True)
def story(data: str = "diabetes", alphas: tuple[float, ...] = (1.0,), name: str = "story", traffic: int = 100) -> dict:
    """Trains a model and deploys it.

    Args:
        data: see read().
        alphas: what the model is tried with.
        name: of features, registered model and deployed model.
        traffic: percent of the requests that it answers; the model before it answers the others.
    """
    frame = read(data)
    view = ingest(frame, name)
    table = history(frame, view)
    best = search(table, alphas)
    model = register(table, best, name, view)
    deployed = model_deployment(name, f"models:/{name}/{model['version']}", traffic=traffic)
    result = {**model, "r2": best["r2"], "alpha": best["alpha"], "view": view, "revision": deployed["revision"],
              "weights": deployed["weights"], "url": deployed["predict_url"]}
    print(f"story: {json.dumps(result)}")
    return result
