# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make an installable chart from one of ours and files that are not in the repository."""
from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.charts.digest import digest_of, folder


def assemble(chart_dir: str | Path, files: Mapping[str, str | bytes], out_dir: str | Path) -> Path:
    """Copy a chart, put files into it, and return where it is: OUT_DIR/<chart>-<12 hex of its content>.

    chart_dir: the chart's folder. out_dir: made when missing.
    files: path inside the chart -> content, for instance {"files/manifest.yaml": text}.

    The folder's name says what is in it, so a second call with the same input only reads. A run that is killed leaves
    no half chart under that name, and two runs at once do not disturb each other: each writes aside and renames.
    Raises FileNotFoundError (no such chart) and ValueError (a path that leaves the chart).
    """
    chart_dir, out_dir = Path(chart_dir), Path(out_dir)
    content = dict(folder(chart_dir))
    content.update((_inside(path), data.encode() if isinstance(data, str) else data) for path, data in files.items())

    target = out_dir / f"{chart_dir.name}-{digest_of(content.items())[:12]}"
    if target.is_dir():
        return target
    out_dir.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=out_dir))
    try:
        for path, data in content.items():
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (aside / path).write_bytes(data)
        aside.chmod(0o755)  # mkdtemp's 0700 would lock out whoever shares the cache
        os.rename(aside, target)
    except OSError:
        if not target.is_dir():  # otherwise another run was faster, with the same content
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _inside(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"{path} is not a path inside a chart")
    return Path(path).as_posix()
