# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``secret_bootstrap``. Documented in plugins/modules/secret_bootstrap.py.

Nothing here may show a value: the result has no ``invocation``, errors do not repeat arguments, and the arguments that
Ansible hands to its callbacks after the task are cut down to names.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import RequiredError, UnsupportedError
from ansible.utils.display import Display

from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.bootstrap import SecretError, bootstrap
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader, parse_key_ref
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction

display = Display()

_FLAGS = ("purge", "validate_certs")
_SHOWN = ("kubeconfig", "context", "host", "ca_cert")


class ActionModule(PlatformAction):
    """Makes Secrets fit their declarations."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "secrets": {"type": "list", "elements": "dict", "required": True, "no_log": True},
        "rotate": {"type": "list", "elements": "str", "default": []},
        "rotate_undeclared": {"type": "str", "choices": ["fail", "ignore"], "default": "fail"},
        "purge": {"type": "bool", "default": False},
    }

    # The task whose arguments were taken away, and the arguments: a task with retries gets a new action each time.
    _taken: t.ClassVar[tuple[t.Any, dict[str, t.Any]] | None] = None

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Takes the arguments away from the task, then runs as all actions do."""
        if ActionModule._taken is None or ActionModule._taken[0] is not self._task:
            ActionModule._taken = (self._task, dict(self._task.args))
            self._task.args = _names_only(ActionModule._taken[1])
        return super().run(tmp, task_vars)

    def validate_argument_spec(self, argument_spec: t.Any = None, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Validates like the base class, but its errors neither repeat an argument nor point into the playbook."""
        given = dict(ActionModule._taken[1]) if ActionModule._taken else {}
        wrong: list[str] = []
        for name in ("secrets", "rotate"):
            if not isinstance(given.get(name, []), (list, tuple)):
                wrong.append(f"secret_bootstrap: {name} must be a list")
        if not wrong and not all(isinstance(entry, dict) for entry in given.get("secrets", [])):
            wrong.append("secret_bootstrap: each entry of secrets must be a mapping")
        reader = Reader("secret_bootstrap", {name: given.get(name) for name in (*_FLAGS, "rotate_undeclared")}, wrong)
        for name in _FLAGS:
            reader.flag(name, True)
        reader.choice("rotate_undeclared", "fail", ("fail", "ignore"))
        if not wrong:
            validated = ArgumentSpecValidator(argument_spec, *args, **kwargs).validate(given)
            if not validated.errors.errors:
                return validated, {**given, **validated.validated_parameters}
            wrong = [_without_values(error) for error in validated.errors.errors]
        raise AnsibleActionFail("; ".join(wrong)) from None

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does what the task asks for."""
        try:
            report = bootstrap(
                lambda: self.connect(args),
                args["secrets"],
                args["rotate"],
                purge=args["purge"],
                strict=args["rotate_undeclared"] == "fail",
                check=self.check,
            )
        except (SecretError, KubeError) as error:
            return {"failed": True, "msg": str(error)}
        for text in report.warnings:
            display.warning(text)
        return {**report.result, **({"diff": report.diff} if self._task.diff and report.diff else {})}


def _names_only(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    """Returns the arguments as callbacks may see them: of the Secrets only the names, and nothing in a wrong place."""
    secrets, rotate = arguments.get("secrets"), arguments.get("rotate")
    entries = secrets if isinstance(secrets, (list, tuple)) else []
    keys = rotate if isinstance(rotate, (list, tuple)) else []
    return {
        **{name: arguments[name] for name in _SHOWN if name in arguments},
        **{name: arguments[name] for name in _FLAGS if isinstance(arguments.get(name), bool)},
        "rotate": [key for key in keys if isinstance(key, str) and parse_key_ref(key)],
        "secrets": [
            {name: entry.get(name) for name in ("namespace", "name")} for entry in entries if isinstance(entry, dict)
        ],
    }


def _without_values(error: Exception) -> str:
    """Returns the text of an error of the validation, unless it is of a kind that quotes what was given."""
    if isinstance(error, UnsupportedError):
        return f"unknown argument: {error}"
    return str(error) if isinstance(error, RequiredError) else "an argument has the wrong type"
