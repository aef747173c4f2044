# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.charts import go_module

GO_MOD = """\
module example.org/own

tool example.org/Some/app/cmd/app

require example.org/single v0.1.0

require (
	example.org/Some/app v1.30.0 // indirect
	example.org/Some/app/api v0.9.0
)
"""


@pytest.fixture
def go_mod(tmp_path):
    path = tmp_path / "go.mod"
    path.write_text(GO_MOD)
    return path


@pytest.mark.parametrize(
    ("module", "version"),
    [
        ("example.org/Some/app", "v1.30.0"),
        ("example.org/Some/app/api", "v0.9.0"),
        ("example.org/single", "v0.1.0"),
        ("example.org/Some", ""),
        ("example.org/own", ""),
    ],
)
def test_required_version(module, version):
    assert go_module.required_version(GO_MOD, module) == version


def test_module_file(go_mod, tmp_path):
    wanted = tmp_path / "mod" / "example.org" / "!some" / "app@v1.30.0" / "releases" / "app-1.30.0.yaml"
    wanted.parent.mkdir(parents=True)
    wanted.touch()
    assert go_module.module_file(go_mod, "example.org/Some/app", "releases/app-{version}.yaml", tmp_path / "mod") == wanted


def test_errors_name_the_cure(go_mod, tmp_path):
    with pytest.raises(ValueError, match="does not require example.org/other: run 'go get"):
        go_module.module_file(go_mod, "example.org/other", "x", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"run 'go mod download example.org/Some/app' in {tmp_path}"):
        go_module.module_file(go_mod, "example.org/Some/app", "x", tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"GOMODCACHE": "/a", "GOPATH": "/b"}, "/a"),
        ({"GOPATH": "/b"}, "/b/pkg/mod"),
        ({"HOME": "/c"}, "/c/go/pkg/mod"),
    ],
)
def test_default_cache(monkeypatch, variables, expected):
    for name in ("GOMODCACHE", "GOPATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(go_module.default_cache()) == expected
