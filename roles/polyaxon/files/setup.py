# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes projects through Polyaxon's API, and brings description and tags of those that are there to what is asked for.

Runs in the server's image with Python's own modules only. ADDRESS is where the server answers (http://host), PROJECTS a list in JSON
of mappings with name, and as needed description and tags. Its last line is the proof that `status` shows, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request

# The community edition has one owner.
OWNER = "default"
# How long the server may take to answer at all, in seconds: what leads to its new pod comes a moment after the pod.
PATIENCE = float(os.environ.get("PATIENCE", "120"))


def call(method: str, url: str, body: dict | None = None, seconds: float = 30) -> tuple[int, dict]:
    """Returns status and content of an answer; ends the program when there is none, or none in JSON."""
    request = urllib.request.Request(url, method=method, headers={"Content-Type": "application/json"},
                                     data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    except OSError as error:
        sys.exit(f"{method} {url}: no answer: {error}")
    try:
        return status, json.loads(text or b"{}")
    except ValueError:
        sys.exit(f"{method} {url}: {status}, not JSON: {text[:200]!r}")


def bring(api: str, wanted: dict) -> str:
    """Makes a project, or changes what differs; returns created, updated or unchanged. Ends the program when it is refused."""
    name = wanted["name"]
    status, found = call("GET", f"{api}/{OWNER}/{name}")
    if status == 404:
        status, found = call("POST", f"{api}/{OWNER}/projects/create", wanted)
        outcome = "created"
    else:
        differing = {key: value for key, value in wanted.items() if found.get(key) != value}
        if status == 200 and not differing:
            return "unchanged"
        if status == 200:
            status, found = call("PATCH", f"{api}/{OWNER}/{name}", differing)
        outcome = "updated"
    if status not in (200, 201):
        sys.exit(f"polyaxon_projects: {name} is refused: {status} {json.dumps(found)[:500]}")
    return outcome


def wait(url: str) -> None:
    """Returns when the server answers, whatever it says; ends the program when it does not in time."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"GET {url}: no answer for {PATIENCE:g} s: {error}")
            time.sleep(1)
        else:
            return


def main() -> None:
    """Makes all projects of PROJECTS."""
    api = os.environ["ADDRESS"] + "/api/v1"
    wait(f"{api}/installation")
    status, installation = call("GET", f"{api}/installation")
    if status != 200 or not installation.get("version"):
        sys.exit(f"{api}/installation: {status} {json.dumps(installation)[:200]}")
    outcomes = {wanted["name"]: bring(api, wanted) for wanted in json.loads(os.environ["PROJECTS"])}
    proof = {"server": installation["version"]}
    if outcomes:
        proof["projects"] = " ".join(f"{name} ({outcome})" for name, outcome in outcomes.items())
    print(json.dumps(proof))


if __name__ == "__main__":
    main()
