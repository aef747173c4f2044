# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before an upgrade: a run in the database and a file in the object store, by MLflow's API. May run again."""

import json
import urllib.error
import urllib.request

URL = "http://localhost:5000"


def call(method, path, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}{path}", data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text or b"{}")


try:
    experiment = call("POST", "/api/2.0/mlflow/experiments/create", {"name": "upgrade"})["experiment_id"]
except urllib.error.HTTPError as error:
    if error.code != 400:  # it is there already
        raise
else:
    run = call("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": experiment, "start_time": 1})["run"]["info"]["run_id"]
    call("POST", "/api/2.0/mlflow/runs/log-parameter", {"run_id": run, "key": "written", "value": "before"})
    call("PUT", "/api/2.0/mlflow-artifacts/artifacts/upgrade/proof.txt", b"written before")
print("proved")
