# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's navigation: docs/index.md is its only source, so a page that is listed there is in it."""

from __future__ import annotations

import re

from docsite import links


def sections(index: str) -> list[tuple[str, list[str]]]:
    """Return each section (second level) of the index and what its links lead to, in order and once each.

    A page that an earlier section has is left out of the later ones; addresses elsewhere too.
    """
    found: list[tuple[str, list[str]]] = []
    seen: set[str] = set()
    for part in re.split(r"^## ", links.masked(index), flags=re.MULTILINE)[1:]:
        title, _end, body = part.partition("\n")
        pages = []
        for target in links.targets(body):
            page = target.partition("#")[0]
            if page and not links.OUTSIDE.match(page) and page not in seen:
                seen.add(page)
                pages.append(page)
        found.append((title.strip(), pages))
    return found


def toctree(entries: list[str], caption: str = "") -> str:
    """Return a hidden list of pages as MyST writes it; entries are paths without suffix, or ``title <path>``."""
    head = ["```{toctree}", ":hidden:"] + ([f":caption: {caption}"] if caption else [])
    return "\n".join(["", *head, "", *entries, "```", ""])


def toctrees(index: str, published: dict[str, str], page: str = "docs/index.md") -> str:
    """Return the lists of pages to put below the index: one for each section that leads to pages of the site."""
    parts = []
    for title, pages in sections(index):
        entries = []
        for target in pages:
            path = published.get(links.resolved(target, page)[0], "")
            if path.endswith(".md") and path != "index.md":
                entries.append(path.removesuffix(".md"))
        if entries:
            parts.append(toctree(entries, title))
    return "".join(parts)


def cards(index: str) -> str:
    """Return the index with the colon taken out between a link and what is said of it: the style sheet makes cards of these lines."""
    return re.sub(r"^(- \[[^\]]+\]\([^)]+\)): ", r"\1 ", index, flags=re.MULTILINE)
