# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/airgapped, with stand-ins for the programs that change the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
IP = """#!/bin/sh
echo "ip $*" >> "$LOG"
case "$*" in
  *-6*show*) printf '%s' "$ROUTE6" ;;
  *show*) printf '%s' "$ROUTE4" ;;
esac
"""
NSENTER = """#!/bin/sh
echo "nsenter $*" >> "$LOG"
"""


@pytest.fixture
def run(tmp_path):
    """Returns a function that runs the script as root; code, errors and what the stand-ins noted."""
    for name, text in {"ip": IP, "nsenter": NSENTER, "id": "#!/bin/sh\necho ${USER_ID:-0}\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def go(*arguments, **environment):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        done = subprocess.run([ROOT / "scripts/airgapped", *arguments], capture_output=True, text=True, check=False, env={
            "PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(log), "ROUTE4": "", "ROUTE6": "", "AIRGAP": "of-a-unit-test", **environment})
        return done.returncode, done.stderr, log.read_text().splitlines() if log.exists() else []

    return go


def test_a_command_runs_in_a_place_with_loopback_only(run):
    code, errors, log = run("make", "up", ROUTE6="unreachable default dev lo metric 4294967295 error -101")
    assert code == 0, errors
    assert log[:2] == ["ip netns add of-a-unit-test", "ip -n of-a-unit-test link set lo up"]
    assert log[-1] == "nsenter --net=/run/netns/of-a-unit-test -- make up"


@pytest.mark.parametrize("route", ["ROUTE4", "ROUTE6"])
def test_a_place_with_a_way_out_is_refused(run, route):
    code, errors, log = run("make", "up", **{route: "default via fe80::1 dev eth0"})
    assert code == 2 and "has a way out" in errors and not any(line.startswith("nsenter") for line in log)


@pytest.mark.parametrize(("arguments", "environment", "message"), [
    ([], {}, "usage: scripts/airgapped COMMAND"), (["true"], {"AIRGAP": "../x"}, "a name has lower-case letters"),
    (["true"], {"USER_ID": "7"}, "run as root")])
def test_nonsense(run, arguments, environment, message):
    code, errors, log = run(*arguments, **environment)
    assert code == 2 and message in errors and log == []


def test_the_end_of_a_place_that_is_not_there(run):
    assert run("--end") == (0, "", [])
