# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML in and out, by the C library where PyYAML has it: a release manifest of a megabyte takes 0.5 s instead of 5."""

from __future__ import annotations

import typing as t

try:
    import yaml

    _Loader: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    _Dumper: t.Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    ParseError: type[Exception] = yaml.YAMLError
except ImportError:  # pragma: no cover  # Ansible itself needs PyYAML, so the controller has it
    ParseError = ValueError


def load(text: str) -> t.Any:
    """Returns the value of one document."""
    return yaml.load(text, Loader=_Loader)


def load_all(text: str) -> list[t.Any]:
    """Returns the values of all documents."""
    return list(yaml.load_all(text, Loader=_Loader))


def dump(value: t.Any) -> str:
    """Returns readable YAML, keys in order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=120)
