# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say is so: commands, files, variables, anchors, and a picture that can be read."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from docsite import links

# The page of what became of the original's variables names those too; tests/unit/collection/test_migration.py is about it.
OLD_NAMES = ("docs/migrate-from-openmlops.md",)
# Looks like a variable of a role, and is a value of an upstream chart.
CHART_VALUES = {"feast_mode"}


def commands(text):
    """Return the code of a page: blocks, and code within lines; comments of shells cut off."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^(?: {4}|\t)(.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return [*"\n".join(blocks).splitlines(), *indented, *re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]


def found(pages, pattern):
    """Return (page, match) for each match of a pattern in the code of all pages."""
    return [(page, match) for page, text in pages.items() for line in commands(text) for match in re.finditer(pattern, line.split(" # ")[0])]


def test_links_lead_to_headings(pages, root):
    wrong = []
    for page, text in pages.items():
        for target in links.targets(text):
            if links.OUTSIDE.match(target) or "#" not in target:
                continue
            path, anchor = links.resolved(target, page)
            if path.endswith(".md") and anchor[1:] not in links.anchors((root / path).read_text(encoding="utf-8")):
                wrong.append(f"{page}: {target}")
    assert wrong == []


def test_make_has_these_targets(pages, root):
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = found(pages, r"(?:^|\s|&& )make (?:-s )?([a-z]+)\b(?!\.)")
    assert len(named) > 50
    assert [f"{page}: make {match[1]}" for page, match in named if match[1] not in targets] == []


def test_make_has_these_variables(pages, root):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    names = set(re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE)) | {"CACHE"}
    named = found(pages, r"make (?:-s )?[a-z]+ ((?:[A-Z]+=\S+ ?)+)")
    assert [f"{page}: {name}" for page, match in named for name in re.findall(r"\b([A-Z]+)=", match[1]) if name not in names] == []


def test_inventories_are_there(pages, root):
    named = found(pages, r"(?:INVENTORY=|-i inventories/|first=|second=)([a-z]+)\b")
    assert len(named) > 20
    assert [f"{page}: {match[0]}" for page, match in named if not (root / "inventories" / match[1]).is_dir()] == []


def test_playbooks_are_there(pages, root):
    """That each passes the syntax check is a test of its own, in tests/unit/collection/test_checkout.py."""
    named = found(pages, r"ansible-playbook ([\w./-]+\.yml)")
    assert len(named) > 5
    assert [f"{page}: {match[1]}" for page, match in named if not (root / match[1]).is_file()] == []


def test_scripts_and_files_are_there(pages, root):
    named = found(pages, r"(?:^|\s)((?:scripts|images|inventories|requirements|execution-environment|playbooks|plugins)/[\w./-]*\w)")
    assert [f"{page}: {match[1]}" for page, match in named if "*" not in match.string and not (root / match[1]).exists()] == []


def test_variables_are_those_of_roles(pages, options, root):
    """Whatever begins as a role's variable is one: in code within a line, and as a key of an inventory."""
    roles = "|".join(sorted(path.name for path in (root / "roles").iterdir()))
    extra = set()
    for path in root.glob("playbooks/*.yml"):
        text = path.read_text(encoding="utf-8")
        extra |= set(re.findall(r"-e ([a-z_]+)=", text)) | set(re.findall(r"\b([a-z]+_[a-z_]+) \| default\(", text))
    unknown = []
    for page, text in pages.items():
        if page in OLD_NAMES or page.startswith("docs/decisions/"):
            continue
        # Sections on what became of the original's parts name its variables too.
        for code in commands(re.sub(r"^## From .*?(?=^## |\Z)", "", text, flags=re.MULTILINE | re.DOTALL)):
            for name in re.findall(rf"(?:^|-e )((?:{roles})_[a-z0-9_]+)(?=$|:|=| )", code.strip()):
                # A name that ends so means all that begin so: `mlflow_*`.
                if name not in options | extra | CHART_VALUES and not name.endswith("_"):
                    unknown.append(f"{page}: {name}")
    assert not unknown, "\n".join(unknown)


def luminance(colour):
    """Return the relative luminance of #rrggbb (WCAG 2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["data-way.svg"])
def test_a_picture_is_read_in_light_and_dark(root, name):
    """Each text lies wholly on a box, with a contrast of at least 4.5; lines between boxes have 3 on either background."""
    tree = ET.parse(root / "docs/images" / name).getroot()
    space = "{http://www.w3.org/2000/svg}"
    boxes = [(*(float(box.get(key)) for key in ("x", "y", "width", "height")), box.get("fill")) for box in tree.findall(f"{space}rect")]
    texts = tree.findall(f"{space}text")
    assert len(texts) > 20 and not tree.findall(f".//{space}image") and not tree.findall(f".//{space}script")
    for text in texts:
        x, y, size, words = float(text.get("x")), float(text.get("y")), float(text.get("font-size")), text.text or ""
        if not words:
            continue
        # Of the boxes around its middle, the last drawn; a letter is at most 0.53 of its size wide on average, bold ones 0.58.
        under = [box for box in boxes if box[0] <= x <= box[0] + box[2] and box[1] <= y - size and y <= box[1] + box[3]]
        assert under, words
        left, _top, width, _height, fill = under[-1]
        half = len(words) * size * (0.58 if text.get("font-weight") else 0.53) / 2
        assert left <= x - half and x + half <= left + width, f"«{words}» is wider than its box"
        assert contrast(text.get("fill"), fill) >= 4.5, words
    for path in tree.findall(f"{space}path"):
        for background in ("#ffffff", "#131416"):
            assert contrast(path.get("stroke"), background) >= 3
