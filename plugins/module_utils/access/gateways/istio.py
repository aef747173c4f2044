# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects for Istio's ingress gateway from the service catalogue. Pure functions.

Version: Istio 1.30. The decision is an AuthorizationPolicy with the action CUSTOM, whose provider stands in the mesh's
configuration (role istio); Istio refuses everything when the provider is missing. What a client may send is closed by an
EnvoyFilter: no other object of Istio works before the decision.
"""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import common

Object = dict[str, t.Any]

GATEWAY = "platform"
PROVIDER = "openmlops-oathkeeper"
# Ports of the gateway's pods; the chart's Service leads its 80 and 443 to the same.
HTTP_PORT, HTTPS_PORT = 80, 443
# Seconds: idle time of a request where the catalogue says nothing else.
IDLE_TIMEOUT = 3600
_NETWORKING, _SECURITY = "networking.istio.io", "security.istio.io"
_ENVOY = "type.googleapis.com/envoy.extensions"
_MANAGER = "envoy.filters.network.http_connection_manager"
# Envoy obeys some of these when the client's address is a private one (timeouts, retries). None is for clients to send.
_FORBIDDEN_PREFIXES = (*common.FORBIDDEN_PREFIXES, "x-envoy-")

# What a gateway role's plan may set in `gateway.options`, with the value that holds otherwise.
OPTIONS: dict[str, t.Any] = {
    # Proxies before this one whose X-Forwarded-For and X-Forwarded-Proto are believed.
    "trusted_hops": 0,
    "tls_min_version": "1.2",
    # Seconds for all headers of a request to arrive.
    "headers_timeout": 30,
}


def routes(entries: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> list[Object]:
    """Returns the objects in the order to apply them in: what refuses comes before what opens.

    Args:
        entries: from services.normalise().
        settings: ``gateway_namespace``, ``proxy_labels`` of the gateway's pods, ``tls_secret`` ("" for none), and ``options``
            (OPTIONS names them).
    """
    options = {**OPTIONS, **(settings.get("options") or {})}
    ways = common.most_specific_first(common.routed(entries))
    hosts = dict.fromkeys(entry["host"] for entry in ways)
    found = [
        _authorisation(settings),
        _hardening(ways, settings, options),
        *(_virtual_service(host, [entry for entry in ways if entry["host"] == host], settings) for host in hosts),
        _gateway(settings, options),
    ]
    for obj in found:
        obj["metadata"]["namespace"] = settings["gateway_namespace"]
    return found


def _object(api: str, kind: str, name: str, spec: dict[str, t.Any]) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _authorisation(settings: dict[str, t.Any]) -> Object:
    """Returns the policy that asks Oathkeeper about each request; one for all routes.

    With TLS it leaves out the plain port, which only redirects: a session is not to be looked at in the clear.
    """
    everything: dict[str, t.Any] = {}
    if settings.get("tls_secret"):
        everything = {"to": [{"operation": {"notPorts": [str(HTTP_PORT)]}}]}
    return _object(f"{_SECURITY}/v1", "AuthorizationPolicy", GATEWAY, {
        "selector": {"matchLabels": settings["proxy_labels"]},
        "action": "CUSTOM",
        "provider": {"name": PROVIDER},
        "rules": [everything],
    })


def connection_manager(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """Returns what is merged into Envoy's HTTP connection manager: what a client may send, before anything reads it."""
    remove = [*common.FORBIDDEN, *(() if options["trusted_hops"] else common.CLIENT_ADDRESS)]
    mutations = [{"remove": name} for name in remove]
    mutations += [{"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in _FORBIDDEN_PREFIXES]
    return {
        "@type": f"{_ENVOY}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "normalize_path": True,
        "merge_slashes": True,
        # An escaped slash would be one to the service and none to the decision.
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        # To a service behind WSGI or CGI, X_User_Id is X-User-Id.
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
        "request_headers_timeout": f"{options['headers_timeout']}s",
        "stream_idle_timeout": f"{IDLE_TIMEOUT}s",
        "early_header_mutation_extensions": [{
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": {
                "@type": f"{_ENVOY}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                "mutations": mutations,
            },
        }],
    }


def _hardening(entries: list[dict[str, t.Any]], settings: dict[str, t.Any], options: dict[str, t.Any]) -> Object:
    manager = {
        "applyTo": "NETWORK_FILTER",
        "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {"name": _MANAGER}}}},
        "patch": {"operation": "MERGE", "value": {"typed_config": connection_manager(options)}},
    }
    # A VirtualService has no idle timeout of its own.
    idle = [{
        "applyTo": "HTTP_ROUTE",
        "match": {"context": "GATEWAY", "routeConfiguration": {"vhost": {"route": {"name": entry["name"]}}}},
        "patch": {"operation": "MERGE", "value": {"route": {"idle_timeout": f"{entry['idle_timeout']}s"}}},
    } for entry in entries if entry["idle_timeout"] != IDLE_TIMEOUT]
    return _object(f"{_NETWORKING}/v1alpha3", "EnvoyFilter", GATEWAY, {
        "workloadSelector": {"labels": settings["proxy_labels"]}, "configPatches": [manager, *idle],
    })


def _virtual_service(host: str, entries: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> Object:
    """Returns the routes of a host, longer prefixes first: over several VirtualServices their order would be open.

    Istio itself puts what matches everything last. Below a shared prefix people have VirtualServices of their own, so the
    service there is reached at the prefix alone.
    """
    shared = settings.get("shared_prefixes") or []
    return _object(f"{_NETWORKING}/v1", "VirtualService", host, {
        "hosts": [host], "gateways": [GATEWAY], "exportTo": ["."],
        "http": [_route(entry, entry["prefix"] in shared) for entry in entries],
    })


def _route(entry: dict[str, t.Any], alone: bool = False) -> dict[str, t.Any]:
    # Istio's prefixes know no segments: /a/ and exactly /a are two.
    paths = [{"uri": {"exact" if alone else "prefix": f"{entry['prefix']}/"}}]
    if entry["prefix"]:
        paths.append({"uri": {"exact": entry["prefix"]}})
    service = f"{entry['service']}.{entry['namespace']}.svc.cluster.local"
    return {
        "name": entry["name"],
        "match": paths,
        **({"rewrite": {"uri": "/"}} if entry["strip_prefix"] and entry["prefix"] else {}),
        "route": [{"destination": {"host": service, "port": {"number": entry["port"]}}}],
        # None is the default; 0s is refused.
        **({"timeout": f"{entry['timeout']}s"} if entry["timeout"] else {}),
        # Without this a request is sent up to three times.
        "retries": {"attempts": 0},
    }


def _gateway(settings: dict[str, t.Any], options: dict[str, t.Any]) -> Object:
    # Only VirtualServices of this namespace may attach, which have the names, and those of models.
    hosts = ["./*", *(f"{space}/*" for space in settings.get("shared_namespaces") or [])]
    plain: dict[str, t.Any] = {"port": {"number": HTTP_PORT, "name": "http", "protocol": "HTTP"}, "hosts": hosts}
    servers = [plain]
    if settings.get("tls_secret"):
        plain["tls"] = {"httpsRedirect": True}
        servers.append({
            "port": {"number": HTTPS_PORT, "name": "https", "protocol": "HTTPS"},
            "hosts": hosts,
            "tls": {
                "mode": "SIMPLE",
                "credentialName": settings["tls_secret"],
                "minProtocolVersion": f"TLSV{options['tls_min_version'].replace('.', '_')}",
            },
        })
    return _object(f"{_NETWORKING}/v1", "Gateway", GATEWAY, {"selector": settings["proxy_labels"], "servers": servers})
