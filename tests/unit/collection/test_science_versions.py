# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notebook, flow and Dask worker are one image; what talks to them has the versions that it holds."""

from __future__ import annotations

import re

import pytest

# What both ends of a connection must have in the same version, by the image at the other end.
SHARED = {
    "dask-operator": ["dask", "distributed", "dask-kubernetes", "cloudpickle", "msgpack", "tornado", "kr8s"],
    "prefect": ["prefect", "prefect-kubernetes"],
    # Definitions travel with their code in them (dill), tables by pyarrow.
    "feast": ["feast", "dill", "pandas", "numpy", "pyarrow", "protobuf", "grpcio", "dask", "s3fs"],
    # A model that was pickled is loaded by what pickled it.
    "mlserver": ["mlflow", "scikit-learn", "numpy", "scipy", "pandas", "xgboost-cpu", "cloudpickle", "joblib", "skops"],
    "mlserver-tensorflow": ["mlflow", "scikit-learn", "numpy", "pandas", "cloudpickle"],
}


def pins(root, image):
    """Returns the versions that an image's own requirements pin, and those of the images that it stands on."""
    found = {}
    while image:
        path = root / f"images/{image}/requirements.txt"
        if path.is_file():
            found = {**dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)), **found}
        parent = re.search(r"^from: (\S+)", (root / f"images/{image}/image.yml").read_text(encoding="utf-8"), re.MULTILINE)
        image = parent[1] if parent else ""
    return found


def test_one_image_for_notebook_flow_and_worker(root, load):
    components = load(root / "platform.lock.yml")["components"]
    found = {components["prefect"]["images"]["flow"]["built"], components["dask"]["images"]["worker"]["built"]}
    if "jupyterhub" in components:
        found.add(components["jupyterhub"]["images"]["notebook"]["built"])
    assert found == {"science"}


def test_mlserver_is_without_what_a_gpu_needs(root):
    text = (root / "images/mlserver/requirements.txt").read_text(encoding="utf-8")
    named = re.findall(r"^(xgboost|nvidia-\S+)==(.*?) *\\\\$", text, re.MULTILINE)
    assert all("sys_platform == 'never'" in rest for _name, rest in named)


@pytest.mark.parametrize("other", SHARED)
def test_versions_are_equal(root, other):
    science, found = pins(root, "science"), pins(root, other)
    differing = {name: (science.get(name), found.get(name)) for name in SHARED[other] if science.get(name) != found.get(name)}
    assert differing == {}


def test_science_has_what_a_cluster_is_started_by(root):
    """dask-kubernetes calls dask-scheduler and dask-worker, which distributed has no more."""
    text = (root / "images/science/Containerfile").read_text(encoding="utf-8")
    for name in ("dask-scheduler", "dask-worker"):
        script = root / "images/science" / name
        assert script.is_file() and script.stat().st_mode & 0o100 and name in text
        assert f"exec {name.replace('-', ' ')} \"$@\"" in script.read_text(encoding="utf-8")
