# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The landing page's list."""

from __future__ import annotations

import json
import os

import pytest
from portal import landing
from portal.catalogue import Catalogue, address


def entry(name, **more):
    return {"name": name, "title": name.capitalize(), "description": "", "section": "", "host": "ml.example.org", "prefix": f"/{name}",
            "allow": "authenticated", "landing": True, **more}


def test_only_what_has_a_place_on_the_page():
    given = [entry("a"), entry("b", landing=False), entry("c", allow="nobody"), entry("d", allow=["g"])]
    assert [each["name"] for each in landing.candidates(given)] == ["a", "d"]
    assert [landing.needs_check(each) for each in landing.candidates(given)] == [False, True]


@pytest.mark.parametrize(("title", "letters"), [
    ("MLflow", "ML"), ("JupyterHub", "JH"), ("Prefect", "P"), ("Cluster metrics", "CM"), ("dask", "D"), ("", "?"), ("2 fast", "2F")])
def test_monograms(title, letters):
    assert landing.monogram(title) == letters


def test_few_services_stand_together_sorted_by_title():
    (only,) = landing.sections([entry("b", section="X"), entry("a", section="Y")], lambda each: each["prefix"])
    assert only[0] == "" and [card["url"] for card in only[1]] == ["/a", "/b"]


def test_many_services_have_headings():
    given = [entry(letter, section={"a": "Run", "b": "Develop"}.get(letter, "")) for letter in "abcdefg"]
    assert [name for name, _cards in landing.sections(given, lambda each: "")] == ["Develop", "Run", ""]


@pytest.mark.parametrize(("url", "more", "expected"), [
    ("https://ml.example.org", {}, "https://ml.example.org/a/"),
    ("https://ml.example.org:8443", {"host": "a.example.org", "prefix": ""}, "https://a.example.org:8443/"),
    ("http://10.201.0.2", {"host": "10.201.0.2"}, "http://10.201.0.2/a/"),
])
def test_addresses(url, more, expected):
    assert address(url, entry("a", **more)) == expected


def test_the_file_is_read_again_when_it_changes(tmp_path):
    """As the kubelet changes it: a link that is exchanged."""
    for number, names in enumerate((["a"], ["a", "b"])):
        (tmp_path / f"v{number}").write_text(json.dumps({"url": "https://ml.example.org", "services": list(map(entry, names))}))
    link = tmp_path / "catalogue.json"
    link.symlink_to("v0")
    found = Catalogue(str(link))
    assert [each["name"] for each in found.services()] == ["a"]
    (tmp_path / "next").symlink_to("v1")
    os.replace(tmp_path / "next", link)
    assert [each["name"] for each in found.services()] == ["a", "b"]
    assert found.title("b") == "B" and found.title("<b>") == ""


def test_a_broken_file_leaves_what_was_known(tmp_path):
    path = tmp_path / "catalogue.json"
    assert Catalogue(str(path)).services() == []
    path.write_text(json.dumps({"url": "https://ml.example.org", "services": [entry("a", host="a.example.org")]}))
    found = Catalogue(str(path))
    assert found.origins() == ["https://a.example.org"]
    path.write_text("{")
    assert [each["name"] for each in found.services()] == ["a"]
