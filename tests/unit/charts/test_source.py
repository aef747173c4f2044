# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.charts.source import ChartSourceError, resolve

HTTP = {"chart": {"name": "demo", "version": "1.2.3", "repository": "https://charts.example.org", "bundled": "demo"}}
OCI = {"chart": {"name": "demo", "version": "1.2.3", "repository": "oci://example.org/charts/"}}


@pytest.fixture
def charts_dir(tmp_path):
    (tmp_path / "charts" / "demo").mkdir(parents=True)
    (tmp_path / "charts" / "demo" / "Chart.yaml").write_text('apiVersion: v2\nname: demo\nversion: "0.1.0" # ours\n')
    return tmp_path / "charts"


def answer(ref, version="1.2.3", repo_url=None):
    return {"ref": str(ref), "version": version, "repo_url": repo_url}


def test_upstream(charts_dir):
    assert resolve("upstream", HTTP, charts_dir) == answer("demo", repo_url="https://charts.example.org")
    assert resolve("upstream", OCI, charts_dir) == answer("oci://example.org/charts/demo")


def test_bundled(charts_dir):
    assert resolve("bundled", HTTP, charts_dir) == answer(charts_dir / "demo", "0.1.0")


def test_mirror(charts_dir):
    assert resolve("oci://mirror.example.org/x/", HTTP, charts_dir) == answer("oci://mirror.example.org/x/demo")


def test_folder_with_an_archive(charts_dir, tmp_path):
    (tmp_path / "demo-1.2.3.tgz").touch()
    assert resolve(str(tmp_path), HTTP, charts_dir) == answer(tmp_path / "demo-1.2.3.tgz")


def test_folder_with_an_unpacked_chart(charts_dir, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Chart.yaml").write_text("version: 1.2.3\n")
    assert resolve(str(tmp_path), HTTP, charts_dir) == answer(tmp_path / "demo")


def test_home_folder(charts_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "demo-1.2.3.tgz").touch()
    assert resolve("~", HTTP, charts_dir) == answer(tmp_path / "demo-1.2.3.tgz")


@pytest.mark.parametrize("source", ["", "upstraem", "/no/such/folder"])
def test_what_it_can_be(charts_dir, source):
    with pytest.raises(ChartSourceError, match=f"platform_chart_source is '{source}': set it to upstream, bund"):
        resolve(source, HTTP, charts_dir)


def test_not_bundled(charts_dir):
    with pytest.raises(ChartSourceError, match="no chart of its own for demo: set it to upstream, or to a folder"):
        resolve("bundled", OCI, charts_dir)


def test_bundled_but_gone(tmp_path):
    with pytest.raises(ChartSourceError, match="/demo is no chart: .* this checkout is not complete"):
        resolve("bundled", HTTP, tmp_path)


def test_folder_has_another_version(charts_dir, tmp_path):
    (tmp_path / "demo-1.0.0.tgz").touch()
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Chart.yaml").write_text("version: 0.9.0\n")
    with pytest.raises(ChartSourceError) as error:
        resolve(str(tmp_path), HTTP, charts_dir)
    for part in ("platform_chart_source", "no demo-1.2.3.tgz", "it has demo-1.0.0.tgz, demo/ (0.9.0)",
                 "put demo 1.2.3 from https://charts.example.org there"):
        assert part in str(error.value)


def test_empty_folder(charts_dir, tmp_path):
    with pytest.raises(ChartSourceError, match=r"of that version: put demo 1\.2\.3"):
        resolve(str(tmp_path), HTTP, charts_dir)


@pytest.mark.parametrize("repository", ["", "charts.example.org"])
def test_lock_without_a_repository(charts_dir, repository):
    entry = {"chart": {"name": "demo", "version": "1.2.3", "repository": repository}}
    with pytest.raises(ChartSourceError, match="platform.lock.yml names no repository for the chart demo"):
        resolve("upstream", entry, charts_dir)


@pytest.mark.parametrize("entry", [{}, {"chart": {"name": "demo"}}, {"chart": {"version": "1"}}])
def test_lock_is_not_complete(charts_dir, entry):
    with pytest.raises(ChartSourceError, match=r"platform\.lock\.yml: chart\.(name|version) is missing"):
        resolve("upstream", entry, charts_dir)
