# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each example of docs/access.md gives rules, and its tables tell all keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.access import user_rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import CHECKS, AccessError

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "access.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def make(example):
    return rules(example.get("platform_services", []), "ml.example", "https://ml.example/auth/login", "http://keto/check",
                 example.get("platform_access_rules", []))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_gives_rules(number):
    example = EXAMPLES[number]
    if [rule["id"] for rule in example.get("platform_access_rules", [])] == ["seldon-predictions", "seldon-pages"]:
        assert len(make(example)) == 5
    assert len(make(example)) >= len(example["platform_services"])


def test_there_are_examples_and_all_keys():
    assert len(EXAMPLES) >= 5
    for key in [*CHECKS, *user_rules._KEYS]:
        assert f"`{key}`" in PAGE or f"`{key}." in PAGE, key


def test_the_example_needs_its_carve():
    example = EXAMPLES[2]
    del example["platform_access_rules"][0]["carve"]
    with pytest.raises(AccessError, match="both match GET https://ml.example/httpbin/status"):
        make(example)
