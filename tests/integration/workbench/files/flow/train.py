# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flow as a data scientist writes it: train on a Dask cluster of its own, keep what came out in MLflow."""

import socket

import mlflow
from dask_kubernetes.operator import KubeCluster
from distributed import Client
from prefect import flow, runtime
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import cross_val_score


def score(alpha: float) -> dict:
    """Returns how well a model does, and where that was computed."""
    data = load_diabetes()
    r2 = cross_val_score(ElasticNet(alpha=alpha, random_state=0), data.data, data.target, cv=5).mean()
    return {"alpha": alpha, "r2": float(r2), "host": socket.gethostname()}


@flow(log_prints=True)
def train(alphas: tuple = (0.001, 0.003, 0.01, 0.03)) -> str:
    """Returns the id of the MLflow run."""
    small = {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}
    name = f"train-{str(runtime.flow_run.id)[:8]}"
    with KubeCluster(name=name, n_workers=2, resources=small, resource_timeout=180, quiet=True) as cluster, Client(cluster) as client:
        client.wait_for_workers(2, timeout=120)
        client.upload_file(__file__)  # what is defined here is not installed there
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        # The first task goes to one worker, the second to the other, and so on.
        scores = client.gather([client.submit(score, alpha, workers=[workers[number % 2]]) for number, alpha in enumerate(alphas)])
    mlflow.set_experiment("flows")
    best = max(scores, key=lambda entry: entry["r2"])
    with mlflow.start_run(run_name=name) as run:
        mlflow.log_params({"alpha": best["alpha"], "hosts": len({entry["host"] for entry in scores})})
        mlflow.log_metric("r2", best["r2"])
    print(f"best {best}, run {run.info.run_id}")
    return run.info.run_id
