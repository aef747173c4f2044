# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How findings are told."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.preflight import findings
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import error, note, ok, warning


def test_summary_counts_and_orders():
    found = findings.summary([ok("tools", "a"), warning("rights", "b", "c"), note("cluster", "d"), error("tools", "e", "f")])
    assert (found["errors"], found["warnings"], found["notes"]) == (1, 1, 1)
    assert [entry["cause"] for entry in found["findings"]] == ["d", "b", "e", "a"]


@pytest.mark.parametrize(
    ("found", "said"),
    [([ok("api", "x")], "preflight: nothing stands in the way"),
     ([warning("api", "x", "y")], "preflight: 1 warning; nothing stands in the way"),
     ([error("api", "x", "y"), error("dns", "x", "y"), warning("api", "x", "y")], "preflight: 2 errors, 1 warning")],
)
def test_verdict(found, said):
    assert findings.verdict(findings.summary(found)) == said


def test_table_has_cause_and_cure():
    document = {"cluster": {"server": "https://k", "version": "v1.35.4", "context": "c"},
                **findings.summary([error("rights", "may not\nat all", "ask\nsomebody"), ok("api", "fine")])}
    lines = findings.table(document).splitlines()
    assert lines[:2] == ["cluster    https://k  v1.35.4", "context    c"]
    assert lines[3:-2] == [
        "CHECK   RESULT  WHAT",
        "rights  ERROR   may not",
        "                at all",
        "                cure: ask",
        "                      somebody",
        "api     ok      fine",
    ]


def test_shortened():
    assert findings.shortened("cba", 2) == "a, b and 1 more" and findings.shortened(["b", "a"]) == "a, b"
