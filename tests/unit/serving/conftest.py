# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of deployed models."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from ansible_collections.openmlops.platform.plugins.module_utils.converge import apply
from ansible_collections.openmlops.platform.plugins.module_utils.serving import deploying
from ansible_collections.openmlops.platform.plugins.module_utils.serving.deploying import Deployer
from ansible_collections.openmlops.platform.plugins.module_utils.serving.request import request
from ansible_collections.openmlops.platform.tests.unit.converge.conftest import Clock
from ansible_collections.openmlops.platform.tests.unit.serving.world import FakeReach, World, settings

hypothesis_settings.register_profile("patient", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")


@pytest.fixture
def clock(monkeypatch):
    """Stands in for the clock, so that no test waits for real."""
    found = Clock()
    for module in (apply, deploying):
        monkeypatch.setattr(module, "time", found)
    return found


@pytest.fixture
def world(clock):
    return World()


@pytest.fixture
def reach(world):
    return FakeReach(world)


@pytest.fixture
def told():
    return []


@pytest.fixture
def deploy(world, reach, told):
    """Does one call, by its options; ``platform`` changes the platform's settings."""

    def call(check=False, platform=None, **args):
        chosen = settings(**(platform or {}))
        return Deployer(world, chosen, reach, told.append, check).run(request({"name": "wine", **args}, chosen))

    return call
