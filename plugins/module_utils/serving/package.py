# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python package ``openmlops`` of notebooks and flows: the collection's own files, as many as it imports, for a ConfigMap.

No copy is kept anywhere: what the action imports is what notebooks import.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import typing as t
from pathlib import Path

_PREFIX = "ansible_collections.openmlops.platform.plugins.module_utils"
_ROOT = Path(__file__).resolve().parents[1]
_FIRST = "serving.client"
# What a ConfigMap can hold, less room for the rest of the object.
_LARGEST = 900_000

_INIT = '''"""Deploys models on the platform that this notebook or flow belongs to: help(openmlops.model_deployment)."""

from {prefix}.serving.client import model_deployment
from {prefix}.serving.errors import ModelError

__all__ = ["ModelError", "model_deployment"]
'''


class PackageError(Exception):
    """The package cannot be put together."""


def files(root: Path = _ROOT) -> dict[str, str]:
    """Returns the package's files: text by path, from a folder on Python's search path.

    Args:
        root: the collection's folder plugins/module_utils.

    Raises:
        PackageError: when a module is imported that is not there, or all are too large for a ConfigMap.
    """
    found: dict[str, str] = {}
    waiting = [_FIRST]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        path = root / f"{module.replace('.', '/')}.py"
        if not path.is_file():
            raise PackageError(f"there is no {path}, which the package openmlops needs")
        found[module] = path.read_text(encoding="utf-8")
        waiting += _imported(found[module], root)
    result = {f"{_PREFIX}.{module}".replace(".", "/") + ".py": text for module, text in sorted(found.items())}
    result["openmlops/__init__.py"] = _INIT.format(prefix=_PREFIX)
    size = sum(len(text.encode()) for text in result.values())
    if size > _LARGEST:
        raise PackageError(f"the package openmlops has {size} bytes, more than fits into a ConfigMap")
    return result


def _imported(text: str, root: Path) -> t.Iterator[str]:
    """Yields the collection's modules that a module imports, by their names below plugins/module_utils."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(_PREFIX):
            continue
        module = (node.module or "").removeprefix(_PREFIX).lstrip(".")
        if (root / f"{module.replace('.', '/')}.py").is_file():
            yield module
            continue
        for alias in node.names:
            yield f"{module}.{alias.name}" if module else alias.name


@functools.cache
def python_client(_name: str = "openmlops") -> dict[str, t.Any]:
    """Returns the package for a ConfigMap: ``data`` by key, ``items`` that say where each key is mounted, and a ``digest``.

    Kept, since several templates of a role ask: whoever wants to change it makes a copy.
    """
    texts = files()
    keys = {path: path.replace("/", ".") for path in texts}
    return {
        "data": {keys[path]: text for path, text in texts.items()},
        "items": [{"key": keys[path], "path": path} for path in sorted(texts)],
        "digest": hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:16],
    }
