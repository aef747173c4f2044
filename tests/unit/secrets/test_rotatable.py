# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be rotated, and what a word means."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import rotation
from ansible_collections.openmlops.platform.plugins.module_utils.secrets import rotatable
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.rotatable import RotationError
from ansible_collections.openmlops.platform.plugins.plugin_utils import platform_action
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, manifest

PLAN = [
    ("postgresql", {"name": "mlflow-owner", "namespace": "postgresql", "data": {"username": {"value": "mlflow"}, "password": {"generate": "password"}}}),
    ("mlflow", {"name": "mlflow-database", "namespace": "mlflow", "data": {"password": {"copy": "postgresql/mlflow-owner/password"}}}),
    ("ory", {"name": "kratos", "namespace": "ory", "data": {
        "secretsCookie": {"generate": "password"}, "secretsCipher": {"generate": "password", "only_by_name": True},
        "own": {"generate": "password", "variable": "ory_own"}}}),
]
PASSWORD, COOKIE, CIPHER, OWN = "postgresql/mlflow-owner/password", "ory/kratos/secretsCookie", "ory/kratos/secretsCipher", "ory/kratos/own"


def known(given=()):
    return rotatable.listed(PLAN, lambda name: name in given)


def test_what_is_generated_can_be_rotated_and_what_is_given_cannot():
    assert [(entry.ref, entry.by_name) for entry in known()] == [(PASSWORD, False), (COOKIE, False), (CIPHER, True), (OWN, False)]
    assert OWN not in [entry.ref for entry in known({"ory_own"})]


@pytest.mark.parametrize(("words", "expected"), [
    (["all"], [PASSWORD, COOKIE, OWN]), (["ory"], [COOKIE, OWN]), ([CIPHER], [CIPHER]), (["ory", CIPHER, COOKIE], [COOKIE, OWN, CIPHER]),
    ([], []), ([" all ", ""], [PASSWORD, COOKIE, OWN])])
def test_words(words, expected):
    assert rotatable.expand(words, known()) == expected


@pytest.mark.parametrize(("word", "hint"), [
    ("mlflow", PASSWORD), ("postgresql/mlflow-owner/pasword", PASSWORD), ("orry", "ory"), ("ory/kratos/gone", COOKIE), ("%", "lists them")])
def test_wrong_words_name_what_comes_close(word, hint):
    with pytest.raises(RotationError, match=f"'{word}' is no generated value") as error:
        rotatable.expand([word], known())
    assert hint in str(error.value)


@pytest.fixture
def act(monkeypatch):
    cluster = FakeCluster("postgresql", "ory")
    cluster.put(manifest("Secret", "mlflow-owner", "postgresql", data={"password": "Z2VoZWlt"}, metadata={
        "annotations": {"openmlops.io/rotated-at": '{"password": "2026-01-02T03:04:05Z"}'}}))
    monkeypatch.setattr(platform_action, "connect", lambda _args: cluster)

    def work(**args):
        plan = [{"component": name, "packed": json.dumps({"component": name, "namespace": spec["namespace"], "secrets": [spec]})}
                for name, spec in PLAN]
        variables = {"ory_own": "mine"}
        task = mock.MagicMock(args={"plan": plan, "show": True, **args}, check_mode=False, diff=False, async_val=0)
        found = rotation.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), Templar(DataLoader(), variables), mock.MagicMock())
        said = []
        found.say = said.append
        result = found.run(task_vars=variables)
        assert all(verb in ("get", "list") for verb, _kind, _name in cluster.requests), "it changes nothing"
        assert "geheim" not in json.dumps(result) and "Z2VoZWlt" not in json.dumps(result) and "mine" not in json.dumps(result)
        return result, "\n".join(said)

    return work


def test_a_list_says_when_each_was_rotated(act):
    result, said = act()
    assert "2026-01-02T03:04:05Z" in said and "only by its name" in said and result["rotate"] == []
    assert {entry["ref"]: entry["rotated"] for entry in result["rotatable"]}[PASSWORD] == "2026-01-02T03:04:05Z"


def test_all_says_what_is_left(act):
    result, said = act(rotate=["all"])
    assert result["rotate"] == [PASSWORD, COOKIE] and f"only by their names: {CIPHER}" in said


@pytest.mark.parametrize(("word", "message"), [
    ("mlflow/mlflow-database/password", "follows from postgresql/mlflow-owner/password: rotate that instead"),
    ("ory/kratos/own", "is given by you"), ("nothing", "is no generated value")])
def test_what_cannot_be_rotated_is_refused_before_anything_is_changed(act, word, message):
    with pytest.raises(AnsibleActionFail, match=message):
        act(rotate=[word])
