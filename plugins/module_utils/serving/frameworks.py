# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server can load a model: from the file MLmodel that MLflow writes beside it. Pure functions."""

from __future__ import annotations

import typing as t
from pathlib import PurePosixPath

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError

# The files that MLServer looks for; it loads these itself, without MLflow's loader and its memory.
_OWN_FILES = {
    "sklearn": ("model.joblib", "model.pickle", "model.pkl"),
    "xgboost": ("model.bst", "model.json", "model.ubj"),
}
_FILE_KEYS = {"sklearn": "pickled_model", "xgboost": "data"}
_CURE = "set framework to sklearn, xgboost, tensorflow or mlflow"


def detect(read: t.Callable[[str], bytes | None] | None, uri: str, protocol: str, available: t.Container[str]) -> str:
    """Returns the framework of a model.

    Args:
        read: reads a file of the model, or None where nobody can.
        protocol: v2, or seldon, whose servers of scikit-learn and XGBoost read files of other names than MLflow writes.
        available: what the platform runs; empty for everything.

    Raises:
        ModelError: when nothing tells it.
    """
    if read is None:
        raise ModelError(f"framework: nothing tells what {uri} is, since it does not lie in MLflow's store: {_CURE}")
    text = read("MLmodel")
    if text is None:
        raise ModelError(f"framework: there is no file MLmodel at {uri}: is the path right? For a model without one, {_CURE}")
    try:
        flavors = yaml_text.load(text.decode())["flavors"]
        if not isinstance(flavors, dict):
            raise TypeError
    except (yaml_text.ParseError, UnicodeDecodeError, KeyError, TypeError):
        raise ModelError(f"framework: the file MLmodel at {uri} names no flavors: {_CURE}") from None
    return of_flavors(flavors, protocol, available)


def of_flavors(flavors: t.Mapping[str, t.Any], protocol: str, available: t.Container[str]) -> str:
    """Returns the framework that serves a model of these flavors.

    Raises:
        ModelError: when it has no flavor that can be served.
    """
    if protocol == "v2":
        for name, key in _FILE_KEYS.items():
            file = PurePosixPath(str((flavors.get(name) or {}).get(key) or ""))
            if str(file) in _OWN_FILES[name] and _has(available, name):
                return name
        if ("tensorflow" in flavors or "keras" in flavors) and available and "tensorflow" in available:
            return "tensorflow"
    if "python_function" in flavors:
        return "mlflow"
    raise ModelError(f"framework: the model has the flavors {', '.join(sorted(flavors)) or 'none'}, none of which can be served: {_CURE}")


def _has(available: t.Container[str], name: str) -> bool:
    return not available or name in available
