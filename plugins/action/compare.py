# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``compare``: how two inventories differ. Documented in plugins/modules/compare.py."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible.utils.display import Display
from ansible.vars.manager import VariableManager

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.inventories import comparing
from ansible_collections.openmlops.platform.plugins.module_utils.inventories.comparing import Setting

display = Display()


class ActionModule(ActionBase):
    """Reads two inventories as Ansible would, each for itself; talks to no cluster."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Returns the differences."""
        super().run(tmp, task_vars)
        _result, args = self.validate_argument_spec(argument_spec={
            "first": {"type": "str", "required": True}, "second": {"type": "str", "required": True},
            "dest": {"type": "path"}, "show": {"type": "bool", "default": False},
        })
        options = _options()
        sides = [self._read(args[key], options) for key in ("first", "second")]
        names = (sides[0][0], sides[1][0])
        secret = {name for name, option in options.items() if option.get("no_log")}
        found = comparing.differences(sides[0][1], sides[1][1], secret)
        document = {"first": names[0], "second": names[1], "differences": found}
        if args["dest"]:
            Path(args["dest"]).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if args["show"]:
            for line in comparing.table(names, found, len(options) - len(found)).splitlines():
                display.display(f"  {line}")
        return {"changed": False, **document}

    def _read(self, given: str, options: dict[str, t.Any]) -> tuple[str, dict[str, Setting]]:
        """Returns the name of the one cluster of an inventory, and what it says of each option."""
        path, _hash, wanted = given.partition("#")
        source = Path(path)
        if "/" not in path:
            source = lock.COLLECTION_ROOT / "inventories" / path
        if not source.exists():
            raise AnsibleActionFail(f"there is no inventory {source}; give a folder of inventories/, or a path")
        inventory = InventoryManager(loader=self._loader, sources=[str(source)])
        hosts = {host.name: host for host in inventory.get_hosts("clusters")}
        if wanted and wanted not in hosts:
            raise AnsibleActionFail(f"{source} has no host {wanted} among its clusters: {', '.join(sorted(hosts))}")
        if not wanted and len(hosts) != 1:
            raise AnsibleActionFail(f"{source} has {len(hosts)} clusters ({', '.join(sorted(hosts))}); name one of them: {path}#HOST")
        host = hosts[wanted or next(iter(hosts))]
        variables = VariableManager(loader=self._loader, inventory=inventory).get_vars(host=host)
        defaults = {name: option.get("default") for name, option in options.items()}
        templar = Templar(loader=self._loader, variables={**defaults, **variables})
        return host.name, {
            name: Setting(self._value(templar, variables[name]) if name in variables else default, name in variables)
            for name, default in defaults.items()
        }

    def _value(self, templar: Templar, raw: t.Any) -> t.Any:
        try:
            return templar.template(raw)
        except AnsibleError:
            # An expression that only a run can compute, or that is to be filled in, is compared as it is written.
            return raw


def _options() -> dict[str, dict[str, t.Any]]:
    """Returns the options of all roles by name."""
    found: dict[str, dict[str, t.Any]] = {}
    for path in sorted(lock.COLLECTION_ROOT.glob("roles/*/meta/argument_specs.yml")):
        found.update(yaml_text.load(path.read_text(encoding="utf-8"))["argument_specs"]["main"].get("options") or {})
    return found
