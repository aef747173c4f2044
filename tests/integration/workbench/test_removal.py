# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of it is taken away again, with its data; after every other test."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import CHOSEN

GONE = ("jupyterhub", "prefect", "dask", "feast", "kserve", "models")

pytestmark = pytest.mark.slow


def test_a_purge_leaves_nothing(cluster, gateway):
    cluster.run("up", *(word for name in GONE for word in ("-e", f"{name}_state=absent", "-e", f"{name}_purge=true")), **CHOSEN).ok()
    # Their databases and buckets are other components', and stay with the Secrets that lead there.
    left = [f"{item['kind']} {space}/{item['metadata']['name']}" for space in (*GONE, "flows")
            for item in cluster.get("pods,deployments,services,persistentvolumeclaims,configmaps", "-n", space)["items"]
            if item["metadata"]["name"] != "kube-root-ca.crt" and not item["metadata"].get("deletionTimestamp")]
    assert left == []
