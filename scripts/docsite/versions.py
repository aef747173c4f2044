# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of versions and licences, from platform.lock.yml."""

from __future__ import annotations

from typing import Any

HEAD = """# Versions and licences

What the platform installs, from [platform.lock.yml](../platform.lock.yml), the one place where a version is changed. Each component is
installed by its chart, on real clusters the one of its project; the images are those of the projects too, unless the local cluster builds
them. [Charts](charts.md) tells the difference.

"""


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def page(lock: dict[str, Any]) -> str:
    """Return the page: components, then charts, then images, each with version and licence."""
    components = lock["components"]
    programs = [
        [f"`{name}`", str(entry["version"]) + (f" (our own image: {entry['built_version']})" if "built_version" in entry else ""), entry["licence"]]
        for name, entry in components.items()
    ]
    charts = [
        [f"`{name}`", chart["name"], str(chart["version"]), f"`{chart['repository']}`"]
        for name, entry in components.items()
        for chart in entry.get("charts", {}).values()
    ]
    images = [
        [f"`{name}`", role, f"`{image['repository']}:{image['tag']}`", image["licence"]]
        for name, entry in components.items()
        for role, image in entry.get("images", {}).items()
    ]
    return "\n".join(
        [
            HEAD + "## Components\n",
            table(["Component", "Version", "Licence"], programs),
            "## Charts\n",
            table(["Component", "Chart", "Version", "Repository"], charts),
            "## Images\n",
            table(["Component", "For", "Image", "Licence"], images),
        ]
    )
