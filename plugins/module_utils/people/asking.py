# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question to Kratos or Keto, through the API server's proxy."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Answer, Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError

# Seconds between attempts. After its database came back, a service still has connections from before, and fails once for each.
_PAUSES = (0.2, 1.0, 2.0, 4.0, 8.0)


def ask(cluster: Cluster, namespace: str, service: str, method: str, path: str, **more: t.Any) -> Answer:
    """Sends a request and returns the answer, whatever its status.

    What only reads is asked again for 15 seconds while the service has an error of its own or none of its pods is ready.

    Args:
        service: name of the Service; port 80.
        more: ``query``, ``body`` and ``headers`` of Cluster.proxy().
    """
    for pause in _PAUSES if method == "GET" else ():
        try:
            answer = cluster.proxy(namespace, service, 80, method, path, **more)
        except KubeError as error:
            if error.status != 503:
                raise
        else:
            if answer.status < 500:
                return answer
        time.sleep(pause)
    return cluster.proxy(namespace, service, 80, method, path, **more)
