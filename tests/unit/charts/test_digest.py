# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import tarfile

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.charts.digest import digest


@pytest.fixture
def chart(tmp_path):
    folder = tmp_path / "demo"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: demo\nversion: 1.2.3\n")
    (folder / "templates" / "a.yaml").write_text("a: 1\n")
    return folder


def pack(chart, archive, mode="w:gz"):
    with tarfile.open(archive, mode) as tar:
        tar.add(chart, arcname="demo")
    return archive


def test_packing_does_not_matter(chart, tmp_path):
    whole = digest(chart)
    assert len(whole) == 64
    assert digest(pack(chart, tmp_path / "demo.tgz")) == whole
    assert digest(pack(chart, tmp_path / "demo.tar.xz", "w:xz")) == whole


def test_dates_and_modes_do_not_matter(chart):
    before = digest(chart)
    os.utime(chart / "Chart.yaml", (0, 0))
    (chart / "Chart.yaml").chmod(0o600)
    assert digest(chart) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda chart: (chart / "templates" / "a.yaml").write_text("a: 2\n"),
        lambda chart: (chart / "templates" / "a.yaml").rename(chart / "templates" / "b.yaml"),
        lambda chart: (chart / "templates" / "a.yaml").unlink(),
        lambda chart: (chart / "values.yaml").touch(),
    ],
    ids=["content", "name", "fewer", "more"],
)
def test_content_and_names_matter(chart, change):
    before = digest(chart)
    change(chart)
    assert digest(chart) != before


def test_no_chart(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no chart at .*/none"):
        digest(tmp_path / "none")
