# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a status means for whoever watches it. Pure functions."""

from __future__ import annotations

import typing as t

OK, WARNING, PROBLEM = "ok", "warning", "problem"


def judge(document: dict[str, t.Any], days: int) -> tuple[str, list[str]]:
    """Returns the state of the whole platform, and why it is not ``ok``, a sentence for each reason.

    Args:
        document: the status, with ``cluster`` and ``components``.
        days: certificates that end earlier are a warning; those that have ended are a problem.
    """
    problems: list[str] = []
    warnings: list[str] = []
    if not document["cluster"]["reachable"]:
        problems.append(f"the cluster cannot be reached: {document['cluster']['reason']}")
    elif not document["components"]:
        problems.append("nothing is installed")
    for entry in document["components"]:
        if not entry["ready"]:
            problems.append(f"{entry['name']}: {entry['reason']}")
        warnings += [f"{entry['name']}: {text}" for text in entry.get("drift") or []]
        for certificate in entry.get("certificates") or []:
            label = f"{entry['name']}: certificate {certificate['namespace']}/{certificate['secret']}"
            if certificate["days_left"] < 0:
                problems.append(f"{label} has expired ({certificate['expires']})")
            elif certificate["days_left"] < days:
                warnings.append(f"{label} ends in {certificate['days_left']} days ({certificate['expires']})")
    return (PROBLEM if problems else WARNING if warnings else OK), problems + warnings
