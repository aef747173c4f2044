# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place without a network: the whole playbook in a network namespace that has nothing but loopback and the link to its node."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "airgap"
PLACE = "openmlops-test-airgap"


def inside(*command: str, timeout: float = 900, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the place."""
    return subprocess.run(
        [ROOT / "scripts" / "airgapped", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout,
        stdin=subprocess.DEVNULL, env={**os.environ, "AIRGAP": PLACE, "CLUSTER": NAME, "INVENTORY": "local", "COMPONENTS": "mlflow", "ARGS": "",
                                       "ANSIBLE_NOCOLOR": "1", **environment})


def playbook(verb: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a verb of the Makefile in the place."""
    return inside(str(ROOT / "scripts" / "playbook"), verb, **environment)


@pytest.fixture
def place(cluster):
    """The place, once the shared cluster has filled the caches; nothing of it is left."""
    del cluster
    yield
    playbook("down", DATA="delete")
    inside("--end")
    assert not Path("/run/netns", PLACE).exists()


@pytest.mark.slow
def test_make_up_without_a_network(place):
    # Nothing outside is there, not even a way to it.
    assert json.loads(inside("ip", "-json", "route", "show", "default").stdout) == []
    assert inside("getent", "hosts", "example.org").returncode != 0
    first = playbook("up")
    assert first.returncode == 0, first.stdout[-6000:] + first.stderr[-2000:]
    assert re.search(r"changed=[1-9]", first.stdout) and "Every decision is as the catalogue means it" in first.stdout
    second = playbook("up")
    assert second.returncode == 0 and "changed=0 " in second.stdout, second.stdout[-3000:]
    checked = playbook("up", ARGS="--check --diff")
    assert checked.returncode == 0 and "changed=0 " in checked.stdout, checked.stdout[-3000:]
    status = playbook("status", FAIL="problem")
    assert status.returncode == 0 and "mlflow" in status.stdout, status.stdout + status.stderr
    # The place has got a link to its node, and still no way out.
    links = {entry["ifname"] for entry in json.loads(inside("ip", "-json", "link").stdout)}
    assert len(links) == 2 and "lo" in links, links
    assert json.loads(inside("ip", "-json", "route", "show", "default").stdout) == []
