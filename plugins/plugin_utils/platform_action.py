# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the actions that talk to the Kubernetes API from the controller.

FOR INTERNAL COLLECTION USE ONLY: it may change in any release.

An action runs in the controller's own process and costs 12 ms; a module of its own costs half a second for each task.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster, connect, connection_spec
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.plugins.plugin_utils.worker import end_with_playbook

display = Display()

# Which inventory variable stands in for a connection option that the task does not give.
_VARIABLES = {
    "kubeconfig": "platform_kubeconfig",
    "context": "platform_context",
    "host": "platform_api_host",
    "api_key": "platform_api_key",
    "ca_cert": "platform_api_ca_cert",
    "validate_certs": "platform_api_validate_certs",
}


class PlatformAction(ActionBase):
    """An action with validated arguments and one explicit connection.

    Subclasses set ``ARGUMENTS`` (an argument spec) and write ``act``.
    """

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {}
    CONSTRAINTS: t.ClassVar[dict[str, t.Any]] = {}
    # Errors with a message for people; anything else is a bug and keeps its traceback.
    EXPECTED: t.ClassVar[tuple[type[Exception], ...]] = ()

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validates the arguments, calls ``act`` and turns expected errors into one clear failure."""
        super().run(tmp, task_vars)
        end_with_playbook()
        variables = task_vars or {}
        if self.connects(self._task.args):
            self._fill_connection(self._task.args, variables)
        _result, args = self.validate_argument_spec(
            argument_spec={**connection_spec(), **self.ARGUMENTS}, **self.CONSTRAINTS
        )
        try:
            return self.act(args, variables)
        except (KubeError, *self.EXPECTED) as error:
            raise AnsibleActionFail(str(error)) from None

    def connects(self, args: dict[str, t.Any]) -> bool:
        """Whether the task, with these arguments as they are given, asks the cluster anything; else no variable is read for it."""
        return True

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does the work and returns the task's result."""
        raise NotImplementedError

    def connect(self, args: dict[str, t.Any]) -> Cluster:
        """Opens the connection that arguments or inventory name."""
        return connect(args)

    @property
    def check(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self._task.check_mode)

    def variable(self, variables: dict[str, t.Any], name: str, default: t.Any = None) -> t.Any:
        """Returns the value of a variable of the inventory or of a role, templated."""
        return self._templar.template(variables[name]) if name in variables else default

    def say(self, line: str) -> None:
        """Prints one line of progress at once, also while the task is still running."""
        display.display(f"  {line}")

    def _fill_connection(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> None:
        if any(args.get(key) for key in ("kubeconfig", "context", "host", "api_key")):
            return
        for key, name in _VARIABLES.items():
            value = self.variable(variables, name)
            if value not in (None, ""):
                args[key] = value
