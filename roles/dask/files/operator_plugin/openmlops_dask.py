# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin of the Dask operator: a cluster whose scheduler has its service does not stay Pending.

The operator writes a cluster's phase in two handlers: Pending at the end of the one that makes the scheduler's service,
Running in the one that sees this service. On a busy machine the second is quicker, Pending stays for good, and clients
give up. See https://github.com/dask/dask-kubernetes/issues/968; decision 0079.
"""

import kopf
import kr8s
from dask_kubernetes.constants import SCHEDULER_NAME_TEMPLATE
from kr8s.asyncio.objects import Service


@kopf.on.resume("daskcluster.kubernetes.dask.org", field="status.phase", value="Pending")
@kopf.on.field("daskcluster.kubernetes.dask.org", field="status.phase", new="Pending")
async def pending_cluster_with_a_service_runs(name, namespace, patch, **_more):
    try:
        service = await Service.get(SCHEDULER_NAME_TEMPLATE.format(cluster_name=name), namespace=namespace)
    except kr8s.NotFoundError:
        return
    # The operator's own rule: a load balancer without an address is not reached yet.
    if service.spec.type == "LoadBalancer" and not service.status.get("loadBalancer", {}).get("ingress"):
        return
    patch.status["phase"] = "Running"
