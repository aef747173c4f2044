# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One live probe, from the records in the cluster to what Oathkeeper and the gateway decide."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge import routes
from ansible_collections.openmlops.platform.plugins.module_utils.converge.record import Record
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.plugins.module_utils.people.keto import Keto
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import Kratos
from ansible_collections.openmlops.platform.plugins.module_utils.probe.asking import Gateway, Oathkeeper
from ansible_collections.openmlops.platform.plugins.module_utils.probe.lines import Line, groups, lines
from ansible_collections.openmlops.platform.plugins.module_utils.probe.loaded import differences
from ansible_collections.openmlops.platform.plugins.module_utils.probe.report import Found, agrees, through_gateway
from ansible_collections.openmlops.platform.plugins.module_utils.probe.user_rules import with_user_rules
from ansible_collections.openmlops.platform.plugins.module_utils.probe.visitors import Visitor, Visitors

_DATA_KEY = "access-rules.json"
# So many questions at once; a decision is work for Oathkeeper, Kratos and Keto, so more would not be faster on small machines.
_THREADS = 8
_SAFE = ("GET", "HEAD", "OPTIONS")


class ProbeError(Exception):
    """The probe could not be made, or found a deviation; the message says what and the cure."""


class Probe:
    """The live probe of one platform.

    Args:
        known: the records of all components.
        timeout: seconds until Oathkeeper must have loaded its rules, and the gateway have taken its routes.
        say: tells the user what is waited for.
    """

    def __init__(self, cluster: Cluster, known: dict[str, Record], timeout: float, say: t.Callable[[str], None]) -> None:
        self._cluster, self._timeout, self._say = cluster, timeout, say
        derived = next(plan for plan in routes.derived([], known) if plan.component == routes.ACCESS)
        objects = derived.phases["preparation"].objects
        self._access = derived.catalogue["access"]
        self._space = self._access["oathkeeper"]["namespace"]
        self._rules = json.loads(next(obj for obj in objects if obj["metadata"]["name"] == routes.RULES)["data"][_DATA_KEY])
        catalogue = next(obj for obj in objects if obj["metadata"]["name"] == routes.CATALOGUE)
        self._entries = json.loads(catalogue["data"]["catalogue.json"])["services"]
        self._gateway = next((record.catalogue["gateway"] for name, record in sorted(known.items())
                              if name == self._access["gateway"] and record.catalogue.get("gateway")), {})

    def run(self, gateway: str) -> Found:
        """Asks everything.

        Args:
            gateway: auto (ask it when it can be reached from here), always (fail when it cannot) or never.

        Raises:
            ProbeError: when it cannot be asked.
        """
        started = time.monotonic()
        found = Found(self._access["url"])
        wanted, found.unjudged = with_user_rules(lines(self._entries), self._rules, self._entries)
        visitors = Visitors(Kratos(self._cluster, self._space), Keto(self._cluster, self._space), groups(self._entries))
        oathkeeper = Oathkeeper(self._cluster, self._space, int(self._access["oathkeeper"]["port"]))
        try:
            with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
                loading = pool.submit(self._wait_for_rules, oathkeeper)
                cleared = pool.submit(visitors.clear)
                with visitors as known:
                    found.rules = loading.result()
                    cleared.result()
                    found.oathkeeper = dict(zip(wanted, pool.map(lambda line: oathkeeper.decide(line, known[line.who]), wanted)))
                    if not found.rules and not found.deviations:
                        self._through_gateway(found, gateway, known, pool)
                    else:
                        found.skipped = "Oathkeeper's decisions are wrong already"
        finally:
            oathkeeper.close()
        found.seconds = time.monotonic() - started
        return found

    def _wait_for_rules(self, oathkeeper: Oathkeeper) -> dict[str, str]:
        """Returns what is wrong with the rules as such, once each pod has loaded those that are in the cluster."""
        there = self._cluster.get("v1", "ConfigMap", routes.RULES, self._space)
        live = json.loads(((there or {}).get("data") or {}).get(_DATA_KEY) or "[]")
        end = time.monotonic() + self._timeout
        said = time.monotonic() + 2.0
        for pod in oathkeeper.pods:
            while True:
                lacking = differences(live, oathkeeper.loaded(pod))
                if not lacking:
                    break
                first = "; ".join(f"{name} {what}" for name, what in list(lacking.items())[:3])
                if time.monotonic() >= end:
                    raise ProbeError(
                        f"Oathkeeper ({self._space}/{pod}) has not loaded the rules of ConfigMap {self._space}/{routes.RULES} after "
                        f"{self._timeout:.0f} s: {first}. Its log says why: kubectl logs -n {self._space} {pod}")
                if time.monotonic() >= said:
                    self._say(f"waiting until Oathkeeper ({pod}) has loaded the rules: {first}")
                    said = time.monotonic() + 10.0
                time.sleep(0.5)
        return differences(self._rules, live)

    def _through_gateway(self, found: Found, gateway: str, known: dict[str, Visitor], pool: concurrent.futures.Executor) -> None:
        if gateway == "never":
            found.skipped = "platform_probe_gateway is never"
            return
        client = Gateway(self._access["scheme"], int(self._access["port"]), self._authorities(), _THREADS)
        hosts = sorted({entry["host"] for entry in self._entries})
        problems = {host: why for host, why in zip(hosts, pool.map(client.unreachable, hosts)) if why}
        found.skipped = "; ".join(problems.values())
        if problems and gateway == "always":
            raise ProbeError(
                f"The gateway cannot be asked from here: {found.skipped}. Make it reachable, or set platform_probe_gateway to auto.")
        wanted = [line for line in found.oathkeeper if through_gateway(line) and line.host not in problems]
        if not wanted:
            return
        # What could change something only after everything else was refused as it should: a gateway that asks nobody would
        # pass it on.
        safe = [line for line in wanted if line.method in _SAFE]
        self._until_right(found, client, known, pool, safe)
        if all(agrees(line, found.gateway[line]) for line in safe):
            self._until_right(found, client, known, pool, [line for line in wanted if line.method not in _SAFE])

    def _until_right(
        self, found: Found, client: Gateway, known: dict[str, Visitor], pool: concurrent.futures.Executor, wanted: list[Line]
    ) -> None:
        """Asks; what is wrong again, for a gateway takes its routes some seconds after they were written."""
        end, said = time.monotonic() + min(self._timeout, 30.0), time.monotonic() + 2.0
        left = wanted
        while True:
            found.gateway.update(zip(left, pool.map(lambda line: client.decide(line, known[line.who]), left)))
            left = [line for line in left if not agrees(line, found.gateway[line])]
            if not left or time.monotonic() >= end:
                return
            if time.monotonic() >= said:
                first = left[0]
                self._say(f"waiting until the gateway decides as Oathkeeper does: {first.service} {first.method} as {first.who} "
                          f"is «{found.gateway[first]}»")
                said = time.monotonic() + 10.0
            time.sleep(1.0)

    def _authorities(self) -> str:
        """Returns the certificate of the platform's own authority, when it has one."""
        space = self._gateway.get("gateway_namespace")
        try:
            there = self._cluster.get("v1", "Secret", "platform-ca-certificate", space) if space else None
        except KubeError:
            return ""
        return base64.b64decode((there or {}).get("data", {}).get("ca.crt", "")).decode()
