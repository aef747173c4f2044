# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that try to reach something, in the image that flows, notebooks and Dask share."""

from __future__ import annotations

import json
import uuid

# Prints which of PLACES answer; a network policy takes a moment to know a new pod.
_CONNECT = """
import json, socket, time
found = {}
for host, port in PLACES:
    end, found[host] = time.time() + 8, "closed"
    while found[host] == "closed" and time.time() < end:
        try:
            socket.create_connection((host + ".svc.cluster.local", port), 2).close()
            found[host] = "open"
        except OSError:
            time.sleep(0.5)
print(json.dumps(found))
"""


def image(cluster) -> str:
    """Returns the image that flows run in, unless they name another."""
    text = cluster.get("configmap", "-n", "prefect", "prefect-pool-default")["data"]["baseJobTemplate.json"]
    return json.loads(text)["variables"]["properties"]["image"]["default"]


def reached(cluster, namespace: str, places: dict[str, int]) -> dict[str, str]:
    """Returns what a pod of a namespace reaches: open or closed, by service and namespace.

    Args:
        places: port by ``service.namespace``.
    """
    return json.loads(cluster.kubectl(
        # A name of its own: a test that was killed leaves its pod behind.
        "run", f"reach-{uuid.uuid4().hex[:8]}", "-n", namespace, f"--image={image(cluster)}", "--image-pull-policy=IfNotPresent",
        "--restart=Never", "--rm", "-i", "--quiet", "--command", "--", "python", "-c", f"PLACES = {list(places.items())!r}\n{_CONNECT}",
    ).strip().splitlines()[-1])
