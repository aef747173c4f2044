# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prediction costs through the gateway and its login, beside the same model asked directly, and how soon a model answers.

    benchmarks/serving.py [--cluster NAME] [--seconds N] [--rounds N] [--keep]

Logs a small scikit-learn model from a pod, deploys it, and asks it from a pod: by its Service, and by the gateway with a token, in turns,
so that what else the machine does meets both alike. The one who asks runs on the same machine and in the same way for both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from ansible_collections.openmlops.platform.tests.integration.conftest import Cluster
from ansible_collections.openmlops.platform.tests.integration.platform_client import gateway_of, secret
from ansible_collections.openmlops.platform.tests.integration.workbench.reach import image
from ansible_collections.openmlops.platform.tests.integration.workbench.serving import deploy, predict

COMPONENTS = "mlflow,prefect,kserve"
NAME, MACHINE, SPACE = "bench", "bench", "flows"
TRAIN = """
import json, mlflow
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
data = load_diabetes()
mlflow.set_experiment("bench")
with mlflow.start_run():
    info = mlflow.sklearn.log_model(LinearRegression().fit(data.data, data.target), name="model", serialization_format="pickle")
print(json.dumps({"uri": info.model_uri, "row": data.data[0].tolist()}))
"""
# Reads addresses, token and authority from its input: a token is no argument. Prints milliseconds and requests a second by place.
ASK = """
import http.client, json, ssl, sys, threading, time, urllib.parse
given = json.load(sys.stdin)
context = ssl.create_default_context(cadata=given["ca"])

def one(place, url, headers, end, found):
    parts = urllib.parse.urlsplit(url)
    https = parts.scheme == "https"
    connection = (http.client.HTTPSConnection(parts.netloc, context=context, timeout=30) if https
                  else http.client.HTTPConnection(parts.netloc, timeout=30))
    while time.perf_counter() < end:
        begin = time.perf_counter()
        connection.request("POST", parts.path, given["body"], headers)
        answer = connection.getresponse()
        answer.read()
        found.append((time.perf_counter() - begin, answer.status))

results = {place: [] for place in given["places"]}
for _round in range(given["rounds"]):
    for place, (url, token) in given["places"].items():
        headers = {"Content-Type": "application/json", "Accept": "application/json", **({"Authorization": "Bearer " + token} if token else {})}
        found, end = [], time.perf_counter() + given["seconds"]
        threads = [threading.Thread(target=one, args=(place, url, headers, end, found)) for _ in range(given["connections"])]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        times = sorted(seconds for seconds, status in found if status == 200)
        failed = len(found) - len(times)
        pick = lambda part: times[min(len(times) - 1, int(len(times) * part))] * 1000 if times else -1.0
        results[place].append({"p50": pick(0.5), "p99": pick(0.99), "rate": len(times) / given["seconds"], "failed": failed})
print(json.dumps(results))
"""


def in_pod(cluster: Cluster, code: str, stdin: str = "", timeout: float = 600, **environment: str) -> dict:
    """Runs Python in a pod as flows have it; returns the JSON of its last line."""
    more = [f"--env={key}={value}" for key, value in {"HOME": "/tmp", **environment}.items()]
    text = cluster.kubectl("run", f"bench-{uuid.uuid4().hex[:8]}", "-n", SPACE, f"--image={image(cluster)}", "--image-pull-policy=IfNotPresent",
                           "--restart=Never", "--rm", "-i", "--quiet", *more, "--command", "--", "python", "-c", code, stdin=stdin, timeout=timeout)
    return json.loads([line for line in text.splitlines() if line.startswith("{")][-1])


def measure(cluster: Cluster, seconds: float, rounds: int, keep: bool = False) -> dict[str, float]:
    """Measures and returns milliseconds, requests a second and seconds by name."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        cluster.run("up", "-e", f"'{json.dumps({'platform_machines': [{'name': MACHINE}]})}'", COMPONENTS=COMPONENTS).ok()
        gateway = gateway_of(cluster, Path(folder))
        token = secret(cluster, "ory", f"machine-{MACHINE}", "token")
        settings = json.loads(cluster.get("configmap", "-n", "models", "model-deployment")["data"]["settings.json"])
        made = in_pod(cluster, TRAIN, MLFLOW_TRACKING_URI=settings["tracking_uri"])
        try:
            started = time.monotonic()
            model = deploy(cluster, NAME, model_uri=made["uri"])
            predict(gateway, token, model["predict_url"], [made["row"]])
            found["from model_deployment to the first answer (s)"] = time.monotonic() - started
            direct = model["cluster_url"] + model["predict_url"].split(f"/{NAME}/", 1)[1]
            places = {"direct": [direct, ""], "gateway": [model["predict_url"], token]}
            body = {"inputs": [{"name": "rows", "shape": [1, len(made["row"])], "datatype": "FP64", "data": made["row"]}]}
            for connections, label in ((1, "one client"), (8, "8 clients")):
                asked = {"places": places, "body": json.dumps(body), "ca": gateway.ca.read_text(), "rounds": rounds, "seconds": seconds,
                         "connections": connections}
                found |= summarised(label, in_pod(cluster, ASK, json.dumps(asked)))
        finally:
            if not keep:
                deploy(cluster, NAME, state="absent")
    return found


def summarised(label: str, results: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Prints the medians of the rounds as a table and returns them by name.

    Raises:
        SystemExit: when a request failed: nothing was measured then.
    """
    found: dict[str, float] = {}
    print(f"\n{label:12}{'p50 ms':>10}{'p99 ms':>10}{'req/s':>10}")
    for place, some in results.items():
        if any(entry["failed"] for entry in some):
            raise SystemExit(f"{place}: {sum(entry['failed'] for entry in some):.0f} requests failed; nothing was measured")
        kept = {key: statistics.median(entry[key] for entry in some) for key in ("p50", "p99", "rate")}
        print(f"{place:12}" + "".join(f"{kept[key]:10.2f}" for key in ("p50", "p99", "rate")), flush=True)
        found |= {f"predictions, {label}, {place}: {key}": value for key, value in kept.items()}
    for key in ("p50", "p99"):
        found[f"predictions, {label}, gateway: {key} added"] = (
            found[f"predictions, {label}, gateway: {key}"] - found[f"predictions, {label}, direct: {key}"])
    return found


def main() -> None:
    """Measures on a cluster that runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cluster", default="bench", help="name of the local cluster; it must run")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="repeats; the median counts")
    parser.add_argument("--keep", action="store_true", help="leave the model there")
    arguments = parser.parse_args()
    base = Path(os.environ.get("OPENMLOPS_STATE") or Path.home() / ".local" / "state" / "openmlops")
    for name, value in measure(Cluster(arguments.cluster, base), arguments.seconds, arguments.rounds, arguments.keep).items():
        if "(s)" in name or "added" in name:
            print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
