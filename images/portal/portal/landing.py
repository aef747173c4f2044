# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services a person sees, and how they are laid out. Pure functions."""

from __future__ import annotations

import re
import typing as t
import zlib

TINTS = 6
# Up to so many services are seen at a glance, without headings.
FEW = 6


def candidates(services: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Returns the entries that the landing page may show: those with ``landing`` that somebody may enter."""
    return [entry for entry in services if entry.get("landing") and entry["allow"] != "nobody"]


def needs_check(entry: dict[str, t.Any]) -> bool:
    """Tells whether groups decide who may enter."""
    return isinstance(entry["allow"], list)


def monogram(title: str) -> str:
    """Returns one or two letters for a title: capitals, the first letters of its words, or its first letter."""
    words = re.findall(r"\w+", title)
    if len(words) > 1:
        return (words[0][0] + words[1][0]).upper()
    capitals = re.findall(r"[A-Z]", title)
    if len(capitals) > 1:
        return "".join(capitals[:2])
    return words[0][:1].upper() if words else "?"


def tint(name: str) -> int:
    """Returns which of the colours a service has; the same one every time."""
    return zlib.crc32(name.encode()) % TINTS


def sections(
    entries: list[dict[str, t.Any]], address: t.Callable[[dict[str, t.Any]], str]
) -> list[tuple[str, list[dict[str, t.Any]]]]:
    """Returns headings with their cards: sections by name, entries without a section last, each sorted by title.

    A few entries stand together under an empty heading.
    """
    found: dict[str, list[dict[str, t.Any]]] = {}
    for entry in sorted(entries, key=lambda each: (each["title"].casefold(), each["name"])):
        name = entry.get("section") or "" if len(entries) > FEW else ""
        found.setdefault(name, []).append({
            "name": entry["name"], "title": entry["title"], "description": entry["description"], "url": address(entry),
            "monogram": monogram(entry["title"]), "tint": tint(entry["name"]),
        })
    return sorted(found.items(), key=lambda each: (not each[0], each[0].casefold()))
