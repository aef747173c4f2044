# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module oathkeeper_rules: the file, check mode, errors."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.openmlops.platform.plugins.modules import oathkeeper_rules

SERVICE = {"name": "a", "prefix": "/a/", "service": "a", "namespace": "x", "port": 80, "allow": "authenticated"}


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the module with its arguments, and returns its result."""

    def running(*, check=False, **arguments):
        given = {"services": [SERVICE], "hostname": "ml.example", "login_url": "https://ml.example/auth/login", **arguments,
                 "_ansible_check_mode": check, "_ansible_remote_tmp": str(tmp_path), "_ansible_keep_remote_files": False}
        with patch_module_args(given), pytest.raises(SystemExit):
            oathkeeper_rules.main()
        return json.loads(capsys.readouterr().out)

    return running


def test_the_file_is_written_once(run, tmp_path):
    path = tmp_path / "rules.json"
    tried = run(path=str(path), check=True)
    assert tried["changed"] and not path.exists() and tried["diff"]["before"] == ""
    first = run(path=str(path), mode="0640")
    assert first["changed"] and json.loads(path.read_text()) == first["rules"] and path.stat().st_mode & 0o777 == 0o640
    assert first["rules"][0]["id"] == "service:a" and first["diff"]["after"] == path.read_text()
    assert not run(path=str(path), mode="0640")["changed"]
    path.write_text("[]")
    assert run(path=str(path), check=True)["changed"] and path.read_text() == "[]"


def test_without_a_file_the_rules_are_returned(run):
    own = {"id": "own", "match": {"path": "/a/x</?>", "methods": ["GET"]}, "allow": "public", "carve": ["a"]}
    result = run(access_rules=[own])
    assert not result["changed"] and [rule["id"] for rule in result["rules"]] == [
        "own", "service:a:DELETE+HEAD+OPTIONS+PATCH+POST+PUT", "service:a:GET"]


def test_one_clear_error(run, tmp_path):
    own = {"id": "own", "match": {"path": "/a/x</?>"}, "allow": "public"}
    result = run(access_rules=[own], path=str(tmp_path / "rules.json"))
    assert result["failed"] and result["msg"].startswith("rules 'own' and 'service:a' both match GET https://ml.example/a/x")
    assert not (tmp_path / "rules.json").exists()
    assert "there is no folder" in run(path=str(tmp_path / "no" / "rules.json"))["msg"]
