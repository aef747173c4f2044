# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.charts import bundle

FILES = {"files/manifest.yaml": "kind: Demo\n"}


@pytest.fixture
def chart(tmp_path):
    folder = tmp_path / "charts" / "demo"
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: demo\n")
    return folder


def test_chart_and_files_are_there(chart, tmp_path):
    made = bundle.assemble(chart, {**FILES, "bytes": b"\xff"}, tmp_path / "out")
    assert made.parent == tmp_path / "out" and made.name.startswith("demo-")
    assert (made / "Chart.yaml").read_text() == "name: demo\n"
    assert (made / "files" / "manifest.yaml").read_text() == "kind: Demo\n"
    assert (made / "bytes").read_bytes() == b"\xff"
    assert not (chart / "files").exists()


def test_the_second_call_only_reads(chart, tmp_path):
    made = bundle.assemble(chart, FILES, tmp_path / "out")
    before = made.stat().st_mtime_ns
    assert bundle.assemble(chart, FILES, tmp_path / "out") == made
    assert made.stat().st_mtime_ns == before
    assert list((tmp_path / "out").iterdir()) == [made]


def test_other_content_is_another_folder(chart, tmp_path):
    first = bundle.assemble(chart, FILES, tmp_path)
    assert bundle.assemble(chart, {"files/manifest.yaml": "kind: Other\n"}, tmp_path) != first
    (chart / "Chart.yaml").write_text("name: changed\n")
    assert bundle.assemble(chart, FILES, tmp_path) != first


def test_several_at_once(chart, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _number: bundle.assemble(chart, FILES, tmp_path / "out"), range(16)))
    assert len(set(made)) == 1
    assert list((tmp_path / "out").iterdir()) == [made[0]]


def test_a_killed_run_leaves_no_half_chart(chart, tmp_path, monkeypatch):
    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            bundle.assemble(chart, FILES, tmp_path / "out")
    assert list((tmp_path / "out").glob("demo-*")) == []
    assert (bundle.assemble(chart, FILES, tmp_path / "out") / "Chart.yaml").is_file()


@pytest.mark.parametrize("path", ["/etc/motd", "../motd", "files/../../motd"])
def test_files_stay_inside(chart, tmp_path, path):
    with pytest.raises(ValueError, match="not a path inside a chart"):
        bundle.assemble(chart, {path: ""}, tmp_path)


def test_no_chart(tmp_path):
    with pytest.raises(FileNotFoundError):
        bundle.assemble(tmp_path / "none", {}, tmp_path)
