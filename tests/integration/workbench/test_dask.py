# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dask clusters by the operator: made by those who may, computing on their workers, closed for all others."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.openmlops.platform.tests.integration.workbench.reach import reached

CLUSTER = "by-api"
COMPUTE = """
import json, os, socket, sys
from dask_kubernetes.operator import KubeCluster
from distributed import Client

small = {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}
# Left behind on purpose: the test looks at it, and deletes it.
cluster = KubeCluster(name="by-api", n_workers=2, resources=small, shutdown_on_close=False, resource_timeout=180, quiet=True)
with Client(cluster) as client:
    client.wait_for_workers(2, timeout=120)
    versions = client.get_versions(check=True)
    workers = list(client.scheduler_info(n_workers=-1)["workers"])
    where = client.gather([client.submit(socket.gethostname, workers=[name], pure=False) for name in workers])
    total = sum(client.gather(client.map(lambda number: number ** 2, range(1000))))
    print(json.dumps({"hosts": where, "total": total, "dashboard": client.dashboard_link, "python": [
        part["host"]["python"] for part in (versions["client"], versions["scheduler"], *versions["workers"].values())]}))
"""


@pytest.fixture(scope="module")
def computed(cluster, ada):
    """A cluster made in a notebook, and what was computed on it."""
    try:
        yield json.loads(ada.run(COMPUTE, 420).splitlines()[-1])
    finally:
        cluster.kubectl("delete", "daskcluster", "-n", "dask", CLUSTER, "--ignore-not-found", timeout=180)


def test_two_workers_compute_with_the_versions_of_the_client(computed):
    assert len(set(computed["hosts"])) == 2
    assert computed["total"] == sum(number ** 2 for number in range(1000))
    assert len(computed["python"]) == 4 and len(set(computed["python"])) == 1


def test_its_dashboard_is_seen_in_the_browser(ada, eve, computed):
    """By way of the person's own server, so nobody else sees it."""
    path = "/" + computed["dashboard"].split("://")[-1].split("/", 1)[-1] if "://" in computed["dashboard"] else computed["dashboard"]
    assert path.startswith(f"{ada.server}/")
    page = ada.open(path)
    assert page.status_code == 200 and "Dask" in page.text
    assert eve.open(path).status_code == 403


def test_a_cluster_that_computes_does_not_stay_pending(cluster, computed):
    """Two handlers of the operator write the phase; here the later one is as late as on a busy machine."""
    cluster.kubectl("patch", "daskcluster", "-n", "dask", CLUSTER, "--type=merge", "-p", json.dumps({"status": {"phase": "Pending"}}))
    cluster.kubectl("wait", "daskcluster", "-n", "dask", CLUSTER, "--for=jsonpath={.status.phase}=Running", "--timeout=180s", timeout=200)


def test_nobody_else_reaches_the_scheduler(cluster, computed):
    scheduler = {f"{CLUSTER}-scheduler.dask": 8786}
    assert [reached(cluster, space, scheduler)[f"{CLUSTER}-scheduler.dask"] for space in ("flows", "default", "mlflow")] == [
        "open", "closed", "closed"]


def test_who_may_make_clusters_may_do_nothing_else(cluster, gateway):
    def may(account, *what):
        return cluster.kubectl("auth", "can-i", *what, f"--as=system:serviceaccount:{account}", check=False).strip()

    for account in ("flows:prefect-flow", "jupyterhub:notebook"):
        assert may(account, "create", "daskclusters.kubernetes.dask.org", "-n", "dask") == "yes"
    for what in (("create", "pods", "-n", "dask"), ("get", "secrets", "-n", "dask"), ("get", "secrets", "-n", "prefect"),
                 ("create", "pods", "-n", "flows"), ("list", "namespaces"), ("create", "daskclusters.kubernetes.dask.org", "-n", "mlflow")):
        assert may("flows:prefect-flow", *what) == may("jupyterhub:notebook", *what) == "no", what
    assert may("flows:default", "create", "daskclusters.kubernetes.dask.org", "-n", "dask") == "no"
    # The operator serves its own namespace.
    assert may("dask:dask-operator", "create", "deployments", "-n", "dask") == "yes"
    assert may("dask:dask-operator", "create", "deployments", "-n", "mlflow") == "no"


def test_a_cluster_cannot_reach_for_the_node(cluster, computed):
    """What is asked for in a cluster must keep to the baseline of the Pod Security Standards."""
    found = cluster.get("daskcluster", "-n", "dask", CLUSTER)
    spec = found["spec"]
    spec["worker"]["replicas"] = 1
    spec["worker"]["spec"]["volumes"] = [{"name": "node", "hostPath": {"path": "/"}}]
    wanted = {"apiVersion": found["apiVersion"], "kind": "DaskCluster", "metadata": {"name": "grabbing", "namespace": "dask"}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(wanted))
    try:
        end = time.monotonic() + 180
        refused = ""
        while "hostPath" not in refused:
            assert time.monotonic() < end, f"nobody refused it: {refused}"
            time.sleep(1)
            deployments = cluster.get("deployments", "-n", "dask", "-l", "dask.org/cluster-name=grabbing,dask.org/component=worker")["items"]
            refused = json.dumps([item["status"].get("conditions", []) for item in deployments])
    finally:
        cluster.kubectl("delete", "daskcluster", "-n", "dask", "grabbing", timeout=180)
