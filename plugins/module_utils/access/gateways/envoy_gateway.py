# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateway API objects and Envoy Gateway's policies from the service catalogue. Pure functions.

Versions: Gateway API 1.6 (standard channel), Envoy Gateway 1.9. All objects live in the gateway's namespace, so that
nobody who may only make objects in a service's namespace can open a way in; ReferenceGrants allow the way back. Routes of
models lie in the namespaces of models, and an admission policy keeps them below their prefix (role models).
"""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import common

Object = dict[str, t.Any]

GATEWAY = "platform"
# Objects beside those of the services; no service's name has a dot, so they cannot clash.
_DEFAULT = f"{GATEWAY}.default"
_REDIRECT = f"{GATEWAY}.https"
_GATEWAY_API = "gateway.networking.k8s.io"
_POLICIES = "gateway.envoyproxy.io"
# Seconds: idle time of a request where the catalogue says nothing else. One policy on the Gateway covers these routes.
IDLE_TIMEOUT = 3600
# Most names in one ReferenceGrant (maxItems of its definition).
_GRANTED = 16

# What a gateway role's plan may set in `gateway.options`, with the value that holds otherwise.
OPTIONS: dict[str, t.Any] = {
    "gateway_class": "openmlops",
    # The load balancer sends the client's address in a PROXY protocol header. Without the header nobody gets through.
    "proxy_protocol": False,
    # Proxies before this one whose X-Forwarded-For and X-Forwarded-Proto are believed.
    "trusted_hops": 0,
    "tls_min_version": "1.2",
    # Seconds for all headers of a request to arrive, and for a decision.
    "headers_timeout": 30,
    "decision_timeout": 10,
    # Fields laid over the spec of the ClientTrafficPolicy.
    "client_traffic": {},
}


def routes(entries: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> list[Object]:
    """Returns the objects in the order to apply them in: what refuses comes before what opens.

    Args:
        entries: from services.normalise().
        settings: ``gateway_namespace``, ``tls_secret`` ("" for none), ``port`` of the platform's URL, ``oathkeeper``
            {namespace, service, port}, and ``options`` (OPTIONS names them).
    """
    options = {**OPTIONS, **(settings.get("options") or {})}
    ways = common.most_specific_first(common.routed(entries))
    return [
        *_grants(ways, settings),
        _authorisation(settings, options),
        _client_traffic(settings, options),
        _idle_timeout(_DEFAULT, _target("Gateway", GATEWAY), IDLE_TIMEOUT, settings),
        *(_idle_timeout(entry["name"], _target("HTTPRoute", entry["name"]), entry["idle_timeout"], settings)
          for entry in ways if entry["idle_timeout"] != IDLE_TIMEOUT),
        _gateway(settings, options),
        *([_redirect(settings)] if settings.get("tls_secret") else []),
        *(_route(entry, settings) for entry in ways),
    ]


def _object(api: str, kind: str, name: str, namespace: str, spec: dict[str, t.Any]) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _target(kind: str, name: str, section: str = "") -> dict[str, str]:
    return {"group": _GATEWAY_API, "kind": kind, "name": name, **({"sectionName": section} if section else {})}


def _listener(settings: dict[str, t.Any]) -> str:
    """Returns the listener that carries the services."""
    return "https" if settings.get("tls_secret") else "http"


def _duration(seconds: int) -> str:
    """Returns seconds as the Gateway API writes them: at most five digits for each unit (GEP-2257)."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if count]
    return "".join(parts) or "0s"


def _gateway(settings: dict[str, t.Any], options: dict[str, t.Any]) -> Object:
    # No host names here: routes have them, and a listener without one also serves an address.
    own = {"namespaces": {"from": "Same"}, "kinds": [{"group": _GATEWAY_API, "kind": "HTTPRoute"}]}
    carrying = {**own, "namespaces": _namespaces(settings)}
    plain = own if settings.get("tls_secret") else carrying
    listeners: list[dict[str, t.Any]] = [{"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": plain}]
    if settings.get("tls_secret"):
        secret = {"group": "", "kind": "Secret", "name": settings["tls_secret"]}
        listeners.append({
            "name": "https", "protocol": "HTTPS", "port": 443, "allowedRoutes": carrying,
            "tls": {"mode": "Terminate", "certificateRefs": [secret]},
        })
    spec = {"gatewayClassName": options["gateway_class"], "listeners": listeners}
    return _object(f"{_GATEWAY_API}/v1", "Gateway", GATEWAY, settings["gateway_namespace"], spec)


def _namespaces(settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """Returns the namespaces whose routes are taken: the gateway's, and those in which people make ways themselves."""
    shared = settings.get("shared_namespaces") or []
    if not shared:
        return {"from": "Same"}
    names = sorted({settings["gateway_namespace"], *shared})
    wanted = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": names}
    return {"from": "Selector", "selector": {"matchExpressions": [wanted]}}


def _authorisation(settings: dict[str, t.Any], options: dict[str, t.Any]) -> Object:
    """Returns the policy that asks Oathkeeper about each request; one for all routes.

    With TLS it leaves out the plain listener, which only redirects: a session is not to be looked at in the clear, and
    an ACME authority must reach its answer. A policy on a route would replace this one, so there is none.
    """
    oathkeeper = settings["oathkeeper"]
    authoriser = {"group": "", "kind": "Service", "name": oathkeeper["service"],
                  "namespace": oathkeeper["namespace"], "port": oathkeeper["port"]}
    spec = {
        "targetRefs": [_target("Gateway", GATEWAY, "https" if settings.get("tls_secret") else "")],
        "extAuth": {
            "failOpen": False,
            "statusOnError": 503,
            "timeout": _duration(options["decision_timeout"]),
            "headersToExtAuth": list(common.TO_AUTHORISER),
            "http": {
                "backendRefs": [authoriser],
                "path": "/decisions",
                "headersToBackend": list(common.FROM_AUTHORISER),
            },
        },
    }
    return _object(f"{_POLICIES}/v1alpha1", "SecurityPolicy", GATEWAY, settings["gateway_namespace"], spec)


def _client_traffic(settings: dict[str, t.Any], options: dict[str, t.Any]) -> Object:
    """Returns the policy on what a client may send, applied before the decision."""
    spec: dict[str, t.Any] = {
        "targetRefs": [_target("Gateway", GATEWAY)],
        # Envoy resolves dot segments by itself. An escaped slash would be one to the service and none to the decision.
        "path": {"escapedSlashesAction": "RejectRequest", "disableMergeSlashes": False},
        "headers": {
            # To a service behind WSGI or CGI, X_User_Id is X-User-Id.
            "withUnderscoresAction": "DropHeader",
            "earlyRequestHeaders": {
                "remove": [*common.FORBIDDEN, *(() if options["trusted_hops"] else common.CLIENT_ADDRESS)],
                "removeOnMatch": [{"type": "Prefix", "value": prefix} for prefix in common.FORBIDDEN_PREFIXES],
            },
        },
        "timeout": {"http": {"requestHeadersReceivedTimeout": _duration(options["headers_timeout"])}},
        "http2": {"maxConcurrentStreams": 100, "initialStreamWindowSize": "1Mi", "initialConnectionWindowSize": "4Mi"},
    }
    if settings.get("tls_secret"):
        spec["tls"] = {"minVersion": options["tls_min_version"], "alpnProtocols": ["h2", "http/1.1"]}
    if options["trusted_hops"]:
        spec["clientIPDetection"] = {"xForwardedFor": {"numTrustedHops": options["trusted_hops"]}}
    if options["proxy_protocol"]:
        spec["proxyProtocol"] = {"optional": False}
    spec.update(options["client_traffic"])
    return _object(f"{_POLICIES}/v1alpha1", "ClientTrafficPolicy", GATEWAY, settings["gateway_namespace"], spec)


def _idle_timeout(name: str, target: dict[str, str], seconds: int, settings: dict[str, t.Any]) -> Object:
    spec = {"targetRefs": [target], "timeout": {"http": {"streamIdleTimeout": _duration(seconds)}}}
    return _object(f"{_POLICIES}/v1alpha1", "BackendTrafficPolicy", name, settings["gateway_namespace"], spec)


def _grants(entries: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> list[Object]:
    """Returns the permission, in each service's namespace, to lead there: for these Services only."""
    home, oathkeeper = settings["gateway_namespace"], settings["oathkeeper"]
    found = []
    for namespace in common.namespaces(entries):
        names = sorted({entry["service"] for entry in entries if entry["namespace"] == namespace})
        for start in range(0, len(names), _GRANTED):
            number = f"-{start // _GRANTED + 1}" if start else ""
            found.append(_grant(f"{GATEWAY}-routes{number}", namespace, _GATEWAY_API, "HTTPRoute",
                                names[start:start + _GRANTED], home))
    found.append(_grant(f"{GATEWAY}-authorisation", oathkeeper["namespace"], _POLICIES, "SecurityPolicy",
                        [oathkeeper["service"]], home))
    return [grant for grant in found if grant["metadata"]["namespace"] != home]


def _grant(name: str, namespace: str, group: str, kind: str, services: list[str], home: str) -> Object:
    spec = {
        "from": [{"group": group, "kind": kind, "namespace": home}],
        "to": [{"group": "", "kind": "Service", "name": service} for service in services],
    }
    # v1beta1: the stored version, and the only one before Gateway API 1.5.
    return _object(f"{_GATEWAY_API}/v1beta1", "ReferenceGrant", name, namespace, spec)


def _parent(listener: str) -> dict[str, str]:
    return {"group": _GATEWAY_API, "kind": "Gateway", "name": GATEWAY, "sectionName": listener}


def _redirect(settings: dict[str, t.Any]) -> Object:
    to = {"scheme": "https", "port": settings.get("port") or 443, "statusCode": 301}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "filters": [{"type": "RequestRedirect", "requestRedirect": to}],
    }
    spec = {"parentRefs": [_parent("http")], "rules": [rule]}
    return _object(f"{_GATEWAY_API}/v1", "HTTPRoute", _REDIRECT, settings["gateway_namespace"], spec)


def _route(entry: dict[str, t.Any], settings: dict[str, t.Any]) -> Object:
    backend = {"group": "", "kind": "Service", "name": entry["service"], "namespace": entry["namespace"],
               "port": entry["port"], "weight": 1}
    rule: dict[str, t.Any] = {
        "matches": [{"path": {"type": "PathPrefix", "value": entry["prefix"] or "/"}}],
        "backendRefs": [backend],
        "timeouts": {"request": _duration(entry["timeout"])},
    }
    if entry["strip_prefix"] and entry["prefix"]:
        shorter = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": {"path": shorter}}]
    spec: dict[str, t.Any] = {"parentRefs": [_parent(_listener(settings))], "rules": [rule]}
    # Neither TLS nor the Gateway API knows addresses as names: the decision looks at the Host header there.
    if not common.is_address(entry["host"]):
        spec["hostnames"] = [entry["host"]]
    return _object(f"{_GATEWAY_API}/v1", "HTTPRoute", entry["name"], settings["gateway_namespace"], spec)
