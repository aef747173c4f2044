# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``require``: what must hold before anything changes. Documented in plugins/modules/require.py."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.openmlops.platform.plugins.plugin_utils import parent

_KEYS = frozenset(("name", "that", "message", "when", "each"))
_NEEDED = frozenset(("that", "message"))

parent.prepare()


class ActionModule(ActionBase):
    """Evaluates conditions in their order, up to the first one that does not hold."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    @classmethod
    def finalize_task_arg(cls, name: str, value: t.Any, templar: t.Any, context: t.Any) -> t.Any:
        """Leaves checks as they stand: a message is made only when it is shown, and may tell of an item."""
        return value if name == "checks" else super().finalize_task_arg(name, value, templar, context)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Returns the first condition that does not hold, with its message; raises AnsibleActionFail when a check is malformed."""
        super().run(tmp, task_vars)
        unknown = self._task.args.keys() - {"checks"}
        checks = self._task.args.get("checks")
        if unknown or not isinstance(checks, list):
            raise AnsibleActionFail(f"checks must be a list, and the only argument; there is also {sorted(unknown)}" if unknown
                                    else "checks must be a list of checks, each with that and message")
        variables = task_vars or {}
        for check in checks:
            _well_formed(check)
            if not all(self._templar.evaluate_conditional(condition) for condition in _listed(check.get("when", []))):
                continue
            for templar in self._items(check, variables):
                for condition in _listed(check["that"]):
                    if not templar.evaluate_conditional(condition):
                        return {
                            "failed": True, "check": check.get("name", self._task.name), "assertion": condition, "evaluated_to": False,
                            "msg": templar.template(check["message"]),
                        }
        return {"changed": False}

    def _items(self, check: dict[str, t.Any], variables: dict[str, t.Any]) -> t.Iterator[t.Any]:
        """Yields what evaluates the check: once, or with ``item`` and ``index`` for each entry of the list that ``each`` names."""
        if "each" not in check:
            yield self._templar
            return
        entries = self._templar.evaluate_expression(check["each"])
        if not isinstance(entries, list):
            raise AnsibleActionFail(f"each ({check['each']}) must be a list, and is {entries!r}")
        for index, item in enumerate(entries):
            yield self._templar.copy_with_new_env(available_variables={**variables, "item": item, "index": index})


def _well_formed(check: t.Any) -> None:
    if not isinstance(check, dict) or not _NEEDED <= check.keys() <= _KEYS:
        raise AnsibleActionFail(f"each check has {', '.join(sorted(_NEEDED))} and may have name, when and each, nothing else; this one is {check}")


def _listed(conditions: t.Any) -> list[t.Any]:
    return conditions if isinstance(conditions, list) else [conditions]
