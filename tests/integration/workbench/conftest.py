# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What data scientists work with, on one cluster: notebooks, flows, Dask, Feast and models, and people who use them.

The folder's name puts these tests last, so that the others do not share the processors with all this.
"""

from __future__ import annotations

import json

import pytest

from ansible_collections.openmlops.platform.tests.integration.platform_client import gateway_of, secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA, CHOSEN, EVE
from ansible_collections.openmlops.platform.tests.integration.workbench.notebook_client import Person


@pytest.fixture(scope="package")
def variables(tmp_path_factory):
    """A file with the inventory's additions."""
    path = tmp_path_factory.mktemp("workbench") / "more.json"
    path.write_text(json.dumps({
        "platform_users": [{"email": ADA, "groups": ["lab"]}, {"email": EVE}],
        # Clusters of one's own are made by the API server.
        "dask_standing_enabled": True, "dask_worker_groups": [{"name": "worker", "replicas": 1}],
        "dask_worker_resources": {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    }))
    return path


@pytest.fixture(scope="package")
def gateway(cluster, variables, tmp_path_factory):
    """The gateway, with notebooks, flows, Dask and Feast behind it."""
    cluster.run("up", "-e", f"@{variables}", **CHOSEN).ok()
    return gateway_of(cluster, tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="package")
def login(cluster, gateway):
    """Logs people in: returns their browsers."""

    def make(email: str) -> Person:
        found = Person(gateway, email, secret(cluster, "ory", f"user-{email.replace('@', '-').replace('.', '-')}", "password"))
        found.log_in()
        return found

    return make


@pytest.fixture(scope="package")
def ada(login):
    """A member of the group lab, with a running server."""
    found = login(ADA)
    print(f"  a server after {found.start():.1f} s")
    return found


@pytest.fixture(scope="package")
def eve(login):
    """Somebody else, without a server."""
    found = login(EVE)
    found.open("/jupyter/hub/home")
    return found
