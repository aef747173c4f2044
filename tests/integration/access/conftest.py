# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests of the way in share: services that a user added, people, and the gateway.

All is added by one run before the first test, and taken away by one after the last.
"""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.openmlops.platform.tests.integration.access.echo import SPACE, USERS, manifest, services
from ansible_collections.openmlops.platform.tests.integration.platform_client import gateway_of, secret


@pytest.fixture(scope="package")
def variables(tmp_path_factory):
    """A file with the inventory's additions: services and people."""
    path = tmp_path_factory.mktemp("access") / "more.json"
    path.write_text(json.dumps({
        "platform_services": services(),
        "platform_users": [{"email": email, "groups": groups} for email, groups in USERS.values()],
    }))
    return path


@pytest.fixture(scope="package")
def gateway(cluster, variables, tmp_path_factory):
    """The gateway, once a user added services and people; both are taken away again where the cluster outlives the tests."""
    image = cluster.get("deployment", "-n", "mlflow", "mlflow")["spec"]["template"]["spec"]["containers"][0]["image"]
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifest(image)}))
    cluster.kubectl("rollout", "status", "-n", SPACE, "deployment/echo", "--timeout=90s")
    assert cluster.run("up", "-e", f"@{variables}").ok().changed > 0
    yield gateway_of(cluster, tmp_path_factory.mktemp("gateway"))
    if os.environ.get("OPENMLOPS_KEEP_CLUSTER"):
        cluster.run("up").ok()
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


@pytest.fixture(scope="package")
def passwords(cluster, gateway):
    """The first password of each person."""
    return {who: secret(cluster, "ory", f"user-{email.replace('@', '-').replace('.', '-')}", "password") for who, (email, _groups) in USERS.items()}


@pytest.fixture(scope="package")
def tokens(gateway, passwords):
    """A session token of each person."""
    return {who: gateway.login(USERS[who][0], password) for who, password in passwords.items()}
