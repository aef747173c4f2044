# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of versions and licences says what platform.lock.yml says."""

from __future__ import annotations

import copy

from docsite import versions


def tables(text):
    """Return the rows of the three tables, without their heads."""
    return [
        [tuple(cell.strip().strip("`") for cell in line.strip("|").split(" | ")) for line in part.splitlines() if line.startswith("| ")][2:]
        for part in text.split("\n## ")[1:]
    ]


def said(lock):
    components = lock["components"]
    return [
        [
            (name, f"{entry['version']}" + (f" (our own image: {entry['built_version']})" if "built_version" in entry else ""), entry["licence"])
            for name, entry in components.items()
        ],
        [
            (name, chart["name"], str(chart["version"]), chart["repository"])
            for name, entry in components.items()
            for chart in entry.get("charts", {}).values()
        ],
        [
            (name, role, f"{image['repository']}:{image['tag']}", image["licence"])
            for name, entry in components.items()
            for role, image in entry.get("images", {}).items()
        ],
    ]


def test_it_is_the_lock_file(lock):
    assert tables(versions.page(lock)) == said(lock)
    assert all(said(lock))


def test_a_changed_version_shows(lock):
    other = copy.deepcopy(lock)
    other["components"]["mlflow"]["version"] = "99.0.0"
    assert ("mlflow", "99.0.0", "Apache-2.0") in tables(versions.page(other))[0]


def test_a_bar_does_not_end_a_cell():
    assert versions.table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"
