# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every run must keep: nothing to do the second time, nothing lost, no secret shown, one clear error."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Nobody comes by the gateway in these tests; the live probe at a run's end would take a good part of each.
UNPROBED = ("-e", "platform_probe=false")


def converged(cluster):
    """Runs twice and returns the second run, which must change nothing."""
    cluster.run("up", *UNPROBED).ok()
    second = cluster.run("up", *UNPROBED).ok()
    assert second.changed == 0, second.text[-6000:]
    return second


def no_worker_is_left():
    """Whether every worker of a killed run has ended; Ansible gives each a session of its own."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        orphans = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = status.read_text().rpartition(")")[2].split()[1]
                words = (status.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == "1" and b"ansible-playbook" in words and str(ROOT).encode() in words:
                orphans.append(status.parent.name)
        if not orphans:
            return True
        time.sleep(0.2)
    return False


def runs_in_mlflow(cluster):
    return int(cluster.kubectl("exec", "-n", "postgresql", "postgresql-1", "-c", "postgres", "--", "psql", "-d", "mlflow", "-tAc",
                               "select count(*) from runs").strip())


def test_the_second_run_changes_nothing(cluster):
    second = cluster.run("up").ok()
    assert second.changed == 0, second.text[-6000:]


def test_check_and_diff_tell_the_truth_on_a_converged_cluster(cluster):
    checked = cluster.run("up", *UNPROBED, "--check", "--diff").ok()
    assert checked.changed == 0, checked.text[-6000:]
    assert "+++ after" not in checked.text


def test_check_and_diff_name_what_would_change(cluster):
    before = cluster.get("deployment", "-n", "mlflow", "mlflow")["metadata"]["generation"]
    checked = cluster.run("up", *UNPROBED, "--check", "--diff", "-e", "mlflow_workers=1").ok()
    assert checked.changed > 0
    assert "workers=1" in checked.text and "+++ after" in checked.text
    assert cluster.get("deployment", "-n", "mlflow", "mlflow")["metadata"]["generation"] == before


def test_no_secret_is_ever_shown(cluster):
    """Everything is made anew in one namespace, as loudly as Ansible can, and no value is in the output."""
    cluster.run("up", *UNPROBED, "-e", "mlflow_state=absent", "-e", "mlflow_purge=true").ok()
    loud = cluster.run("up", "-vvv", "--diff").ok()
    assert loud.changed > 0
    for place, value in cluster.secret_values().items():
        for form in (value, base64.b64encode(value.encode()).decode()):
            assert form not in loud.text, f"{place} is shown"


def test_what_somebody_changed_by_hand_is_put_back(cluster):
    cluster.kubectl("-n", "mlflow", "set", "env", "deployment/mlflow", "MLFLOW_S3_ENDPOINT_URL=http://elsewhere")
    cluster.kubectl("-n", "mlflow", "delete", "service", "mlflow")
    healed = cluster.run("up", *UNPROBED).ok()
    assert healed.changed == 1
    assert "elsewhere" not in json.dumps(cluster.get("deployment", "-n", "mlflow", "mlflow")["spec"])
    assert cluster.get("service", "-n", "mlflow", "mlflow")["spec"]["ports"][0]["port"] == 5000
    assert cluster.run("up", *UNPROBED).ok().changed == 0


@pytest.mark.slow
def test_a_component_that_is_removed_keeps_its_data(cluster):
    before = runs_in_mlflow(cluster)
    assert before > 0
    names = ("mlflow", "access", "portal", "ory", "postgresql", "object_store")
    cluster.run("up", *UNPROBED, *(word for name in names for word in ("-e", f"{name}_state=absent"))).ok()
    assert cluster.get("deployments", "-n", "mlflow")["items"] == []
    assert cluster.get("pods", "-n", "postgresql", "-l", "cnpg.io/cluster=postgresql")["items"] == []
    converged(cluster)
    assert runs_in_mlflow(cluster) >= before


def generations(cluster):
    """How often each object's specification was written, by what it is; its condition does not count."""
    items = cluster.get("deployments,statefulsets,services,configmaps,secrets", "-A")["items"]
    return {(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]): (
        item["metadata"]["uid"], item["metadata"].get("generation")) for item in items}


BAD = {
    "unknown component": (["-e", '\'{"platform_components": ["mlfow"]}\''], ["platform_components", "mlfow", "mlflow"]),
    "wrong type": (["-e", "mlflow_workers=many"], ["mlflow_workers"]),
    "wrong choice": (["-e", "postgresql_mode=sqlite"], ["postgresql_mode", "cloudnativepg, external"]),
    "incomplete": (["-e", "postgresql_mode=external"], ["postgresql_external_host", "postgresql_external_admin_secret"]),
    "needed by another": (["-e", "postgresql_state=absent"], ["postgresql_state", "ory_state, mlflow_state"]),
    "unknown chart source": (["-e", "platform_chart_source=/nowhere"], ["platform_chart_source", "/nowhere"]),
}


# One of each kind; the others come to the same checks.
QUICK = ("unknown component", "wrong type", "needed by another")


@pytest.mark.parametrize("case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in BAD])
def test_bad_input_gets_one_clear_error_and_changes_nothing(cluster, case):
    arguments, words = BAD[case]
    before = generations(cluster)
    failed = cluster.run("up", *UNPROBED, *arguments)
    assert failed.code != 0
    assert failed.text.count("[ERROR]") <= 2, failed.text
    for word in words:
        assert word in failed.text, failed.text[-3000:]
    assert generations(cluster) == before


@pytest.mark.parametrize(("kubeconfig", "context", "word"), [
    ("real", "another", "another"), pytest.param("/nowhere/kubeconfig", "any", "/nowhere/kubeconfig", marks=pytest.mark.slow),
    ("dead", "dead", "127.0.0.1:9")])
def test_a_cluster_that_cannot_be_reached_is_named(cluster, tmp_path, kubeconfig, context, word):
    dead = tmp_path / "dead"
    dead.write_text(cluster.kubeconfig.read_text().replace(f"https://{cluster.facts['node_address']}:6443", "https://127.0.0.1:9")
                    .replace(cluster.context, "dead"))
    path = {"real": cluster.kubeconfig, "dead": dead}.get(kubeconfig, kubeconfig)
    failed = cluster.run("up", "-e", "platform_gateway=none", INVENTORY="gke", CLUSTER="", COMPONENTS="mlflow", KUBECONFIG=str(path),
                         OPENMLOPS_CONTEXT=context)
    assert failed.code != 0 and failed.seconds < 300
    assert word in failed.text and "platform_" in failed.text, failed.text[-3000:]


def test_a_missing_image_is_named_and_ends_the_run(cluster):
    failed = cluster.run("up", *UNPROBED, "-e", "mlflow_image_repository=localhost/openmlops/none", "-e", "mlflow_image_tag=none",
                         "-e", "platform_image_pull_policy=Never")
    assert failed.code != 0
    assert "ErrImageNeverPull" in failed.text and "localhost/openmlops/none:none" in failed.text
    assert failed.seconds < 400  # not the 900 s of platform_wait_timeout
    cluster.run("up", *UNPROBED).ok()


def test_two_runs_at_once_wait_for_each_other(cluster):
    processes = [cluster.start("up", *UNPROBED, "-e", f"mlflow_workers={workers}") for workers in (1, 1)]
    texts = [process.communicate(timeout=1500)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], texts
    assert cluster.run("up", *UNPROBED).ok().changed > 0


@pytest.mark.soak
def test_a_killed_run_converges_when_run_again(cluster):
    """kill -9 of everything the run started, at points spread over it; then a plain run, then one that changes nothing.

    Up to three kills come one upon another, each in what the last one left; more, as in `make soak`, each in a fresh installation.
    """
    kills = int(os.environ.get("OPENMLOPS_KILLS", "3"))
    fresh = kills > 3
    length = 50.0  # a guess; from then on, what the last one took
    for number in range(kills):
        if fresh or number == 0:
            cluster.run("up", *UNPROBED, "-e", "mlflow_state=absent", "-e", "mlflow_purge=true").ok()
        point = length * (number + 0.7) / (kills + 0.2)
        process = cluster.start("up", *UNPROBED)
        time.sleep(point)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=120)
        assert no_worker_is_left(), "a worker of the killed run goes on"
        print(f"  | killed after {point:.1f} of {length:.1f} s")
        if fresh or number == kills - 1:
            length = max(20.0, cluster.run("up", *UNPROBED).ok().seconds)
            second = cluster.run("up", *UNPROBED).ok()
            assert second.changed == 0, second.text[-6000:]


@pytest.mark.slow
def test_stopping_and_starting_keeps_everything(cluster):
    before = runs_in_mlflow(cluster)
    cluster.run("down").ok()
    assert "reachable\": false" in cluster.run("status", OUTPUT="json").text
    converged(cluster)
    assert runs_in_mlflow(cluster) == before
