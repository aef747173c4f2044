# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``probe``: does the platform let in whom the catalogue lets in? Documented in plugins/modules/probe.py."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.routes import ACCESS
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import ServiceError
from ansible_collections.openmlops.platform.plugins.module_utils.probe import report, visitors
from ansible_collections.openmlops.platform.plugins.module_utils.probe.running import Probe, ProbeError
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction


class ActionModule(PlatformAction):
    """Asks the running platform for each decision; changes nothing that stays."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "dest": {"type": "path"},
        "gateway": {"type": "str", "choices": ["always", "auto", "never"], "default": "auto"},
        "show": {"type": "bool", "default": False},
        "timeout": {"type": "float", "default": 120.0},
    }
    EXPECTED = (ProbeError, ServiceError)

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does the probe, writes and prints it, and fails on a deviation."""
        if self.check:
            return {"changed": False, "skipped": True, "skip_reason": "a probe makes visitors, so it does nothing in check mode"}
        if visitors.IMPORT_ERROR is not None:
            raise ProbeError(f"The Python package bcrypt is needed on the controller: {visitors.IMPORT_ERROR}")
        cluster = self.connect(args)
        known = record.read_all(cluster, str(self.variable(variables, "platform_namespace", "openmlops")))
        if ACCESS not in known or known[ACCESS].about.get("removed"):
            return {"changed": False, "skipped": True, "skip_reason": "the component access is not installed: no way leads in"}
        found = Probe(cluster, known, args["timeout"], self.say).run(args["gateway"])
        document = report.document(found)
        if args["dest"]:
            Path(args["dest"]).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        if args["show"]:
            for line in report.table(found):
                self.say(line)
        self.say(report.summary(found))
        if found.failed:
            raise ProbeError(report.complaint(found))
        return {"changed": False, "probe": document if args["show"] or args["dest"] else {**document, "lines": []}}
