# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server can load a model."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.frameworks import detect, of_flavors

ALL = {"sklearn", "xgboost", "mlflow", "tensorflow"}
PYFUNC = {"python_function": {"loader_module": "own"}}


@pytest.mark.parametrize(
    ("flavors", "protocol", "available", "expected"),
    [
        ({"sklearn": {"pickled_model": "model.pkl"}, **PYFUNC}, "v2", ALL, "sklearn"),
        # MLflow 3 writes skops unless told otherwise; scikit-learn's own server does not read it.
        ({"sklearn": {"pickled_model": "model.skops"}, **PYFUNC}, "v2", ALL, "mlflow"),
        ({"sklearn": {"pickled_model": "data/model.pkl"}, **PYFUNC}, "v2", ALL, "mlflow"),
        ({"sklearn": {"pickled_model": "model.pkl"}, **PYFUNC}, "seldon", ALL, "mlflow"),
        ({"sklearn": {"pickled_model": "model.pkl"}, **PYFUNC}, "v2", {"mlflow"}, "mlflow"),
        ({"sklearn": {"pickled_model": "model.pkl"}, **PYFUNC}, "v2", set(), "sklearn"),
        ({"xgboost": {"data": "model.ubj"}, **PYFUNC}, "v2", ALL, "xgboost"),
        ({"xgboost": {"data": "model.xgb"}, **PYFUNC}, "v2", ALL, "mlflow"),
        ({"tensorflow": {}, **PYFUNC}, "v2", ALL, "tensorflow"), ({"keras": {}, **PYFUNC}, "v2", ALL, "tensorflow"),
        ({"tensorflow": {}, **PYFUNC}, "v2", {"mlflow"}, "mlflow"),
        (PYFUNC, "v2", ALL, "mlflow"), (PYFUNC, "seldon", ALL, "mlflow"),
    ],
)
def test_flavors(flavors, protocol, available, expected):
    assert of_flavors(flavors, protocol, available) == expected


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (None, "does not lie in MLflow's store"), (lambda _name: None, "no file MLmodel"), (lambda _name: b"flavors: [", "names no flavors"),
        (lambda _name: b"flavors: text", "names no flavors"), (lambda _name: b"\xff", "names no flavors"), (lambda _name: b"{}", "names no flavors"),
        (lambda _name: b"flavors: {spacy: {}}", "flavors spacy, none of which"),
    ],
)
def test_what_nothing_tells(read, message):
    with pytest.raises(ModelError, match=message) as error:
        detect(read, "s3://b/p", "v2", ALL)
    assert "set framework to" in str(error.value)


def test_by_the_file():
    assert detect(lambda name: b"flavors: {python_function: {}}" if name == "MLmodel" else None, "s3://b/p", "v2", ALL) == "mlflow"
