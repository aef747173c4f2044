# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's way to a model, with weights and a mirror. Pure functions.

Oathkeeper decides about all models by the rule of the wide route (``<prefix>``), so a way needs no rule of its own.
"""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways.common import is_address
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import Revision, labels, service
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import Settings
from ansible_collections.openmlops.platform.plugins.module_utils.serving.state import State

KINDS = {
    "envoy_gateway": ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    "ambassador": ("getambassador.io/v3alpha1", "Mapping"),
    "istio": ("networking.istio.io/v1", "VirtualService"),
}


# A model's program is somebody's: it is not handed what those who ask it are logged in with.
HIDDEN = ("authorization", "cookie")


def path(model: str, namespace: str, settings: Settings) -> str:
    """Returns a model's path at the gateway, without a final slash."""
    return f"{settings.prefix}{namespace}/{model}"


def url(model: str, namespace: str, settings: Settings) -> str:
    """Returns a model's public address, with a final slash; empty without a gateway."""
    return "" if settings.gateway == "none" else f"{settings.public_url}{path(model, namespace, settings)}/"


def place(namespace: str, settings: Settings) -> str:
    """Returns the namespace of a model's route."""
    return settings.route_namespace or namespace


def routes(model: str, namespace: str, state: State, settings: Settings) -> list[Object]:
    """Returns the objects that lead to the revisions of a model."""
    if settings.gateway == "none" or state.stable is None:
        return []
    api_version, kind = KINDS[settings.gateway]
    home = place(namespace, settings)
    # In a namespace for all, the model's own must tell its route from another's; no name of either has a dot.
    base = f"model-{model}" if home == namespace else f"model-{namespace}.{model}"
    specs = {"envoy_gateway": _http_route, "ambassador": _mappings, "istio": _virtual_service}[settings.gateway](
        model, namespace, state, settings)
    return [{
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": f"{base}{mark}", "namespace": home, "labels": {**labels(model), "openmlops.io/model-namespace": namespace}},
        "spec": spec,
    } for mark, spec in specs.items()]


def _shares(state: State) -> list[tuple[Revision, int]]:
    """Returns the revisions that answer, with their percent."""
    found = [(state.stable, 100 - state.percent), (state.canary, state.percent)]
    return [(revision, weight) for revision, weight in found if revision]


def _http_route(model: str, namespace: str, state: State, settings: Settings) -> dict[str, Object]:
    def backend(revision: Revision) -> Object:
        name, port = service(model, revision)
        apart = place(namespace, settings) != namespace
        return {"group": "", "kind": "Service", "name": name, "port": port, **({"namespace": namespace} if apart else {})}

    filters: list[Object] = [
        {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": list(HIDDEN)}},
    ]
    if state.shadow:
        filters.append({"type": "RequestMirror", "requestMirror": {"backendRef": backend(state.shadow)}})
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path(model, namespace, settings)}}],
        "filters": filters,
        "backendRefs": [{**backend(revision), "weight": weight} for revision, weight in _shares(state)],
        "timeouts": {"request": f"{settings.request_seconds}s"},
    }
    parent = {
        "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": settings.gateway_name, "namespace": settings.gateway_namespace,
        # Nothing decides at the plain listener beside a TLS one: it only redirects.
        "sectionName": settings.listener or ("https" if settings.tls else "http"),
    }
    named = {} if is_address(settings.hostname) or not settings.hostname else {"hostnames": [settings.hostname]}
    return {"": {"parentRefs": [parent], **named, "rules": [rule]}}


def _mappings(model: str, namespace: str, state: State, settings: Settings) -> dict[str, Object]:
    """Returns Mappings: Emissary groups those of one host and prefix, and the one without weight gets what others leave."""
    def spec(revision: Revision, authority: str, **more: t.Any) -> Object:
        name, port = service(model, revision)
        return {
            "ambassador_id": [settings.ambassador_id],
            "hostname": authority,
            "prefix": f"{path(model, namespace, settings)}/",
            "rewrite": "/",
            "case_sensitive": True,
            "service": f"{name}.{namespace}:{port}",
            "timeout_ms": settings.request_seconds * 1000,
            "remove_request_headers": list(HIDDEN),
            **more,
        }

    found: dict[str, Object] = {}
    for mark, authority in _authorities(settings).items():
        if state.stable:
            found[mark] = spec(state.stable, authority)
        if state.canary:
            found[f"{mark}.canary"] = spec(state.canary, authority, weight=state.percent)
        if state.shadow:
            found[f"{mark}.shadow"] = spec(state.shadow, authority, shadow=True, weight=100)
    return found


def _authorities(settings: Settings) -> dict[str, str]:
    """Returns the ways to write the host in a request, by a mark for the Mapping's name."""
    host = settings.hostname or "*"
    standard = settings.public_port in (80, 443)
    return {"": host} if standard else {"": host, f".{settings.public_port}": f"{host}:{settings.public_port}"}


def _virtual_service(model: str, namespace: str, state: State, settings: Settings) -> dict[str, Object]:
    def destination(revision: Revision) -> Object:
        name, port = service(model, revision)
        return {"host": f"{name}.{namespace}.svc.cluster.local", "port": {"number": port}}

    route: Object = {
        "name": f"model-{namespace}-{model}",
        "match": [{"uri": {"prefix": f"{path(model, namespace, settings)}/"}}],
        "rewrite": {"uri": "/"},
        "headers": {"request": {"remove": list(HIDDEN)}},
        "route": [{"destination": destination(revision), "weight": weight} for revision, weight in _shares(state)],
        "timeout": f"{settings.request_seconds}s",
        # Without this a request is sent up to three times.
        "retries": {"attempts": 0},
    }
    if state.shadow:
        route |= {"mirror": destination(state.shadow), "mirrorPercentage": {"value": 100.0}}
    return {"": {
        "hosts": [settings.hostname or "*"], "gateways": [f"{settings.gateway_namespace}/{settings.gateway_name}"], "http": [route],
    }}
