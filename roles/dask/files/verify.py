# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute on the standing cluster: proof that scheduler and workers work together, run as a Job inside the cluster.

Reads SCHEDULER, an address, and WORKERS, how many there must be. Prints one line of JSON at the end.
"""

import json
import os

import dask.array as da
from distributed import Client

with Client(os.environ["SCHEDULER"], timeout=60) as client:
    workers = int(os.environ["WORKERS"])
    if workers:  # a cluster that grows when it is used has none yet
        client.wait_for_workers(workers, timeout=240)
    # An error when scheduler, workers and this client have other versions of what they share.
    versions = client.get_versions(check=True)
    found = int(client.compute(da.arange(1_000_000, chunks=100_000).sum()).result(timeout=240))
    assert found == 499_999_500_000, found
    print(json.dumps({"workers": len(versions["workers"]), "sum": found, "distributed": versions["client"]["packages"]["distributed"]}))
