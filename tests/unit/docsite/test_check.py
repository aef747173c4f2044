# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last look at the site finds what is broken, and nothing else."""

from __future__ import annotations

import pytest
from docsite import check

GOOD = """<html><head><link rel="stylesheet" href="_static/a.css"><link rel="canonical" href="https://x.example/"></head><body>
<h1 id="top">x</h1><a href="b/c.html#below">1</a><a href="#top">2</a><a href="https://x.example">3</a><a href="mailto:a@b.example">4</a>
<img src="_static/p%20q.png"></body></html>"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "_static/a.css").write_text("")
    (tmp_path / "_static/p q.png").write_text("")
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "b/c.html").write_text('<p id="below">x</p><a href="../index.html">up</a>')
    return tmp_path


def test_nothing_is_wrong(site):
    assert check.problems(site) == []


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('<a href="none.html">', "index.html: the link none.html leads to no file"),
        ('<a class="x" href="b/c.html#none">', "index.html: the link b/c.html#none leads to no heading"),
        ('<a href="#none">', "index.html: the link #none leads to no heading"),
        ('<img alt="" src="none.png">', "index.html: the link none.png leads to no file"),
        ('<script src="https://x.example/a.js">', "index.html: <script> loads https://x.example/a.js"),
        ('<link rel="stylesheet" href="//x.example/a.css">', "index.html: <link> loads //x.example/a.css"),
    ],
)
def test_what_is_wrong(site, line, wanted):
    (site / "index.html").write_text(GOOD + line)
    assert check.problems(site) == [wanted]
