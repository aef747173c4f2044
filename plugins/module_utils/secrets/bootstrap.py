# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one entrance to this package: reads the declarations, runs them, reports. For actions of this collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.plugins.module_utils.secrets import declare, report, running
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Invalid
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.redact import crash_report


class SecretError(Exception):
    """The Secrets could not be made as declared. The text names every reason and holds no value."""


@dataclass(frozen=True)
class Report:
    """What happened.

    Args:
        result: ``changed``, ``secrets`` and ``fingerprints`` as the module documents them.
        diff: one entry for each Secret that changes, in the form of Ansible's ``diff``.
        warnings: sentences for the person at the terminal.
    """

    result: dict[str, t.Any]
    diff: list[dict[str, str]]
    warnings: list[str]


def bootstrap(
    cluster: running.Cluster | t.Callable[[], running.Cluster],
    secrets: t.Sequence[t.Any],
    rotate: t.Sequence[t.Any] = (),
    *,
    purge: bool = False,
    strict: bool = True,
    check: bool = False,
) -> Report:
    """Makes the Secrets fit their declarations.

    Args:
        cluster: a connection, or a function that opens one (called only when the declarations are without fault).
        secrets: the declarations, as the module documents them; each names its namespace.
        rotate: ``namespace/secret/key`` of each value to replace.
        purge: delete the Secrets whose ``state`` is ``absent``.
        strict: whether a key to rotate that is not declared here is an error.
        check: write nothing.

    Raises:
        SecretError: when the declarations are wrong, the server refuses, or this code has a fault.
        KubeError: when ``cluster`` is a function and cannot connect.
    """
    try:
        return _bootstrap(cluster, secrets, rotate, purge, strict, check)
    except Invalid as error:
        raise SecretError(_listed(error.problems)) from None
    except running.Failed as error:
        raise SecretError(str(error)) from None
    except KubeError:
        raise
    except Exception as error:  # a bug: its text may hold a value, so only its place is told
        raise SecretError(crash_report(error)) from None


def _bootstrap(
    cluster: t.Any, secrets: t.Sequence[t.Any], rotate: t.Sequence[t.Any], purge: bool, strict: bool, check: bool
) -> Report:
    declared, problems = declare.declarations(plain(secrets))
    wanted, more = declare.rotations(plain(rotate), declared, strict)
    if problems or more:
        raise Invalid([*problems, *more])
    outcome = running.run(cluster() if callable(cluster) else cluster, declared, wanted, purge=purge, dry=check)
    return Report(report.result(outcome), report.diff(outcome), report.warnings(outcome))


def plain(value: t.Any) -> t.Any:
    """Returns a copy of plain Python objects: no tags of Ansible, no values that decrypt or render themselves later."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, t.Mapping):
        return {str(key).encode().decode(): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return str(value).encode().decode()


def _listed(problems: list[str]) -> str:
    found = list(dict.fromkeys(problems))
    if len(found) == 1:
        return found[0]
    return f"{len(found)} problems:\n" + "\n".join(f"- {problem}" for problem in found)
