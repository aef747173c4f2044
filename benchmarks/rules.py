# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times the access rules of 1,000 services, the proof included; `scripts/bench rules`.

    benchmarks/rules.py [--services N] [--runs N]

Needs no cluster. Each measurement is a process of its own, as a run of a playbook is: nothing is remembered from the one before.
Seconds are those of the processor, so that a busy machine does not count.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import statistics
import time

from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules

HOST = "ml.example"
ENDINGS = "css js ico png svg jpg gif woff ttf map txt xml pdf zip csv webp avif mp4 html json".split()
# Seconds for 1,000 services.
BUDGETS = {"generated": 1.0, "20 own rules, one service each": 1.0, "20 own rules, all services": None}


def services(count: int) -> list[dict]:
    """Returns a catalogue: one service at the root, the others below the prefixes of 40 teams."""
    places = ["/", *(f"/team{number % 40}/service-{number}/" for number in range(1, count))]
    return [{"name": f"s{number}", "prefix": place, "service": "x", "namespace": "x", "port": 80, "allow": "authenticated"}
            for number, place in enumerate(places)]


def own(kind: str, catalogue: list[dict]) -> list[dict]:
    """Returns the rules of the user: none, or 20 that reach one service each or all of them."""
    if kind == "generated":
        return []
    if kind == "20 own rules, all services":
        return [{"id": ending, "match": {"path": f"/<(?:.*/)?[^/]+[.]{ending}/?>", "methods": ["GET"]}, "allow": "public",
                 "carve": [service["name"] for service in catalogue]} for ending in ENDINGS]
    return [{"id": service["name"], "match": {"path": f"{service['prefix']}public<(?:/.*)?>", "methods": ["GET"]}, "allow": "public",
             "carve": [service["name"]]} for service in catalogue[1:21]]


def seconds(kind: str, count: int) -> float:
    """Returns the processor's seconds that the rules take."""
    catalogue = services(count)
    more = own(kind, catalogue)
    started = time.process_time()
    rules(catalogue, HOST, f"https://{HOST}/auth/login", "http://keto/check", more)
    return time.process_time() - started


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=1000, help="entries of the catalogue")
    parser.add_argument("--runs", type=int, default=3, help="repeats; the median counts")
    arguments = parser.parse_args()
    print(f"{'rules of ' + str(arguments.services) + ' services':36}{'seconds':>10}{'budget':>10}")
    over = False
    for kind, budget in BUDGETS.items():
        found = []
        for _run in range(arguments.runs):
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                found.append(pool.submit(seconds, kind, arguments.services).result())
        value = statistics.median(found)
        late = budget is not None and arguments.services <= 1000 and value > budget
        over = over or late
        print(f"{kind:36}{value:10.2f}{budget if budget is not None else '-':>10}{'  OVER' if late else ''}")
    raise SystemExit(1 if over else 0)


if __name__ == "__main__":
    main()
