# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a role's entry for a release into one that Helm can install: finds the chart that platform.lock.yml pins."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.charts import bundle, digest, manifest, source
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import PlanError
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Release

_KEYS = {"name", "namespace", "chart", "values"}
_OPTIONS = {"source", "version", "data"}


def manifest_text(name: str, cache_dir: Path, check: bool) -> str:
    """Returns a release manifest that came with a built program's modules.

    Args:
        name: ``program/file``, as platform.lock.yml writes it under a chart's manifest.
        check: in check mode nothing may have been built yet; then the text is empty.
    """
    program, _slash, file = name.partition("/")
    built = Builder(lock.COLLECTION_ROOT, cache_dir).results([f"file/{program}"])["files"]
    path = Path(built.get(file, ""))
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if check:
        return ""
    raise PlanError(
        f"the manifest {name} is not built: `make up` does it; elsewhere set platform_chart_source to upstream, a folder or oci://"
    )


def resolve(raw: dict[str, t.Any], chart_source: str, cache_dir: Path, check: bool = False) -> Release:
    """Returns the release that a role asks for.

    Args:
        raw: ``name``, ``namespace``, ``chart`` (``component/chart`` as in platform.lock.yml) and ``values``; ``source`` and
            ``version``, where a chart comes from another source than the others, or not in the pinned version; ``data``, when
            things of users go with the release, so that only a purge removes it.
        chart_source: ``upstream``, ``bundled``, a folder or ``oci://...`` (platform_chart_source).
        cache_dir: where assembled charts are kept.
    """
    unknown, missing = set(raw) - _KEYS - _OPTIONS, _KEYS - set(raw)
    if unknown or missing:
        raise PlanError(f"release {raw.get('name')}: unknown {sorted(unknown)}, missing {sorted(missing)}")
    chart_source = raw.get("source") or chart_source
    entry = lock.chart(raw["chart"])
    if raw.get("version"):
        entry = {**entry, "version": raw["version"]}
    found = source.resolve(chart_source, {"chart": entry}, lock.COLLECTION_ROOT / "charts")
    where, version, repository = str(found["ref"]), found["version"], found["repo_url"]
    if chart_source == "bundled":
        where, version = _assembled(Path(where), str(version), entry, cache_dir, check)
    # A chart in a repository is its name and version, wherever a mirror keeps it. One on disk is its content, and
    # kubernetes.core wants no version for it.
    on_disk = repository is None and not where.startswith("oci://")
    mark = digest.digest(where) if on_disk else f"{entry['name']}@{version}"
    return Release(
        raw["name"], raw["namespace"], where, mark, raw["values"] or {}, None if on_disk else version, repository,
        bool(raw.get("data")),
    )


def _assembled(
    folder: Path, version: str, entry: dict[str, t.Any], cache_dir: Path, check: bool
) -> tuple[str, str]:
    """Returns our own chart as Helm gets it: with its manifest, and a version that tells its content.

    Helm compares versions only, so a chart that was changed in place must not keep its version.
    """
    files: dict[str, str | bytes] = {}
    if entry.get("manifest"):
        text = manifest_text(entry["manifest"], cache_dir, check)
        files["files/manifest.yaml"] = manifest.without_crds(text)
    mark = digest.digest_of([*((name, content) for name, content in digest.folder(folder)),
                             *((name, str(content).encode()) for name, content in files.items())])[:12]
    full = f"{version}-g{mark}"  # not "+": the version stands in labels, which refuse it
    text = (folder / "Chart.yaml").read_text(encoding="utf-8")
    files["Chart.yaml"] = re.sub(r"^version:.*$", f"version: {full}", text, flags=re.MULTILINE)
    return str(bundle.assemble(folder, files, cache_dir / "charts")), full
