# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that the tests of the way in add: one program at several places, as the parts of a real application are."""

from __future__ import annotations

from pathlib import Path

SPACE = "echo"
USERS = {"user": ("user@example.org", []), "member": ("member@example.org", ["team"])}
# place -> allow
PLACES = {"/open": "public", "/open/inner": "authenticated", "/private": "authenticated", "/team": ["team"], "/closed": "nobody",
          "/short": "public"}


def manifest(image: str) -> list[dict]:
    """Returns the objects of a service that answers with what it saw."""
    labels = {"app": "echo"}
    source = (Path(__file__).parents[1] / "files" / "echo.py").read_text(encoding="utf-8")
    container = {
        "name": "echo", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["python3", "/work/echo.py"],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "work", "configMap": {"name": "echo"}}], "terminationGracePeriodSeconds": 1}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "echo", "namespace": SPACE}, "data": {"echo.py": source}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo", "namespace": SPACE},
         "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "echo", "namespace": SPACE},
         "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}},
    ]


def services() -> list[dict]:
    """Returns the catalogue entries."""
    return [
        {"name": "echo" + place.replace("/", "-"), "prefix": place + "/", "service": "echo", "namespace": SPACE, "port": 80,
         "target_port": 8080, "selector": {"app": "echo"}, "allow": allow, "websocket": True, "api": place == "/team",
         "identity": "none" if allow in ("public", "nobody") else "headers",
         **({"strip_prefix": True, "timeout": 2} if place == "/short" else {})}
        for place, allow in PLACES.items()
    ]


def reached(answer) -> bool:
    """Tells whether an answer is the service's."""
    return answer.headers.get("X-Reached") == "echo"
