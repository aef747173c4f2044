# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train, track and reload a model: proof that tracking works, run as a Job inside the cluster.

Reads MLFLOW_TRACKING_URI and EXPERIMENT; DATA names scikit-learn's bundled set. Prints one line of JSON at the end.
"""

import json
import os

import mlflow
import numpy as np
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

ALPHA, L1_RATIO, SEED = 0.01, 0.9, 40

data = load_diabetes(as_frame=True)
train_x, test_x, train_y, test_y = train_test_split(data.data, data.target, test_size=0.25, random_state=SEED)

mlflow.set_experiment(os.environ["EXPERIMENT"])
with mlflow.start_run(run_name="ElasticNet on diabetes") as run:
    model = ElasticNet(alpha=ALPHA, l1_ratio=L1_RATIO, random_state=SEED).fit(train_x, train_y)
    predicted = model.predict(test_x)
    scores = {
        "rmse": root_mean_squared_error(test_y, predicted),
        "mae": mean_absolute_error(test_y, predicted),
        "r2": r2_score(test_y, predicted),
    }
    mlflow.log_params({"alpha": ALPHA, "l1_ratio": L1_RATIO, "rows": len(train_x), "features": train_x.shape[1]})
    mlflow.log_metrics(scores)
    logged = mlflow.sklearn.log_model(
        model, name="model", input_example=train_x.head(3), signature=infer_signature(train_x, predicted)
    )

# Read everything back from the server: what was not stored cannot be found.
stored = mlflow.tracking.MlflowClient().get_run(run.info.run_id)
assert abs(stored.data.metrics["r2"] - scores["r2"]) < 1e-9, stored.data.metrics
assert stored.data.params["l1_ratio"] == str(L1_RATIO), stored.data.params
reloaded = mlflow.pyfunc.load_model(logged.model_uri)
np.testing.assert_allclose(reloaded.predict(test_x), predicted)

print(json.dumps({
    "run_id": run.info.run_id,
    "experiment_id": run.info.experiment_id,
    "model_uri": logged.model_uri,
    "artifact_uri": stored.info.artifact_uri,
    "r2": round(scores["r2"], 4),
    "rmse": round(scores["rmse"], 2),
    "predictions": len(predicted),
}))
