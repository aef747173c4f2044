# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a chart comes from: platform_chart_source and the chart's entry in platform.lock.yml, in one answer."""
from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ChartSourceError(ValueError):
    """The chart cannot be had from there. The message names the variable and the cure."""


def resolve(source: str, entry: Mapping[str, Any], charts_dir: str | Path) -> dict[str, str | None]:
    """Say what to give to Helm.

    source: the value of platform_chart_source: upstream, bundled, oci://HOST/PATH, or a folder that holds
      <name>-<version>.tgz or <name>/. A folder on a relative path is meant from the current one.
    entry: the component's entry in platform.lock.yml, with chart: {name, version, repository, bundled}.
      repository is https://... or oci://.... bundled is the name of a folder in charts_dir, absent or "" for none.
    charts_dir: the folder of our own charts.

    Returns ref (a path, a chart's name, or oci://...), version, and repo_url (None unless ref is a mere name).
    Raises ChartSourceError.
    """
    chart = entry.get("chart") or {}
    missing = [key for key in ("name", "version") if not chart.get(key)]
    if missing:
        raise ChartSourceError(f"platform.lock.yml: chart.{missing[0]} is missing in {dict(entry)}")
    name, version = str(chart["name"]), str(chart["version"])

    if source == "upstream":
        return _upstream(name, version, str(chart.get("repository") or ""))
    if source == "bundled":
        return _bundled(name, version, str(chart.get("bundled") or ""), Path(charts_dir))
    if source.startswith("oci://"):
        return _answer(f"{source.rstrip('/')}/{name}", version)
    if source and Path(source).expanduser().is_dir():
        return _from_folder(name, version, Path(source).expanduser(), str(chart.get("repository") or ""))
    raise ChartSourceError(
        f"platform_chart_source is '{source}': set it to upstream, bundled, a folder that exists, or oci://HOST/PATH"
    )


def _upstream(name: str, version: str, repository: str) -> dict[str, str | None]:
    if repository.startswith("oci://"):
        return _answer(f"{repository.rstrip('/')}/{name}", version)
    if not repository.startswith(("https://", "http://")):
        raise ChartSourceError(
            f"platform.lock.yml names no repository for the chart {name} (it says '{repository}'): "
            "write its https:// or oci:// address there, or set platform_chart_source to a folder that holds the chart"
        )
    return _answer(name, version, repository)


def _bundled(name: str, version: str, bundled: str, charts_dir: Path) -> dict[str, str | None]:
    if not bundled:
        raise ChartSourceError(
            f"platform_chart_source is 'bundled', but the platform has no chart of its own for {name}: "
            f"set it to upstream, or to a folder or an OCI mirror that holds {name} {version}"
        )
    found = _chart_version(charts_dir / bundled)
    if not found:
        raise ChartSourceError(
            f"platform_chart_source is 'bundled', but {charts_dir / bundled} is no chart: "
            "platform.lock.yml names it as chart.bundled, so this checkout is not complete"
        )
    return _answer(str(charts_dir / bundled), found)


def _from_folder(name: str, version: str, folder: Path, repository: str) -> dict[str, str | None]:
    archive = folder / f"{name}-{version}.tgz"
    if archive.is_file():
        return _answer(str(archive), version)
    unpacked = _chart_version(folder / name)
    if unpacked == version:
        return _answer(str(folder / name), version)
    others = sorted(path.name for path in folder.glob(f"{name}-*.tgz"))
    others += [f"{name}/ ({unpacked})"] if unpacked else []
    where = repository if repository.startswith(("http", "oci://")) else "its repository"
    raise ChartSourceError(
        f"platform_chart_source is '{folder}', which has no {archive.name} and no {name}/ of that version"
        + (f" (it has {', '.join(others)})" if others else "")
        + f": put {name} {version} from {where} there, or set platform_chart_source to upstream"
    )


def _chart_version(chart: Path) -> str:
    """The version in an unpacked chart's Chart.yaml, "" when there is no such chart."""
    try:
        text = (chart / "Chart.yaml").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^version:[ \t]*[\"']?([^\s\"'#]+)", text, re.MULTILINE)
    return found.group(1) if found else ""


def _answer(ref: str, version: str, repo_url: str | None = None) -> dict[str, str | None]:
    return {"ref": ref, "version": version, "repo_url": repo_url}
