# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last look at the finished site: no link in it leads nowhere, and no page loads anything from elsewhere."""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

TAG = re.compile(r"<(a|link|script|img|iframe|source|object|use)\b([^>]*)>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"\b(href|src|data)=\"([^\"]*)\"")
IDENTITY = re.compile(r"\b(?:id|name)=\"([^\"]+)\"")
# What <link> may name elsewhere without loading it.
NAMES = re.compile(r"\brel=\"(?:canonical|alternate|license)\"")


def problems(folder: Path) -> list[str]:
    """Return a line for each broken link, missing anchor and foreign file of the HTML pages in a folder."""
    texts = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.html"))}
    identities = {name: {html.unescape(value) for value in IDENTITY.findall(text)} for name, text in texts.items()}
    found = []
    for name, text in texts.items():
        for tag, rest in TAG.findall(text):
            for kind, value in ATTRIBUTE.findall(rest):
                if kind == "data" and tag.lower() != "object":
                    continue
                problem = wrong(folder, name, tag.lower(), html.unescape(value), identities, loads=not NAMES.search(rest))
                if problem:
                    found.append(f"{name}: {problem}")
    return sorted(set(found))


def wrong(folder: Path, page: str, tag: str, target: str, identities: dict[str, set[str]], *, loads: bool) -> str:
    """Return what is wrong with one link of a page; nothing when it is right."""
    if re.match(r"(?:https?:)?//", target):
        return f"<{tag}> loads {target}" if tag != "a" and loads else ""
    if re.match(r"(mailto|data):", target) or target in ("", "#"):
        return ""
    path, _mark, anchor = target.partition("#")
    path = unquote(path.partition("?")[0])
    file = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    if not (folder / file).is_file():
        return f"the link {target} leads to no file"
    if anchor and file in identities and unquote(anchor) not in identities[file]:
        return f"the link {target} leads to no heading"
    return ""
