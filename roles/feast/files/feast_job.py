# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feast's Jobs: `apply` brings definitions into the registry, `materialize` features into the online store.

Reads FEATURE_STORE_YAML_BASE64 as Feast does. DEFINITIONS names the folder with the definitions, if there is one, and
VALIDATE says whether their data must be there.
"""

from __future__ import annotations

import base64
import datetime
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from feast import FeatureStore


def configured() -> Path:
    """Returns a folder with the configuration in it."""
    folder = Path(tempfile.mkdtemp())
    (folder / "feature_store.yaml").write_bytes(base64.b64decode(os.environ["FEATURE_STORE_YAML_BASE64"]))
    return folder


def apply(store: FeatureStore, folder: Path) -> None:
    """Brings the definitions into the registry; without any, makes its tables."""
    print(f"the registry has {len(store.list_all_feature_views())} feature views of project {store.project}")
    source = os.environ.get("DEFINITIONS", "")
    if not source:
        return
    if not Path(source).is_dir():
        sys.exit(f"feast_definitions: there is no folder {source}; look at the path in the repository")
    # A mounted ConfigMap has a second copy of each file, which Feast would import too.
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("..*", ".git", "feature_store.yaml"))
    if not any(folder.rglob("*.py")):
        sys.exit(f"feast_definitions: {source} holds no Python file")
    skip = [] if os.environ.get("VALIDATE") == "true" else ["--skip-source-validation"]
    # The environment names the configuration already; as a process of its own, since it imports what others wrote.
    done = subprocess.run(["feast", "--chdir", str(folder), "apply", *skip], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def materialize(store: FeatureStore) -> None:
    """Brings what is new into the online store; a view that fails does not keep the others back."""
    end = datetime.datetime.now(datetime.timezone.utc)
    failed = []
    for view in store.list_all_feature_views():
        if not getattr(view, "online", False) or getattr(view, "batch_source", None) is None:
            continue
        try:
            store.materialize_incremental(end_date=end, feature_views=[view.name])
        except Exception as error:  # pylint: disable=broad-except  # whatever a view's source raises
            failed.append(view.name)
            print(f"{view.name}: {type(error).__name__}: {error}", file=sys.stderr)
    if failed:
        sys.exit(f"not materialised: {', '.join(failed)}")


def main() -> None:
    """Does what the arguments name, in their order."""
    for step in sys.argv[1:]:
        folder = configured()
        store = FeatureStore(repo_path=str(folder))
        if step == "apply":
            apply(store, folder)
        else:
            materialize(store)


if __name__ == "__main__":
    main()
