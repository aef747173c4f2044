# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of Python packages, by the real pip from a folder of wheels."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build import spec, wheels
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.tests.unit.build.conftest import write_image

COLLECTION = Path(__file__).resolve().parents[3]
FILES = "files:\n  - {package: demo, path: demo/crd.yaml, as: crd.yaml}\n"


@pytest.fixture
def image(root, tmp_path, monkeypatch):
    """An image that pins the package demo, which lies in a folder that pip looks into and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo/crd.yaml", "kind: CustomResourceDefinition\n")
        archive.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("demo-1.0.dist-info/RECORD", "")
    write_image(root, "operator", FILES)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (root / "images/operator/requirements.txt").write_text(
        f"other==2.0 \\\n    --hash=sha256:{'0' * 64}\ndemo==1.0 \\\n    --hash=sha256:{digest}\n    # via -r requirements.in\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return root / "images/operator"


def test_file_comes_with_the_image(image, builder):
    assert builder.todo(["image/operator"]) == ["file/operator", "image/operator"]
    assert set(builder.build(["file/operator"])) == {"file/operator"}
    path = Path(builder.results(["file/operator"])["files"]["crd.yaml"])
    assert path.read_text() == "kind: CustomResourceDefinition\n"
    assert builder.todo(["image/operator"]) == ["image/operator"] and builder.todo(["file/operator"]) == []


def test_a_package_with_another_hash_is_refused(image, builder):
    path = image / "requirements.txt"
    path.write_text(path.read_text().replace("demo==1.0 \\\n    --hash=sha256:", "demo==1.0 \\\n    --hash=sha256:f")[:-1])
    with pytest.raises(BuildError, match="pip"):
        builder.build(["file/operator"])
    assert not builder.store.ready("file/operator")


def test_a_file_that_is_not_there_is_named(image, builder):
    (image / "image.yml").write_text((image / "image.yml").read_text().replace("demo/crd.yaml", "demo/none.yaml"))
    with pytest.raises(BuildError, match="the package demo holds no demo/none.yaml"):
        builder.build(["file/operator"])


def test_pins():
    text = "a==1 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n    # via b\nb==2 \\\n    --hash=sha256:3\n"
    assert wheels.pinned(text, "a") == "a==1 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2"
    with pytest.raises(BuildError, match="pins no c with hashes"):
        wheels.pinned(text, "c")


@pytest.mark.parametrize("name", [name for name in spec.names(COLLECTION, spec.IMAGE) if spec.image(COLLECTION, name).files])
def test_ours_are_pinned(name):
    image = spec.image(COLLECTION, name)
    text = (image.folder / "requirements.txt").read_text()
    assert all(wheels.pinned(text, file.package) for file in image.files)
