# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and memory of the platform on this machine, each beside its budget; `make bench`.

    benchmarks/run.py [--cold] [--only access|serving] [--runs N] [--keep]

Works on a cluster of its own, named bench. --cold also measures a first `make up` with empty caches (about 20 minutes); --only access
measures what the login decision costs and nothing else, --only serving what a prediction costs.
Results are printed and kept in benchmarks/results.json, by name of the machine's processor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import access  # beside this file
import serving

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.converge import helm_state, record
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import connect
from ansible_collections.openmlops.platform.tests.integration.conftest import Cluster

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
CLUSTER = "bench"
# Seconds, GiB for memory, milliseconds for what a decision adds: design budgets on 2 cores and 24 GiB.
BUDGETS = {"cold up": 25 * 60, "warm up": 180, "second run": 5, "check": None, "plain equivalent": None, "memory (GiB)": 4,
           **{f"one client, {place}: p99 added": 10 for place in ("public", "token", "cookie", "group")}}


def make(verb: str, **environment: str) -> tuple[float, str]:
    """Runs a verb of the Makefile and returns its seconds and its output."""
    started = time.monotonic()
    done = subprocess.run(["make", "-s", verb], cwd=ROOT, text=True, stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "CLUSTER": CLUSTER, "INVENTORY": "local", **environment})
    if done.returncode:
        raise SystemExit(f"make {verb} failed:\n{done.stdout[-4000:]}")
    return time.monotonic() - started, done.stdout


def memory() -> float:
    """Resident memory of everything in the cluster's control group in GiB, shared pages counted once (PSS)."""
    pids = set()
    for hierarchy in Path("/sys/fs/cgroup").glob("**/openmlops-bench"):
        for members in hierarchy.rglob("cgroup.procs"):
            pids |= set(members.read_text().split())
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024 / 1024


def plain_equivalent(state: Path, folder: Path) -> float:
    """The same objects by `kubectl apply` and the same charts by `helm upgrade`, one after another, nothing to change."""
    kubeconfig = state / "kubeconfig"
    kubectl = [str(state / "bin" / "kubernetes"), "kubectl", f"--kubeconfig={kubeconfig}"]
    cache = Path(os.environ.get("OPENMLOPS_CACHE") or Path.home() / ".cache" / "openmlops")
    helm = max((cache / "bin").glob("helm-*"), key=lambda path: path.stat().st_mtime)
    cluster = connect({"kubeconfig": str(kubeconfig), "context": f"openmlops-{CLUSTER}"})
    commands = []
    for name, found in record.read_all(cluster, "openmlops").items():
        objects = [cluster.get(m.api_version, m.kind, m.name, m.namespace or None) for m in found.members]
        for obj in filter(None, objects):
            obj["metadata"] = {k: v for k, v in obj["metadata"].items()
                               if k not in ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")}
            obj.pop("status", None)
        manifest = folder / f"{name}.yaml"
        manifest.write_text("---\n".join(yaml_text.dump(obj) for obj in objects if obj))
        commands.append([*kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(manifest)])
        for space, release in found.releases:
            newest = helm_state.revisions(cluster, release, space)[0].payload()
            chart = max((cache / "charts").glob(f"{newest['chart']['metadata']['name']}-*"), key=lambda path: path.stat().st_mtime)
            values = folder / f"{release}.json"
            values.write_text(json.dumps(newest.get("config") or {}))
            commands.append([str(helm), "upgrade", "--install", release, str(chart), "-n", space, "-f", str(values),
                             "--kubeconfig", str(kubeconfig)])
    started = time.monotonic()
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Runs everything and returns seconds (or GiB) by name."""
    found: dict[str, float] = {}
    base = Path(os.environ.get("OPENMLOPS_STATE") or Path.home() / ".local" / "state" / "openmlops")
    if arguments.only:
        make("up", **({"COMPONENTS": serving.COMPONENTS} if arguments.only == "serving" else {}))
        found |= {"access": access, "serving": serving}[arguments.only].measure(Cluster(CLUSTER, base), 5.0, arguments.runs)
        if not arguments.keep:
            make("down", DATA="delete")
        return found
    with tempfile.TemporaryDirectory() as folder:
        if arguments.cold:
            print("cold up: empty caches, this takes a while ...", flush=True)
            found["cold up"], _text = make("up", OPENMLOPS_CACHE=f"{folder}/cache", OPENMLOPS_STATE=f"{folder}/state",
                                           GOCACHE=f"{folder}/gocache", GOMODCACHE=f"{folder}/gomod")
            make("down", DATA="delete", OPENMLOPS_CACHE=f"{folder}/cache", OPENMLOPS_STATE=f"{folder}/state")
            subprocess.run(["chmod", "-R", "u+w", folder], check=False)
            shutil.rmtree(f"{folder}/cache", ignore_errors=True)
        make("up")  # fills the caches
        make("down", DATA="delete")
        print("warm up ...", flush=True)
        found["warm up"], _text = make("up")
        print("second runs ...", flush=True)
        found["second run"] = statistics.median(make("up")[0] for _run in range(arguments.runs))
        found["check"] = statistics.median(make("up", ARGS="--check --diff")[0] for _run in range(arguments.runs))
        state = base / CLUSTER
        found["memory (GiB)"] = memory()
        found |= access.measure(Cluster(CLUSTER, base), 5.0, arguments.runs)
        work = Path(folder) / "plain"
        work.mkdir()
        plain_equivalent(state, work)  # the first time Helm makes new revisions and kubectl takes the fields over
        found["plain equivalent"] = statistics.median(plain_equivalent(state, work) for _run in range(arguments.runs))
    if not arguments.keep:
        make("down", DATA="delete")
    return found


def main() -> None:
    """Measures, prints the table and stores the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cold", action="store_true", help="also measure a first run with empty caches")
    parser.add_argument("--only", choices=["access", "serving"], help="measure only what the login decision, or a prediction, costs")
    parser.add_argument("--runs", type=int, default=3, help="repeats of the short measurements; the median counts")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    found = measure(parser.parse_args())
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    stored[machine] = {**stored.get(machine, {}), **{name: round(value, 2) for name, value in found.items()},
                       "date": time.strftime("%Y-%m-%d")}
    RESULTS.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
    print(f"\n{'what':48}{'measured':>12}{'budget':>12}")
    for name, value in found.items():
        budget = BUDGETS.get(name)
        verdict = "" if budget is None else ("  ok" if value <= budget else "  OVER")
        print(f"{name:48}{value:12.1f}{budget if budget is not None else '-':>12}{verdict}")


if __name__ == "__main__":
    main()
