# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After an upgrade: what write.py wrote is there."""

import json
import urllib.request

URL = "http://localhost:5000"


def read(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


experiment = json.loads(read("/api/2.0/mlflow/experiments/get-by-name?experiment_name=upgrade"))["experiment"]["experiment_id"]
(run,) = json.loads(read("/api/2.0/mlflow/runs/search", {"experiment_ids": [experiment]}))["runs"]
assert {"key": "written", "value": "before"} in run["data"]["params"], run
content = read("/api/2.0/mlflow-artifacts/artifacts/upgrade/proof.txt")
assert content == b"written before", content
print("proved")
