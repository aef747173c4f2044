# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a file of a Go module that the build has downloaded: release manifests lie in there, beside the code."""
from __future__ import annotations

import os
import re
from pathlib import Path


def module_file(go_mod: str | Path, module: str, path: str, cache: str | Path | None = None) -> Path:
    """Where a module's file is, at the version that a go.mod pins.

    go_mod: our go.mod. module: for instance github.com/cloudnative-pg/cloudnative-pg. path: inside the module;
    {version} in it stands for the version without its v. cache: Go's module cache, default as Go finds it itself.
    Raises ValueError (go.mod does not name the module) and FileNotFoundError, both with the cure.
    """
    go_mod = Path(go_mod)
    version = required_version(go_mod.read_text(encoding="utf-8"), module)
    if not version:
        raise ValueError(f"{go_mod} does not require {module}: run 'go get {module}' in {go_mod.parent}")
    root = Path(cache or default_cache()) / f"{_escaped(module)}@{_escaped(version)}"
    found = root / path.format(version=version.removeprefix("v"))
    if not found.is_file():
        raise FileNotFoundError(f"{found} is missing: run 'go mod download {module}' in {go_mod.parent}")
    return found


def required_version(go_mod: str, module: str) -> str:
    """The version that the text of a go.mod requires of a module, "" for none."""
    found = re.search(rf"^(?:require)?[ \t]*{re.escape(module)}[ \t]+(v\S+)", go_mod, re.MULTILINE)
    return found.group(1) if found else ""


def default_cache() -> Path:
    """Go's module cache of this user: GOMODCACHE, else pkg/mod in GOPATH, else in ~/go."""
    if os.environ.get("GOMODCACHE"):
        return Path(os.environ["GOMODCACHE"])
    return Path(os.environ.get("GOPATH") or Path.home() / "go") / "pkg" / "mod"


def _escaped(name: str) -> str:
    """Go writes an upper-case letter as ! and the lower-case one, for file systems that know no difference."""
    return re.sub(r"[A-Z]", lambda letter: "!" + letter.group().lower(), name)
