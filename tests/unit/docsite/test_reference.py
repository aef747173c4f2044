# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What antsibull-docs is given, and what becomes of its pages."""

from __future__ import annotations

import pytest
from docsite import reference

PAGE = """:orphan:

.. _ansible_collections.openmlops.platform.mlflow_role:

.. Title

openmlops.platform.mlflow role -- MLflow tracking server
++++++++++++++++++++++++++++++++++++++++++++++++++++++++

.. Collection note

.. note::
    This role is part of the `openmlops.platform collection <https://x.example>`_ (version 0.1.0).

    It is not included in ``ansible-core``.

.. contents::
   :local:
   :depth: 2

Entry point ``main`` -- MLflow tracking server
----------------------------------------------

Synopsis
^^^^^^^^

- Does it.

.. note::
    A note of its own stays.

Authors
^^^^^^^

- Somebody
"""


def test_tidied():
    text = reference.tidied(PAGE)
    assert "mlflow role\n+++++++++++\n\nMLflow tracking server.\n\nIn playbooks: ``openmlops.platform.mlflow``\n" in text
    assert "Synopsis\n^^^^^^^^\n\n- Does it.\n" in text and "A note of its own stays." in text
    for gone in ("contents::", "is part of", "Entry point", "Authors", "Somebody"):
        assert gone not in text


def test_a_page_that_is_not_known_is_an_error():
    with pytest.raises(ValueError, match="antsibull-docs wrote a page without the title"):
        reference.tidied(PAGE.replace(" -- ", " – "))


def test_templates_are_no_defaults_of_lists_and_booleans():
    options = {
        "a_list": {"type": "list", "elements": "dict", "default": "{{ other | default([]) }}", "description": "Some."},
        "of_dicts": {"type": "list", "elements": "dict", "default": [{"a": 1}, "{{ other }}"], "description": "Some."},
        "of_texts": {"type": "list", "elements": "str", "default": ["{{ other }}"], "description": "Some."},
        "a_bool": {"type": "bool", "default": True, "description": ["On."]},
        "a_text": {"type": "str", "default": "{{ other }}", "description": "Text."},
        "a_dict": {"type": "dict", "description": "More.", "options": {"below": {"type": "bool", "default": "{{ other }}", "description": "x"}}},
    }
    reference.plain_defaults(options)
    assert options["a_list"]["description"] == ["Some.", "The default follows from others, C({{ other | default[[]] }})."]
    assert "default" not in options["a_list"] and "default" not in options["of_dicts"]
    assert options["of_texts"]["default"] == ["{{ other }}"]
    assert options["a_bool"]["default"] is True and options["a_text"]["default"] == "{{ other }}"
    assert "default" not in options["a_dict"]["options"]["below"]


def test_everything_with_documentation_has_a_page(root):
    known = reference.described(root)
    assert set(known["role"]) == {path.name for path in (root / "roles").iterdir() if path.is_dir()}
    assert set(known["module"]) == {path.stem for path in (root / "plugins/modules").glob("*.py")}
    assert set(known["filter"]) == {path.stem for path in (root / "plugins/filter").glob("*.yml")}
    assert set(known["lookup"]) == {path.stem for path in (root / "plugins/lookup").glob("*.py")}
    assert all(text for found in known.values() for text in found.values())
    files = reference.published(known)
    assert [path for path in files if not (root / path).exists()] == []


def test_lists_name_all(root):
    known = reference.described(root)
    found = reference.lists(known)
    assert len(found) == len(known)
    for kind, names in known.items():
        text = found[f"reference/{reference.LISTS[kind][0]}.md"]
        assert [name for name in names if f"\n- [`{name}`]({name}_{kind}.rst): " not in text or f"\n{name} <{name}_{kind}>\n" not in text] == []
