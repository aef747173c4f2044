# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The navigation follows from docs/index.md."""

from __future__ import annotations

from docsite import build, links, navigation, reference

INDEX = """# Title

[no section](x.md)

## Start

- [A](a.md): first
- [B](b.md#part): second, and [A](a.md) again

## Elsewhere

- [README](../README.md), [forge](https://x.example), [inventories](../inventories)

## End

- [C](../CONTRIBUTING.md): third
"""
PUBLISHED = {"docs/a.md": "a.md", "docs/b.md": "b.md", "README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}


def test_sections():
    assert navigation.sections(INDEX) == [
        ("Start", ["a.md", "b.md"]),
        ("Elsewhere", ["../README.md", "../inventories"]),
        ("End", ["../CONTRIBUTING.md"]),
    ]


def test_toctrees_hold_pages_of_the_site_only():
    assert navigation.toctrees(INDEX, PUBLISHED) == (
        "\n```{toctree}\n:hidden:\n:caption: Start\n\na\nb\n```\n\n```{toctree}\n:hidden:\n:caption: End\n\ncontributing\n```\n"
    )


def test_cards_have_no_colon():
    assert navigation.cards("- [A](a.md): first: one\nText: [B](b.md): x\n") == "- [A](a.md) first: one\nText: [B](b.md): x\n"


def test_every_page_is_reached_from_the_navigation(root, pages):
    """From the index, through the lists below it; Sphinx asks the same, but only where the site is built."""
    places = build.published(root, reference.described(root))
    listed = {links.resolved(page, "docs/index.md")[0] for _title, found in navigation.sections(pages["docs/index.md"]) for page in found}
    decisions = {links.resolved(page, "docs/decisions/index.md")[0] for page in links.targets(pages["docs/decisions/index.md"])}
    unreached = [
        page
        for page in pages
        if places[page] != "index.md" and page not in listed and not (page in decisions and "docs/decisions/index.md" in listed)
    ]
    assert unreached == []


def test_every_section_leads_to_a_page(root, pages):
    places = build.published(root, reference.described(root))
    trees = navigation.toctrees(pages["docs/index.md"], places)
    assert [title for title, _pages in navigation.sections(pages["docs/index.md"]) if f":caption: {title}\n" not in trees] == []
