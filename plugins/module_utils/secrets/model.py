# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that the other files of this package share: references, declarations and what exists. No logic.

Values never appear in ``repr``: an assertion or a traceback that prints one of these objects shows names only.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


class SecretRef(t.NamedTuple):
    """The name of one Secret."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Ref(t.NamedTuple):
    """The name of one key of one Secret."""

    namespace: str
    name: str
    key: str

    @property
    def secret(self) -> SecretRef:
        """The Secret that holds the key."""
        return SecretRef(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}/{self.key}"


class Derivation(t.Protocol):
    """A value that follows from others, or that is checked against them."""

    label: str  # what a diff shows instead of the value, such as ``derived``
    rotatable: bool  # whether it holds randomness of its own, which a rotation can replace
    sources: t.Mapping[str, Ref]  # the other values it needs, under the names that ``derive`` uses

    def derive(self, values: t.Mapping[str, bytes], existing: bytes | None, rotate: bool) -> bytes:
        """Returns the value: ``existing`` itself while it still fits the sources.

        Raises:
            ValueError: when a source is not what it must be; the text never holds a value.
        """


class Generator(t.Protocol):
    """A source of new random values."""

    def generate(self, previous: bytes | None) -> bytes:
        """Returns a new value; ``previous`` is the one that it replaces, if any."""


@dataclass(frozen=True)
class KeySpec:
    """What one key of a Secret shall hold. Exactly one source, except that ``given`` may stand beside ``generator``."""

    ref: Ref
    given: bytes | None = field(default=None, repr=False)
    overwrite: bool = True  # whether a given value replaces a different one that exists
    generator: Generator | None = field(default=None, repr=False)
    derivation: Derivation | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Declaration:
    """What one Secret shall be."""

    ref: SecretRef
    type: str | None = None  # None: that of the existing Secret or of the source of a copy, else Opaque
    labels: t.Mapping[str, str] = field(default_factory=dict)
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    data: t.Mapping[str, KeySpec] = field(default_factory=dict)
    copy_from: SecretRef | None = None
    absent: bool = False
    internal: bool = False  # made by this action for itself: not part of its report


@dataclass(frozen=True)
class Existing:
    """A Secret as the server holds it."""

    ref: SecretRef
    type: str
    data: t.Mapping[str, bytes] = field(repr=False)
    labels: t.Mapping[str, str] = field(default_factory=dict)
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    immutable: bool = False
    uid: str = ""
    raw: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False)


class _Unknown:
    """Stands for a value that a check mode does not make."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: t.Final = _Unknown()
Value = t.Union[bytes, _Unknown]


class Invalid(Exception):
    """The declarations cannot be carried out; ``problems`` says why, all at once."""

    def __init__(self, problems: t.Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)
