# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every URL has the rule of its service, and no other."""

from __future__ import annotations

import random
import re

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError


def service(name, prefix, **more):
    return {"name": name, "prefix": prefix, "service": name, "namespace": "x", "port": 80, "allow": "public", **more}


def make(services):
    return rules(services, "ml.example", "https://ml.example/login", "http://keto/check")


def matching(made, url, method="GET"):
    def compiled(pattern):
        parts = re.split(r"<(.*?)>", pattern)
        return "".join(f"({part})" if n % 2 else re.escape(part) for n, part in enumerate(parts))

    return [r["id"][8:] for r in made if method in r["match"]["methods"] and re.match(f"^{compiled(r['match']['url'])}$", url)]


CATALOGUE = [
    service("root", "/"), service("a", "/a/", methods=["GET"]), service("ab", "/a/b"), service("abc", "/a/b/c/"),
    service("other", "/", host="o.ml.example", allow="authenticated"), service("team", "/team/", allow=["team"], api=True),
]


@pytest.mark.parametrize(("url", "owner"), [
    ("http://ml.example", "root"), ("https://ml.example:8443/", "root"), ("https://ml.example/ax", "root"),
    ("https://ml.example/a", "a"), ("https://ml.example/a/", "a"), ("https://ml.example/a/bc", "a"),
    ("https://ml.example/a/b", "ab"), ("https://ml.example/a/b/x.css", "ab"), ("https://ml.example/a/b/c/d", "abc"),
    ("https://o.ml.example/a/b", "other"), ("https://ml.example/a/%20", "a"),
])
def test_one_rule_for_each_url(url, owner):
    assert matching(make(CATALOGUE), url) == [owner]


@pytest.mark.parametrize("url", [
    "https://evil.example/", "https://mlxexample/", "https://ml.example.evil/", "ftp://ml.example/", "https://ml.example:80x/",
    "https://ml.example/a/../team/", "https://ml.example//team", "https://ml.example/%74eam/", "https://ml.example/a/..%2fteam",
    "https://ml.example/a/%2e%2e/team", "https://ml.example/x/.", "https://ml.example/\\team", "https://ml.example/a/..;/team",
])
def test_no_rule_for_tricks_and_strangers(url):
    assert matching(make(CATALOGUE), url) == []


def test_a_method_not_listed_does_not_fall_to_the_parent():
    assert matching(make(CATALOGUE), "https://ml.example/a/x", "POST") == []


def test_order_of_input_does_not_matter():
    shuffled = random.Random(1).sample(CATALOGUE, len(CATALOGUE))
    assert make(shuffled) == make(CATALOGUE)


def test_handlers():
    made = {rule["id"][8:]: rule for rule in make(CATALOGUE)}
    assert [a["handler"] for a in made["other"]["authenticators"]] == ["cookie_session", "bearer_token"]
    assert [e["handler"] for e in made["other"]["errors"]] == ["redirect", "redirect"]
    assert [e["handler"] for e in made["team"]["errors"]] == ["json"]
    assert '"object":"team"' in made["team"]["authorizer"]["config"]["payload"]


def test_all_problems_at_once():
    with pytest.raises(AccessError) as error:
        make([service("a", "/x"), service("b", "/x/"), service("c", "/<.*>"), service("d", "/d", allow=[], prot=1)])
    text = str(error.value)
    assert "service 'b': prefix: service 'a' answers the same https://ml.example/x/" in text
    assert "service 'c': prefix" in text and "service 'd': allow" in text and "prot: unknown key" in text


def test_groups_need_the_address_of_the_check():
    with pytest.raises(AccessError, match="check_url"):
        rules([service("a", "/", allow=["g"])], "ml.example", "https://ml.example/login")


def test_what_was_wrong_with_the_rules_of_the_original():
    """Its ten rules: a redirect that was always https (D-16), without the way back; no HEAD, no OPTIONS, no tokens; an id twice;
    an ending in / that was needed (Oathkeeper 26.2 drops it)."""
    made = rules([service("mlflow", "/", allow="authenticated"), service("seldon", "/seldon/", allow="authenticated", api=True)],
                 "ml.example", "http://ml.example/auth/login")
    page = made[0]["errors"][0]["config"]
    assert page["to"] == "http://ml.example/auth/login" and page["return_to_query_param"] == "return_to"
    assert {"HEAD", "OPTIONS"} <= set(made[0]["match"]["methods"])
    assert [one["handler"] for one in made[0]["authenticators"]] == ["cookie_session", "bearer_token"]
    assert [one["handler"] for one in made[1]["errors"]] == ["json"]  # an API answers with an error, never with a page
    assert len({rule["id"] for rule in made}) == len(made)
    assert matching(made, "https://ml.example/seldon") == matching(made, "https://ml.example/seldon/") == ["seldon"]
