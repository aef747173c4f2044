# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``preflight``: all that stands in the way of a run. Documented in plugins/modules/preflight.py."""

from __future__ import annotations

import concurrent.futures
import json
import re
import shutil
import sys
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.utils.collection_loader import AnsibleCollectionConfig

from ansible_collections.openmlops.platform.plugins.action.converge import ActionModule as Converge
from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.converge import helm_state, routes
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import Plan
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError, chart_args
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable
from ansible_collections.openmlops.platform.plugins.module_utils.preflight import asking, findings, needs, rights, surroundings
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import Finding


class ActionModule(Converge):
    """Looks at everything that a run with these plans would meet; changes nothing.

    It reads plans and renders charts as ``converge`` does, so it is one with other arguments.
    """

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "plan": {"type": "list", "elements": "dict", "default": []},
        "problems": {"type": "list", "elements": "str", "default": []},
        "accepted_licences": {"type": "list", "elements": "str", "default": []},
        "render": {"type": "bool", "default": True},
        "dest": {"type": "path"},
        "dest_format": {"type": "str", "choices": ["json", "table"], "default": "json"},
        "rights_dest": {"type": "path"},
        "show": {"type": "bool", "default": False},
        "fail": {"type": "bool", "default": True},
    }

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Runs all checks, tells what they found, and fails in the end when something stands in the way."""
        self._variables = variables
        document: dict[str, t.Any] = {"cluster": {"context": args.get("context") or "", "server": "", "version": ""}}
        found = [findings.error("inventory", problem, "see the message; nothing was changed") for problem in args["problems"]]
        wanted = self._wanted(args, found)
        cluster = self._reached(args, document, found)
        helm = str(self._setting("platform_helm_binary", "") or "") or shutil.which("helm") or ""
        says = asking.helm_version(helm) if helm else None
        needed: set[rights.Right] = set()
        if cluster:
            rendered = self._rendered(cluster, wanted, args, found) if args["render"] and says else {}
            if not rendered and any(phase.releases for plan in wanted for phase in plan.phases.values()):
                found.append(findings.note("releases", "the charts were not rendered, so what is in them was not looked at"))
            collected = needs.collect(wanted, rendered, str(self._setting("platform_namespace", "openmlops")))
            needed = self._ask_cluster(cluster, collected, document, found)
            gateway = asking.gateway_addresses(cluster, collected.namespaces)
        else:
            gateway = []
        found += self._ask_surroundings(wanted, gateway, says, args)
        document.update(findings.summary(found))
        self._write(args, document, rights.roles(needed, asking.account(cluster)) if cluster and args["rights_dest"] else [])
        if args["fail"] and document["errors"]:
            raise AnsibleActionFail(findings.verdict(document) + (": " + "; ".join(
                entry["cause"].replace("\n", ", ") for entry in document["findings"] if entry["level"] == findings.ERROR)))
        return {"changed": False, "preflight": document}

    def _wanted(self, args: dict[str, t.Any], found: list[Finding]) -> list[Plan]:
        """Returns the plans with what follows from all of them together; what is wrong with them becomes a finding."""
        check, self._task.check_mode = self._task.check_mode, True
        try:
            plans = routes.derived(self._plans(args, {})[0], {})
        except self.EXPECTED as error:
            found += [findings.error("inventory", line, "correct the inventory") for line in str(error).splitlines()]
            return []
        finally:
            self._task.check_mode = check
        if not args["problems"]:
            found.append(findings.ok("inventory", f"{len(plans)} components make sense: {', '.join(plan.component for plan in plans)}"))
        return plans

    def _reached(self, args: dict[str, t.Any], document: dict[str, t.Any], found: list[Finding]) -> Cluster | None:
        try:
            cluster = self.connect(args)
            document["cluster"].update(server=cluster.server, version=cluster.version(), context=cluster.context)
        except Unreachable as error:
            if "local_cluster_provider" in self._variables:
                found.append(findings.note("cluster", f"the local cluster does not run: {error}",
                                           "make up starts it; what is asked of a cluster was not checked"))
            else:
                found.append(findings.error("cluster", str(error), "correct the address, the credentials or the way there; what is asked "
                                            "of a cluster was not checked"))
            return None
        found.append(findings.ok("cluster", f"{cluster.server} answers, Kubernetes {document['cluster']['version']}"))
        return cluster

    def _rendered(
        self, cluster: Cluster, wanted: list[Plan], args: dict[str, t.Any], found: list[Finding]
    ) -> dict[str, list[Object]]:
        """Returns the objects of each chart, by release; a chart that cannot be had becomes a finding."""
        result = {}
        for release in (release for plan in wanted for phase in plan.phases.values() for release in phase.releases):
            try:
                text = self._run_helm("helm_template", {**chart_args(release), "include_crds": True}, args)["stdout"]
            except (HelmError, KeyError) as error:
                found.append(findings.error(
                    "releases", f"the chart of {release} cannot be rendered: {str(error)[:300]}",
                    f"make {release.repository or release.chart} reachable from here, or set platform_chart_source to a mirror of it",
                ))
                continue
            result[f"{release.namespace}/{release.name}"] = helm_state.with_namespaces(
                cluster, helm_state.manifest_objects(text), release.namespace)
        return result

    def _ask_cluster(
        self, cluster: Cluster, collected: needs.Needs, document: dict[str, t.Any], found: list[Finding]
    ) -> set[rights.Right]:
        space = str(self._setting("platform_namespace", "openmlops"))
        told, needed = asking.about_rights(cluster, collected, space)
        found += told
        looks: list[t.Callable[[], list[Finding]]] = [
            lambda: asking.about_constraints(cluster, collected),
            lambda: asking.about_api(cluster, collected, document["cluster"]["version"]),
            lambda: asking.about_storage(cluster, collected),
            lambda: asking.about_capacity(cluster, collected),
            lambda: asking.about_definitions(cluster, collected),
            lambda: asking.about_releases(cluster, collected, space),
            lambda: asking.about_objects(cluster, collected),
            lambda: asking.about_namespaces(cluster, collected),
            lambda: asking.about_clocks(cluster),
        ]
        with concurrent.futures.ThreadPoolExecutor(len(looks)) as pool:
            for result in [pool.submit(look) for look in looks]:
                found += result.result()
        return needed

    def _ask_surroundings(
        self, wanted: list[Plan], gateway: list[str], helm: str | None, args: dict[str, t.Any]
    ) -> list[Finding]:
        hosts = []
        if self._setting("platform_gateway", "none") != "none":
            services = [entry for plan in wanted for entry in plan.catalogue.get("services") or []]
            services += self._setting("platform_services", [])
            hosts = [str(self._setting("platform_hostname", "")), *(str(entry["host"]) for entry in services if entry.get("host")),
                     *map(str, self._setting("platform_tls_names", []))]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            asked = [name for name in dict.fromkeys(hosts) if name and not name.startswith("*") and not surroundings.is_address(name)]
            resolved = dict(zip(asked, pool.map(asking.addresses, asked), strict=True))
        found = surroundings.names(hosts, resolved, gateway)
        if self._setting("platform_gateway", "none") != "none" and not hosts[0] and "local_cluster_provider" not in self._variables:
            found = [findings.error("dns", "platform_hostname is empty, so browsers could not be told where to go",
                                    "set platform_hostname to the name under which people reach the platform")]
        listed = (lock.COLLECTION_ROOT / "requirements" / "collection.in").read_text(encoding="utf-8")
        needed = [match[0] for line in listed.splitlines() if (match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line))]
        known = lock.components()
        return [
            *found,
            *surroundings.tools(
                tuple(sys.version_info[:3]), asking.packages([*needed, "ansible-core"]), needed, _kubernetes_core(), helm,
                # The local cluster brings a Helm of its own.
                any(phase.releases for plan in wanted for phase in plan.phases.values())
                and "local_cluster_provider" not in self._variables,
            ),
            *surroundings.licences({plan.component: known[plan.component] for plan in wanted if plan.component in known},
                                   args["accepted_licences"]),
        ]

    def _write(self, args: dict[str, t.Any], document: dict[str, t.Any], roles: list[Object]) -> None:
        text = findings.table(document)
        if args["dest"]:
            told = json.dumps(document, indent=2) if args["dest_format"] == "json" else text
            Path(args["dest"]).write_text(told + "\n", encoding="utf-8")
        if args["rights_dest"]:
            Path(args["rights_dest"]).write_text("---\n".join(map(yaml_text.dump, roles)), encoding="utf-8")
        if args["show"]:
            for line in text.splitlines():
                self.say(line)


def _kubernetes_core() -> str:
    """Returns the version of kubernetes.core that a task would use; empty when there is none."""
    for folder in AnsibleCollectionConfig.collection_paths:
        found = asking.collection_version(Path(folder, "ansible_collections", "kubernetes", "core"))
        if found:
            return found
    return ""
