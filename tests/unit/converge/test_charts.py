# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.lock import CatalogueError
from ansible_collections.openmlops.platform.plugins.module_utils.converge import charts
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import PlanError

# A version that may stand in a label and that Helm takes.
VERSION = re.compile(r"^\d+\.\d+\.\d+-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*$")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A checkout with one chart of our own."""
    chart = tmp_path / "root" / "charts" / "demo"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: 9.9.9\n")
    (chart / "templates" / "x.yaml").write_text("kind: ConfigMap\n")
    entry = {"name": "demo", "version": "1.2.3", "repository": "https://charts.example.org", "bundled": "demo"}
    monkeypatch.setattr(lock, "COLLECTION_ROOT", tmp_path / "root")
    monkeypatch.setattr(lock, "components", lambda: {"demo": {"charts": {"main": entry}}, "bare": {}})
    return tmp_path / "root"


@pytest.fixture
def resolve(root, tmp_path):
    def call(chosen="bundled", **raw):
        return charts.resolve({"name": "r", "namespace": "n", "chart": "demo/main", "values": {"a": 1}, **raw}, chosen, tmp_path / "cache")

    return call


def test_upstream(resolve):
    found = resolve("upstream")
    assert (found.name, found.namespace, found.values) == ("r", "n", {"a": 1})
    assert (found.chart, found.version, found.repository, found.on_disk) == ("demo", "1.2.3", "https://charts.example.org", False)
    assert resolve("upstream", values=None).values == {}


def test_mirror_of_the_same_chart_is_no_change(resolve):
    first, second = resolve("upstream"), resolve("oci://mirror.example.org/charts")
    assert second.chart == "oci://mirror.example.org/charts/demo" and second.repository is None and not second.on_disk
    assert first.wanted_digest == second.wanted_digest


def test_folder_of_the_same_name_beside_the_playbook_is_not_the_chart(resolve, tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "notes").write_text("not a chart")
    monkeypatch.chdir(tmp_path)
    assert resolve("upstream").version == "1.2.3"


def test_bundled(resolve, root, tmp_path):
    first = resolve()
    chart = yaml.safe_load((tmp_path / "cache" / "charts" / first.chart.rpartition("/")[2] / "Chart.yaml").read_text())
    assert VERSION.match(chart["version"]) and chart["version"].startswith("0.1.0-") and chart["appVersion"] == "9.9.9"
    assert first.on_disk and resolve() == first
    assert (root / "charts" / "demo" / "Chart.yaml").read_text().count("version: 0.1.0\n") == 1


def test_bundled_chart_that_changed_has_another_version(resolve, root):
    first = resolve()
    (root / "charts" / "demo" / "templates" / "x.yaml").write_text("kind: Secret\n")
    second = resolve()
    assert first.chart != second.chart and first.chart_digest != second.chart_digest
    versions = {yaml.safe_load(open(f"{found.chart}/Chart.yaml", encoding="utf-8"))["version"] for found in (first, second)}
    assert len(versions) == 2


@pytest.mark.parametrize(
    ("raw", "parts"),
    [({"chart": "none/x"}, ["no component 'none'"]), ({"chart": "bare/x"}, ["'bare' has no chart 'x'"]),
     ({"chart": "demo/x"}, ["no chart 'x', only ['main']"]), ({"component": "x"}, ["r", "component"])],
)
def test_wrong_entries(resolve, raw, parts):
    with pytest.raises((PlanError, CatalogueError)) as error:
        resolve(**raw)
    for part in parts:
        assert part in str(error.value)


def test_missing_keys(root, tmp_path):
    with pytest.raises(PlanError, match="missing .*'chart', 'namespace', 'values'"):
        charts.resolve({"name": "r"}, "upstream", tmp_path)


def test_a_release_can_have_a_source_and_a_version_of_its_own(resolve):
    assert resolve("upstream", source="bundled").on_disk and not resolve("bundled", source="upstream").on_disk
    assert resolve("upstream", version="2.0.0").version == "2.0.0" and resolve("upstream", source="").version == "1.2.3"
    assert resolve("upstream", data=True).data and not resolve("upstream").data
