# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One variable chooses the gateway; here its renderer is found. Pure functions."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import ambassador, envoy_gateway, istio
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError

Renderer = t.Callable[[list[dict[str, t.Any]], dict[str, t.Any]], list[dict[str, t.Any]]]

# platform_gateway -> a function of normalised entries and settings that returns objects, in the order to apply them in.
RENDERERS: dict[str, Renderer] = {
    "ambassador": ambassador.routes,
    "envoy_gateway": envoy_gateway.routes,
    "istio": istio.routes,
}


def objects(entries: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> dict[str, list[dict[str, t.Any]]]:
    """Returns the gateway's objects by phase of the plan: {"routes": [...]}.

    ``entries`` come from services.normalise(). ``settings["gateway"]`` is a key of RENDERERS or "none", which gives no
    object. Without ``gateway_namespace`` there is none either: the gateway itself is not installed, or no longer.
    Raises AccessError for any other gateway.
    """
    gateway = settings.get("gateway") or "none"
    if gateway == "none":
        return {"routes": []}
    if gateway not in RENDERERS:
        raise AccessError(f"no gateway '{gateway}'; platform_gateway is one of none, {', '.join(sorted(RENDERERS))}")
    if not settings.get("gateway_namespace"):
        return {"routes": []}
    return {"routes": RENDERERS[gateway](entries, settings)}
