# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of Markdown pages: what they lead to in the checkout, and what that is on the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping

# A fenced block, or code within a line: what looks like a link in there is none.
CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$|(?P<tick>`+)(?!`).+?(?<!`)(?P=tick)(?!`)", re.MULTILINE | re.DOTALL)
# [text](target), the text with code in it or not; images too.
LINK = re.compile(r"(?P<head>\]\()<?(?P<target>[^)\s>]+)>?(?P<title>\s+\"[^\"]*\")?\)")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:")


def masked(text: str) -> str:
    """Return the text with every character of code as a space, so that places stay what they were."""
    return CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def targets(text: str) -> list[str]:
    """Return what the links of a page lead to, as written, in their order."""
    return [found["target"] for found in LINK.finditer(masked(text))]


def resolved(target: str, page: str) -> tuple[str, str]:
    """Return the path in the checkout that a link leads to, and its anchor with ``#`` or nothing.

    Args:
        target: the link as written; without a scheme.
        page: path of the page in the checkout, such as ``docs/gke.md``.

    Raises:
        ValueError: it leads out of the checkout.
    """
    path, mark, anchor = target.partition("#")
    full = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    if full.startswith(("../", "/")) or full == "..":
        raise ValueError(f"{page}: the link {target} leads out of the checkout")
    return full, mark + anchor


def rewritten(text: str, page: str, place: str, published: Mapping[str, str], elsewhere: Callable[[str], str]) -> str:
    """Return a page with its links as the site needs them.

    Args:
        text: the page, in Markdown.
        page: its path in the checkout.
        place: its path on the site, such as ``gke.md``.
        published: path on the site, perhaps with an anchor, of what the site has, by path in the checkout.
        elsewhere: address of what it does not have, by path in the checkout.

    Raises:
        ValueError: a link leads out of the checkout, or ``elsewhere`` says that it leads nowhere.
    """

    def new(target: str) -> str:
        if OUTSIDE.match(target) or target.startswith("#"):
            return target
        path, anchor = resolved(target, page)
        if path not in published:
            return elsewhere(path) + anchor
        file, mark, own = published[path].partition("#")
        return posixpath.relpath(file, posixpath.dirname(place) or ".") + (anchor or mark + own)

    parts, at = [], 0
    for found in LINK.finditer(masked(text)):
        parts += [text[at : found.start("target")].removesuffix("<"), new(found["target"]), found["title"] or "", ")"]
        at = found.end()
    return "".join([*parts, text[at:]])


def anchors(text: str) -> set[str]:
    """Return the anchors that a forge and MyST give to the headings of a page."""
    found: dict[str, int] = {}
    fenced = re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#{1,4}\s+(.+?)\s*#*$", fenced, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{number}" if number else slug for slug, last in found.items() for number in range(last + 1)}
