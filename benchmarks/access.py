# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the login decision costs: time added to each request, requests held by one gateway, memory.

    benchmarks/access.py [--cluster NAME] [--seconds N] [--rounds N] [--keep]

Asks the local cluster's own gateway only, by wrk (Debian: wrk), for ``seconds`` each. One service, a proxy that answers by itself,
stands behind the gateway five times: without authorisation at all (a route that only this benchmark makes), public, and behind
the login by token, by cookie and with a group. They are asked in turns, so that what else the machine does meets all alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.tests.integration.conftest import Cluster
from ansible_collections.openmlops.platform.tests.integration.platform_client import Gateway, gateway_of, secret

SPACE, USER, GROUP = "bench", "bench@example.org", "bench"
# name -> allow; the first has no entry in the catalogue and no decision.
PLACES: dict[str, t.Any] = {"bare": None, "public": "public", "token": "authenticated", "cookie": "authenticated", "group": [GROUP]}
GATEWAY_SPACE = "envoy-gateway"
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}


@dataclasses.dataclass(frozen=True)
class Load:
    """What wrk measured: milliseconds, requests a second, and answers that were none of the service's."""

    p50: float
    p99: float
    rate: float
    refused: int


def upstream(image: str) -> list[dict]:
    """Returns the objects of a service that answers 200 by itself, as fast as can be: Envoy."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "bench\n"}}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench", "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    }
    listener = {"address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}
    config = json.dumps({"static_resources": {"listeners": [listener]}})
    container = {"name": "envoy", "image": image, "imagePullPolicy": "IfNotPresent", "args": ["--config-yaml", config, "--concurrency", "1"],
                 "command": ["envoy"], "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    labels = {"app": "bench"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bench", "namespace": SPACE},
         "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bench", "namespace": SPACE}, "spec": {
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}},
    ]


def bare(cluster: Cluster) -> list[dict]:
    """Returns a route without a decision: its own policy takes the place of the Gateway's. Only this benchmark makes such a one."""
    live = cluster.get("httproutes.gateway.networking.k8s.io", "-n", GATEWAY_SPACE)["items"]
    public = next(route for route in live if json.dumps(route["spec"]).find('"/bench-public') > 0)
    spec = json.loads(json.dumps(public["spec"]).replace("/bench-public", "/bench-bare"))
    spec["rules"] = [rule for rule in spec["rules"] if "/bench-bare" in json.dumps(rule.get("matches") or [])][:1]
    policy = {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "bench-bare"}],
              "authorization": {"defaultAction": "Allow"}}
    meta = {"name": "bench-bare", "namespace": GATEWAY_SPACE}
    return [{"apiVersion": public["apiVersion"], "kind": "HTTPRoute", "metadata": meta, "spec": spec},
            {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy", "metadata": meta, "spec": policy}]


def wrk(gateway: Gateway, place: str, header: str, connections: int, seconds: float) -> Load:
    """Asks one place as fast as it answers, on so many connections."""
    command = ["wrk", "-t", str(min(2, connections)), "-c", str(connections), "-d", f"{seconds:.0f}s", "--latency", "--timeout", "10s",
               "-H", "Accept: application/json", *(["-H", header] if header else []), f"{gateway.url}/bench-{place}/"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(_milliseconds(text, "50%"), _milliseconds(text, "99%"), float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
                (int(refused[1]) if refused else 0) + (sum(map(int, errors.groups())) if errors else 0))


def _milliseconds(text: str, part: str) -> float:
    found = re.search(rf"{part}\s+([\d.]+)(us|ms|s|m)\b", text)
    return float(found[1]) * _UNITS[found[2]]


def memory(name: str) -> dict[str, float]:
    """Returns MiB (PSS) of the gateway's proxies and of those who decide, by program."""
    found: dict[str, float] = {}
    for members in {path for base in Path("/sys/fs/cgroup").glob(f"**/openmlops-{name}") for path in base.rglob("cgroup.procs")}:
        for pid in members.read_text().split():
            try:
                program = Path(f"/proc/{pid}/comm").read_text().strip()
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            if program in ("envoy", "oathkeeper", "kratos", "keto"):
                size = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
                found[program] = found.get(program, 0.0) + size / 1024
    return found


def prepare(cluster: Cluster, folder: Path) -> tuple[Gateway, dict[str, str]]:
    """Adds services, a person and the bare route; returns the gateway and the header that each place is asked with."""
    proxy = cluster.get("pods", "-n", GATEWAY_SPACE, "-l", "openmlops.io/part=proxy")["items"][0]["spec"]["containers"][0]["image"]
    apply(cluster, upstream(proxy))
    cluster.kubectl("rollout", "status", "-n", SPACE, "deployment/bench", "--timeout=120s")
    entries = [{"name": f"bench-{place}", "prefix": f"/bench-{place}/", "service": "bench", "namespace": SPACE, "port": 80,
                "target_port": 8080, "allow": allow} for place, allow in PLACES.items() if allow]
    more = folder / "more.json"
    more.write_text(json.dumps({"platform_services": entries, "platform_users": [{"email": USER, "groups": [GROUP]}]}))
    cluster.run("up", "-e", f"@{more}").ok()
    apply(cluster, bare(cluster))
    gateway = gateway_of(cluster, folder)
    password = secret(cluster, "ory", "user-bench-example-org", "password")
    token = f"Authorization: Bearer {gateway.login(USER, password)}"
    cookie = f"Cookie: ory_kratos_session={gateway.browser_login(USER, password).cookies['ory_kratos_session']}"
    end = time.monotonic() + 60
    while gateway.ask("/bench-bare/").text != "bench\n":
        if time.monotonic() > end:
            raise SystemExit("the gateway does not take the benchmark's own route")
        time.sleep(1)
    return gateway, {"bare": "", "public": "", "token": token, "cookie": cookie, "group": token}


def apply(cluster: Cluster, objects: list[dict]) -> None:
    """Makes objects."""
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def clear(cluster: Cluster) -> None:
    """Takes everything away again."""
    cluster.kubectl("delete", "-n", GATEWAY_SPACE, "httproute/bench-bare", "securitypolicy/bench-bare", "--ignore-not-found")
    cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait=false")
    cluster.run("up").ok()


def measure(cluster: Cluster, seconds: float, rounds: int, keep: bool = False) -> dict[str, float]:
    """Measures and returns milliseconds, requests a second and MiB by name."""
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            gateway, headers = prepare(cluster, Path(folder))
            for connections, label in ((1, "one client"), (16, "16 clients")):
                loads: dict[str, list[Load]] = {}
                for _round in range(rounds):
                    for place, header in headers.items():
                        loads.setdefault(place, []).append(wrk(gateway, place, header, connections, seconds))
                print_loads(label, loads)
                for place, some in loads.items():
                    if any(load.refused for load in some):
                        raise SystemExit(f"{place}: {sum(load.refused for load in some)} requests were refused; nothing was measured")
                    found |= summarised(label, place, some, loads["bare"])
            found |= {f"memory after load, {program} (MiB)": size for program, size in memory(cluster.name).items()}
        finally:
            if not keep:
                clear(cluster)
    return found


def summarised(label: str, place: str, some: list[Load], without: list[Load]) -> dict[str, float]:
    """Returns what is kept of the rounds of one place: medians, and what they are above the route without a decision."""
    def median(loads: list[Load], key: str) -> float:
        return statistics.median(getattr(load, key) for load in loads)

    found = {f"{label}, {place}: {key}": median(some, key) for key in ("p50", "p99", "rate")}
    if place != "bare":
        found |= {f"{label}, {place}: {key} added": median(some, key) - median(without, key) for key in ("p50", "p99")}
    return found


def print_loads(label: str, loads: dict[str, list[Load]]) -> None:
    """Prints the medians as a table."""
    print(f"\n{label:12}{'p50 ms':>10}{'p99 ms':>10}{'+p50':>10}{'+p99':>10}{'req/s':>10}")
    for place, some in loads.items():
        kept = summarised(label, place, some, loads["bare"])
        row = [kept.get(f"{label}, {place}: {key}", 0.0) for key in ("p50", "p99", "p50 added", "p99 added", "rate")]
        print(f"{place:12}" + "".join(f"{value:10.2f}" for value in row), flush=True)


def main() -> None:
    """Measures on a cluster that runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cluster", default="bench", help="name of the local cluster; it must run")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="repeats; the median counts")
    parser.add_argument("--keep", action="store_true", help="leave services and route there")
    arguments = parser.parse_args()
    base = Path(os.environ.get("OPENMLOPS_STATE") or Path.home() / ".local" / "state" / "openmlops")
    found = measure(Cluster(arguments.cluster, base), arguments.seconds, arguments.rounds, arguments.keep)
    for name, value in found.items():
        if name.startswith("memory"):
            print(f"{name}: {value:.0f}")


if __name__ == "__main__":
    main()
