# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins to registries, from ``platform_registries``: checked, as a specification of a Secret, and as a file for programs.

A login holds the name of the variable with the password, never the password: so it may stand in plans and facts.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import tempfile
import typing as t

# The Secret that each namespace gets; roles/platform/defaults/main.yml names it too.
SECRET = "platform-registries"
# By which all of these Secrets are found.
LABELS = {"openmlops.io/part": "registries"}

_KEYS = {"server", "username", "password_variable"}
_SERVER = re.compile(r"[A-Za-z0-9*]([A-Za-z0-9.*-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9._/-]*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Login = dict[str, str]
# Returns the value of a variable of the inventory; None or an empty text when there is none.
Lookup = t.Callable[[str], t.Any]


class LoginError(ValueError):
    """``platform_registries`` is not well formed, or a password is missing; the message names the entry and the cure."""


def parse(raw: t.Any) -> list[Login]:
    """Returns the logins of ``platform_registries``.

    Args:
        raw: a list of mappings with ``server`` (HOST[:PORT], as image names begin), ``username`` and ``password_variable``.

    Raises:
        LoginError: naming all that is wrong.
    """
    if not isinstance(raw or [], (list, tuple)):
        raise LoginError("platform_registries must be a list of mappings with server, username and password_variable")
    wrong: list[str] = []
    found: list[Login] = []
    for index, entry in enumerate(raw or []):
        where = f"platform_registries[{index}]"
        if not isinstance(entry, t.Mapping):
            wrong.append(f"{where} must be a mapping with server, username and password_variable")
            continue
        if "password" in entry:
            wrong.append(f"{where}: write no password here, but as password_variable the name of a variable that holds it, best in a vault")
        unknown = set(map(str, entry)) - _KEYS - {"password"}
        if unknown:
            wrong.append(f"{where}: unknown keys {', '.join(sorted(unknown))}")
        login = {key: str(entry.get(key) or "") for key in sorted(_KEYS)}
        missing = [key for key in ("server", "username", "password_variable") if not login[key]]
        if missing:
            wrong.append(f"{where}: {' and '.join(missing)} must be given")
        if login["server"] and not _SERVER.fullmatch(login["server"]):
            wrong.append(f"{where}: server is '{login['server']}': write HOST or HOST:PORT, as the names of images begin, without https://")
        if login["password_variable"] and not _VARIABLE.fullmatch(login["password_variable"]):
            # Not repeated: it may be the password itself.
            wrong.append(f"{where}: password_variable must be the name of a variable: letters, digits and '_'")
        if any(login["server"] == other["server"] for other in found):
            wrong.append(f"{where}: server {login['server']} is there twice")
        found.append(login)
    if wrong:
        raise LoginError("; ".join(wrong))
    return found


def secret(namespace: str, logins: list[Login]) -> dict[str, t.Any]:
    """Returns the specification of a namespace's Secret, in which each password is still the name of its variable."""
    entries = [{"registry": login["server"], "username": login["username"], "password_variable": login["password_variable"]}
               for login in logins]
    return {
        "name": SECRET, "namespace": namespace, "type": "kubernetes.io/dockerconfigjson", "labels": dict(LABELS),
        "data": {".dockerconfigjson": {"dockerconfigjson": entries}},
    }


def with_password(entry: dict[str, t.Any], lookup: Lookup) -> dict[str, t.Any]:
    """Returns an entry of a ``dockerconfigjson`` with its password, where so far it names a variable.

    Raises:
        LoginError: the variable is not defined, or empty.
    """
    if "password_variable" not in entry:
        return entry
    rest = {key: value for key, value in entry.items() if key != "password_variable"}
    return {**rest, "password": _password(str(entry["password_variable"]), str(entry.get("registry")), lookup)}


def check(logins: list[Login], lookup: Lookup) -> None:
    """Raises LoginError unless each login's password is there."""
    wrong = []
    for login in logins:
        try:
            _password(login["password_variable"], login["server"], lookup)
        except LoginError as error:
            wrong.append(str(error))
    if wrong:
        raise LoginError("; ".join(wrong))


def auths(logins: list[Login], lookup: Lookup) -> str:
    """Returns the logins in the form of ``config.json`` of Docker, which Helm and skopeo read too."""
    found = {}
    for login in logins:
        pair = f"{login['username']}:{_password(login['password_variable'], login['server'], lookup)}"
        found[login["server"]] = {"auth": base64.b64encode(pair.encode()).decode()}
    return json.dumps({"auths": found})


@contextlib.contextmanager
def file(text: str) -> t.Iterator[str]:
    """Yields the path of a file with this text that child processes can read, and that nothing is left of afterwards.

    On Linux it is in memory only, and ends with this process even if that is killed.
    """
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        handle = os.memfd_create("logins")
        try:
            os.fchmod(handle, 0o600)
            os.write(handle, text.encode())
            yield f"/proc/{os.getpid()}/fd/{handle}"
        finally:
            os.close(handle)
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:  # made with mode 0600
            stream.write(text)
            stream.flush()
            yield stream.name


def _password(variable: str, server: str, lookup: Lookup) -> str:
    value = lookup(variable)
    if value in (None, ""):
        raise LoginError(f"platform_registries: the variable {variable}, named as the password of {server}, is empty or not defined: "
                         "set it, best in a vault")
    return str(value)
