# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings a model before its server starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "images/kserve-storage-initializer/fetch_models.py"


@pytest.fixture(scope="module")
def fetch_models():
    spec = importlib.util.spec_from_file_location("fetch_models", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Store:
    """Brings one file, or fails."""

    def __init__(self, problem=None, name="model.joblib"):
        self.problem, self.name = problem, name

    def download(self, address, folder):
        if self.problem:
            raise self.problem
        if self.name:
            (Path(folder) / self.name).write_text(address)


def test_each_address_has_a_folder(fetch_models):
    assert fetch_models.pairs(["s3://a", "/x", "s3://b", "/y"]) == [("s3://a", "/x"), ("s3://b", "/y")]
    for wrong in ([], ["s3://a"], ["a", "b", "c"]):
        with pytest.raises(SystemExit, match="each address needs a folder"):
            fetch_models.pairs(wrong)


def test_a_model_is_brought(fetch_models, tmp_path):
    fetch_models.fetch("s3://a", str(tmp_path / "deep/models"), Store())
    assert (tmp_path / "deep/models/model.joblib").read_text() == "s3://a"


@pytest.mark.parametrize(("store", "told"), [
    (Store(RuntimeError("no such bucket")), "s3://a: RuntimeError: no such bucket"), (Store(name=""), "s3://a: there is nothing"),
])
def test_a_failure_is_one_line_with_the_address(fetch_models, tmp_path, store, told):
    with pytest.raises(SystemExit) as failed:
        fetch_models.fetch("s3://a", str(tmp_path / "models"), store)
    assert failed.value.code == told
