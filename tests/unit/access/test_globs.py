# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Glob patterns mean what gobwas/glob makes of them. Examples checked against gobwas/glob 0.2.3 itself."""

from __future__ import annotations

import re

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.access import globs, patterns


def matches(glob, text):
    return re.fullmatch(patterns.compiled(globs.to_regexp(glob, patterns.split)), text) is not None


@pytest.mark.parametrize(("glob", "text", "expected"), [
    ("a/<**>", "a/", True), ("a/<**>", "a", False), ("a/<**>", "a/b/c.d", True),
    ("a/<*>", "a/b", True), ("a/<*>", "a/b/c", False), ("a/<*>", "a/b.c", False), ("a/<*>", "a/", True),
    ("a/<?>", "a/b", True), ("a/<?>", "a/.", False), ("a/<?>", "a/", False),
    ("<{http,https}>://h", "https://h", True), ("<{http,https}>://h", "httpss://h", False),
    ("h/<{,debug}{/,}>", "h/", True), ("h/<{,debug}{/,}>", "h/debug/", True), ("h/<{,debug}{/,}>", "h/debu", False),
    ("h/<{**.css,login**}>", "h/x/y.css", True), ("h/<{**.css,login**}>", "h/login/x", True), ("h/<{**.css,login**}>", "h/xcss", False),
    ("<[abc]>", "b", True), ("<[!abc]>", "b", False), ("<[!abc]>", "/", True), ("<[a-c]>", "b", True), ("<[!a-c]>", ".", True),
    ("<[ab-d]>", "-", True), ("<[ab-d]>", "c", False), ("<a,b>", "a,b", True), (r"<\*>", "*", True), (r"<\*>", "a", False),
    ("a.b<>", "axb", False), ("a+(b)<*>", "a+(b)c", True), ("<***>", "a/b.c", True), ("<{a,{b,c}d}>", "cd", True),
])
def test_meaning(glob, text, expected):
    assert matches(glob, text) is expected


@pytest.mark.parametrize(("glob", "told"), [
    ("<{a,b>", "not closed"), ("<[abc>", "not closed"), ("<[]>", "not closed or empty"), ("<[c-a]>", "backwards"), ("<[a-zA-Z]>", "one range"),
    ("<a\\>", "backslash"), ("a>", "without its <"), ("<a", "enclose"),
])
def test_errors(glob, told):
    with pytest.raises(ValueError, match=told):
        globs.to_regexp(glob, patterns.split)
