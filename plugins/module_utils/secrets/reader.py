# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the options of one mapping and collects what is wrong with them, instead of stopping at the first fault.

No message repeats what was given for an option: a password in the wrong place must not end up in a log.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.secrets import names
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref, SecretRef

_T = t.TypeVar("_T")


class Reader:
    """Takes options out of a mapping; ``finish`` reports those that nobody took.

    Args:
        where: the place of the mapping for messages, such as ``mlflow/mlflow-db/password``.
        raw: what the user wrote.
        problems: the list to which every fault is added.
        home: the Secret in which short references are looked up.
    """

    def __init__(self, where: str, raw: t.Any, problems: list[str], home: SecretRef | None = None) -> None:
        self.where = where
        self.problems = problems
        self.home = home
        self.known: set[str] = set()
        self.raw: dict[str, t.Any] = {}
        if isinstance(raw, t.Mapping):
            # An empty setting is one that was not made: roles pass variables on without asking whether they are set.
            self.raw = {str(key): value for key, value in raw.items() if value is not None}
        else:
            self.problem("must be a mapping")

    def problem(self, text: str) -> None:
        """Adds a fault."""
        self.problems.append(f"{self.where}: {text}")

    def has(self, name: str) -> bool:
        """Tells whether an option was given, without taking it."""
        return name in self.raw

    def take(self, name: str) -> t.Any:
        """Takes an option as it is; None when it was not given."""
        self.known.add(name)
        return self.raw.get(name)

    def text(self, name: str, default: str = "", required: bool = False) -> str:
        """Takes a text."""
        value = self.take(name)
        if value is None or value == "":
            if required:
                self.problem(f"{name} is required")
            return default
        if isinstance(value, (bool, dict, list)):
            self.problem(f"{name} must be a text")
            return default
        return str(value)

    def choice(self, name: str, default: _T, choices: t.Sequence[_T]) -> _T:
        """Takes one of several values; texts that look like a number pass for the number."""
        value = self.take(name)
        if value is None:
            return default
        for candidate in choices:
            if str(value) == str(candidate) and not isinstance(value, bool):
                return candidate
        self.problem(f"{name} must be one of {', '.join(str(choice) for choice in choices)}")
        return default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Takes a whole number between ``low`` and ``high``."""
        value = self.take(name)
        if value is None:
            return default
        try:
            number = int(str(value)) if not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            self.problem(f"{name} must be a whole number from {low} to {high}")
            return default
        return number

    def flag(self, name: str, default: bool) -> bool:
        """Takes true or false."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "yes", "on", "1"):
            return True
        if str(value).lower() in ("false", "no", "off", "0"):
            return False
        self.problem(f"{name} must be true or false")
        return default

    def texts(self, name: str) -> list[str]:
        """Takes a list of texts."""
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list) or any(
            isinstance(entry, (bool, dict, list)) or entry is None for entry in value
        ):
            self.problem(f"{name} must be a list of texts")
            return []
        return [str(entry) for entry in value]

    def mapping(self, name: str) -> dict[str, t.Any]:
        """Takes a mapping."""
        value = self.take(name)
        if value is None:
            return {}
        if not isinstance(value, t.Mapping):
            self.problem(f"{name} must be a mapping")
            return {}
        return {str(key): entry for key, entry in value.items()}

    def secret_ref(self, name: str) -> SecretRef | None:
        """Takes the name of a Secret: ``secret`` or ``namespace/secret``."""
        text = self.text(name)
        parts = text.split("/")
        if len(parts) == 1 and self.home:
            parts = [self.home.namespace, *parts]
        if not text:
            return None
        if len(parts) != 2 or not names.is_namespace(parts[0]) or not names.is_secret_name(parts[1]):
            self.problem(f"{name} must be a reference of the form secret or namespace/secret")
            return None
        return SecretRef(*parts)

    def key_ref(self, name: str, required: bool = False) -> Ref | None:
        """Takes the name of a key: ``key``, ``secret/key`` or ``namespace/secret/key``."""
        text = self.text(name, required=required)
        if not text:
            return None
        found = parse_key_ref(text, self.home)
        if found is None:
            self.problem(f"{name} must be a reference of the form key, secret/key or namespace/secret/key")
        return found

    def finish(self) -> None:
        """Reports the options that nobody took."""
        for name in sorted(set(self.raw) - self.known):
            close = difflib.get_close_matches(name, self.known, n=1)
            hint = f", did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(self.known))}"
            self.problem(f"unknown option {name}{hint}")


def parse_key_ref(text: str, home: SecretRef | None = None) -> Ref | None:
    """Returns the key that a text names, or None when it is no reference.

    Args:
        text: ``namespace/secret/key``; with ``home`` also ``secret/key`` and ``key``.
        home: where the missing parts come from.
    """
    parts = text.split("/")
    if home and len(parts) < 3:
        parts = [*(home.namespace, home.name)[: 3 - len(parts)], *parts]
    if len(parts) != 3:
        return None
    fits = names.is_namespace(parts[0]) and names.is_secret_name(parts[1]) and names.is_data_key(parts[2])
    return Ref(*parts) if fits else None
