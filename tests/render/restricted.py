# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restricted level of the Pod Security Standards, as far as a chart decides it."""
from __future__ import annotations

from typing import Any

# https://kubernetes.io/docs/concepts/security/pod-security-standards/
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: dict[str, Any]) -> list[str]:
    """What the admission controller would refuse in a pod's spec, one line each; empty when it would let it in."""
    found = [f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    for volume in pod.get("volumes", []):
        if not VOLUMES & volume.keys():
            found.append(f"volume {volume['name']} is of a kind that is not allowed")
    for container in pod["containers"] + pod.get("initContainers", []):
        problems = _container(pod.get("securityContext", {}), container)
        found += [f"{container['name']}: {problem}" for problem in problems]
    return found


def _container(pod: dict[str, Any], container: dict[str, Any]) -> list[str]:
    own = container.get("securityContext", {})
    both = {**pod, **own}
    found = []
    if own.get("privileged"):
        found.append("privileged")
    if own.get("allowPrivilegeEscalation") is not False:
        found.append("allowPrivilegeEscalation is not false")
    if own.get("capabilities", {}).get("drop") != ["ALL"]:
        found.append("capabilities.drop is not ALL")
    if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
        found.append("capabilities are added")
    if not both.get("runAsNonRoot") or both.get("runAsUser") == 0:
        found.append("may run as root")
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        found.append("no seccomp profile")
    if any("hostPort" in port for port in container.get("ports", [])):
        found.append("hostPort")
    return found
