# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""platform.lock.yml: every chart, image, licence and version that the platform uses."""

from __future__ import annotations

import functools
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text

COLLECTION_ROOT = Path(__file__).resolve().parents[3]


class CatalogueError(ValueError):
    """A component, chart or image is not known; the message names it and what there is."""


@functools.cache
def components(path: Path = COLLECTION_ROOT / "platform.lock.yml") -> dict[str, t.Any]:
    """Returns the components of the lock file by name."""
    return yaml_text.load(path.read_text(encoding="utf-8"))["components"]


def component(name: str) -> dict[str, t.Any]:
    """Returns the lock file's entry of a component."""
    try:
        return components()[name]
    except KeyError:
        raise CatalogueError(f"platform.lock.yml has no component '{name}'") from None


def chart(name: str) -> dict[str, t.Any]:
    """Returns the lock file's entry of a chart by ``component/chart``, such as ``postgresql/cloudnative-pg``."""
    owner, _slash, key = name.partition("/")
    charts: dict[str, t.Any] = component(owner).get("charts") or {}
    if key not in charts:
        raise CatalogueError(f"platform.lock.yml: component '{owner}' has no chart '{key}', only {sorted(charts)}")
    return charts[key]
