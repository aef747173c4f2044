# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``status``: what runs on a cluster. Documented in plugins/modules/status.py."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail

from ansible_collections.openmlops.platform.plugins.module_utils.condition import judging
from ansible_collections.openmlops.platform.plugins.module_utils.converge import status
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Releases
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction


class ActionModule(PlatformAction):
    """Reports every component; changes nothing."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "components": {"type": "list", "elements": "str", "default": []},
        "must_be_ready": {"type": "bool", "default": False},
        "condition": {"type": "bool", "default": False},
        "certificate_days": {"type": "int", "default": 14},
        "fail_on": {"type": "str", "choices": ["never", "problem", "warning"], "default": "never"},
        "timeout": {"type": "float", "default": 0.0},
        "dest": {"type": "path"},
        "dest_format": {"type": "str", "choices": ["json", "table"], "default": "json"},
        "show": {"type": "bool", "default": False},
        "seconds": {"type": "dict", "default": {}},
    }

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Reads the records and what became of their objects."""
        gateway = str(self.variable(variables, "platform_gateway_address", "") or "")
        document: dict[str, t.Any] = {
            "cluster": {"kubeconfig": args.get("kubeconfig") or "", "context": args.get("context") or "", "server": "",
                        "version": "", "reachable": False, "reason": ""},
            "gateway": {"url": self._gateway_url(variables, gateway)},
            "components": [],
        }
        try:
            cluster = self.connect(args)
            document["cluster"].update(server=cluster.server, version=cluster.version(), reachable=True)
            space = str(self.variable(variables, "platform_namespace", "openmlops"))
            document["components"] = self._read(cluster, space, gateway, args)
            if args["condition"]:
                status.add_condition(cluster, space, Releases(cluster, _no_helm, self.say), document["components"])
        except Unreachable as error:
            if args["must_be_ready"]:
                raise
            document["cluster"]["reason"] = str(error)
        document["state"], document["reasons"] = judging.judge(document, args["certificate_days"])
        self._write(args, document)
        waiting = [f"{entry['name']}: {entry['reason']}" for entry in document["components"] if not entry["ready"]]
        if args["must_be_ready"] and waiting:
            raise AnsibleActionFail("not ready: " + "; ".join(waiting))
        if document["state"] in {"problem": ("problem",), "warning": ("problem", "warning")}.get(args["fail_on"], ()):
            raise AnsibleActionFail(f"{document['state']}: " + "; ".join(document["reasons"]))
        return {"changed": False, "status": document}

    def _gateway_url(self, variables: dict[str, t.Any], address: str) -> str:
        """Returns where people come in; without a gateway, the address that node ports are reached at."""
        if self.variable(variables, "platform_gateway", "none") != "none":
            return str(self.variable(variables, "platform_url", ""))
        return f"http://{address}" if address else ""

    def _read(
        self, cluster: Cluster, space: str, gateway: str, args: dict[str, t.Any]
    ) -> list[dict[str, t.Any]]:
        """Reads the components; until all are ready, or the time is over.

        Right after a node has come back, what is told of its pods is from before for some seconds.
        """
        end, said = time.monotonic() + args["timeout"], time.monotonic()
        while True:
            found = status.read(
                cluster, space, Releases(cluster, _no_helm, self.say), Waiter(cluster, self.say, 0.0), gateway,
                args["components"],
            )
            waiting = [entry["reason"] for entry in found if not entry["ready"]]
            if not waiting or time.monotonic() >= end:
                return found
            if time.monotonic() - said >= 10.0:
                self.say(f"waiting for {'; '.join(waiting)}")
                said = time.monotonic()
            time.sleep(1.0)

    def _write(self, args: dict[str, t.Any], document: dict[str, t.Any]) -> None:
        if args["dest"]:
            text = json.dumps(document, indent=2) if args["dest_format"] == "json" else status.table(document)
            Path(args["dest"]).write_text(text + "\n", encoding="utf-8")
        if args["show"]:
            for line in status.table(document).splitlines():
                self.say(line)
            spent = [f"{phase} {float(seconds):.0f} s" for phase, seconds in args["seconds"].items() if float(seconds) >= 1]
            if spent:
                self.say(f"time spent: {', '.join(spent)}")


def _no_helm(_module: str, _args: dict[str, t.Any]) -> dict[str, t.Any]:
    raise AssertionError("status never starts Helm")
