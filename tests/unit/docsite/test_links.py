# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of pages, and what becomes of them on the site."""

from __future__ import annotations

import pytest
from docsite import links

PUBLISHED = {
    "docs/gke.md": "gke.md",
    "docs/decisions/0001-x.md": "decisions/0001-x.md",
    "roles/mlflow/meta/argument_specs.yml": "reference/mlflow_role.rst",
    "playbooks/users.yml": "reference/playbooks.md#users",
    "README.md": "index.md",
}


def rewritten(text, page="docs/gke.md", place="gke.md"):
    return links.rewritten(text, page, place, PUBLISHED, lambda path: f"https://forge.example/{path}")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[a](gke.md)", "[a](gke.md)"),
        ("[a](gke.md#b)", "[a](gke.md#b)"),
        ("[a](#b)", "[a](#b)"),
        ("[a](https://x.example/y)", "[a](https://x.example/y)"),
        ("[a](../README.md)", "[a](index.md)"),
        ("[`a`](../roles/mlflow/meta/argument_specs.yml)", "[`a`](reference/mlflow_role.rst)"),
        ("[a](../playbooks/users.yml)", "[a](reference/playbooks.md#users)"),
        ("[a](../playbooks/users.yml#other)", "[a](reference/playbooks.md#other)"),
        ("[a](../inventories/gke/hosts.yml) and [b](gke.md)", "[a](https://forge.example/inventories/gke/hosts.yml) and [b](gke.md)"),
        ("![a](../x.png \"title\")", "![a](https://forge.example/x.png \"title\")"),
        ("[a](<../README.md>)", "[a](index.md)"),
        ("`[a](../README.md)`", "`[a](../README.md)`"),
        ("```sh\n[a](../README.md)\n```\n", "```sh\n[a](../README.md)\n```\n"),
    ],
)
def test_rewritten(text, wanted):
    assert rewritten(text) == wanted


def test_from_a_folder_below():
    assert rewritten("[a](../gke.md) [b](../../README.md)", "docs/decisions/0001-x.md", "decisions/0001-x.md") == "[a](../gke.md) [b](../index.md)"


@pytest.mark.parametrize("target", ["../../elsewhere.md", "/etc/passwd"])
def test_a_link_out_of_the_checkout_is_an_error(target):
    with pytest.raises(ValueError, match=f"docs/gke.md: the link {target} leads out of the checkout"):
        rewritten(f"[a]({target})")


def test_targets_are_those_of_links_only():
    assert links.targets("[a](b.md) `[c](d.md)` ![e](f.png)\n~~~\n[g](h.md)\n~~~\n[i](j.md#k)") == ["b.md", "f.png", "j.md#k"]


def test_anchors():
    text = "# The `first` page\n## «When», it fails!\n## Again\n## Again\n```\n# no heading\n```\n### [Link](x.md) and more\n"
    assert links.anchors(text) == {"the-first-page", "when-it-fails", "again", "again-1", "link-and-more"}
