# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the engine's tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from ansible_collections.openmlops.platform.plugins.module_utils.converge import apply, engine, lease, release, wait
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster, FakeHelm

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


class Clock:
    """Time that passes only while somebody sleeps. ``tick`` is called with each new time."""

    def __init__(self):
        self.now = 1000.0
        self.tick = lambda now: None

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.tick(self.now)


@pytest.fixture
def clock(monkeypatch):
    """Stands in for the clock, so that no test waits for real."""
    found = Clock()
    for module in (apply, engine, lease, release, wait):
        monkeypatch.setattr(module, "time", found)
    return found


@pytest.fixture
def cluster():
    return FakeCluster("openmlops", "ml")


@pytest.fixture
def helm(cluster):
    return FakeHelm(cluster)


@pytest.fixture
def told():
    """The lines of progress; its ``append`` is given to whoever says them."""
    return []
