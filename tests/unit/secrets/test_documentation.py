# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's documentation says what the action does: same options, complete, and examples that work."""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.action.secret_bootstrap import ActionModule
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import connection_spec
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.declare import (
    DERIVATIONS,
    GENERATORS,
    declarations,
)
from ansible_collections.openmlops.platform.plugins.modules.secret_bootstrap import DOCUMENTATION, EXAMPLES, RETURN


class Loader(yaml.SafeLoader):
    """YAML with Ansible's tag for text that is no template."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))

OPTIONS = yaml.safe_load(DOCUMENTATION)["options"]
# S506: the loader is a SafeLoader
TASKS = [task for task in yaml.load(EXAMPLES, Loader) if "openmlops.platform.secret_bootstrap" in task]  # noqa: S506


@pytest.mark.parametrize("name", sorted({**connection_spec(), **ActionModule.ARGUMENTS} | OPTIONS))
def test_options_are_the_arguments(name):
    argument = {**connection_spec(), **ActionModule.ARGUMENTS}[name]
    fields = ("type", "elements", "default", "choices", "required")
    documented = {field: OPTIONS[name][field] for field in fields if field in OPTIONS[name]}
    assert documented == {field: argument[field] for field in fields if field in argument}


def test_every_source_and_generator_is_documented_and_shown():
    text = " ".join(OPTIONS["secrets"]["suboptions"]["data"]["description"])
    shown = {
        name
        for task in TASKS
        for secret in task["openmlops.platform.secret_bootstrap"]["secrets"]
        if isinstance(secret, dict)
        for spec in secret.get("data", {}).values()
        for name in (*spec, spec.get("generate"))
    }
    for name in GENERATORS:
        assert f"C(generate: {name})" in text
        assert name in shown
    for name in DERIVATIONS:
        assert f"C({name})" in text
        assert name in shown


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task["name"][:30])
def test_examples_are_without_fault(task):
    secrets = task["openmlops.platform.secret_bootstrap"]["secrets"]
    if isinstance(secrets, str):
        return  # a variable
    assert declarations(secrets)[1] == []


def test_options_of_a_mapping_are_those_that_are_read():
    documented = set(OPTIONS["secrets"]["suboptions"])
    _declared, problems = declarations([{"name": "s", "namespace": "a", "copy_from": "b/s", "unknown_option": 1}])
    known = set(re.search(r"known are (.*)$", problems[0])[1].split(", "))
    assert known == documented


def test_returned_keys_are_no_methods_of_a_mapping():
    returned = yaml.safe_load(RETURN)
    inner = returned["secrets"]["contains"]
    assert not {*returned, *inner, *inner["certificates"]["contains"]} & set(dir(dict))
