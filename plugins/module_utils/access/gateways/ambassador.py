# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissary's objects from the service catalogue. Pure functions.

Version: Emissary 4.1, getambassador.io/v3alpha1 only. All objects live in the gateway's namespace, the only one that Emissary
looks at (chart value scope.singleNamespace), and carry an ambassador_id of our own, so that no other Emissary takes them up.
"""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.access.gateways import common

Object = dict[str, t.Any]

GATEWAY = "platform"
# Ports of the pods; the chart's Service leads 80 and 443 to them.
HTTP_PORT, HTTPS_PORT = 8080, 8443
_API = "getambassador.io/v3alpha1"
# Envoy obeys some of these when the client's address is a private one (timeouts, retries). None is for clients to send.
_FORBIDDEN_PREFIXES = (*common.FORBIDDEN_PREFIXES, "x-envoy-")

# What a gateway role's plan may set in `gateway.options`, with the value that holds otherwise.
OPTIONS: dict[str, t.Any] = {
    "ambassador_id": "openmlops",
    # The load balancer sends the client's address in a PROXY protocol header. Without the header nobody gets through.
    "proxy_protocol": False,
    # Proxies before this one whose X-Forwarded-For and X-Forwarded-Proto are believed.
    "trusted_hops": 0,
    "tls_min_version": "1.2",
    # Seconds for a decision.
    "decision_timeout": 10,
    # Fields laid over the Module's config.
    "module": {},
    # Mappings of the user: each with a name and the fields of a Mapping's spec.
    "mappings": [],
}


def routes(entries: list[dict[str, t.Any]], settings: dict[str, t.Any]) -> list[Object]:
    """Returns the objects in the order to apply them in: what refuses comes before what opens.

    Args:
        entries: from services.normalise().
        settings: ``gateway_namespace``, ``tls_secret`` ("" for none), ``port`` of the platform's URL, ``oathkeeper``
            {namespace, service, port}, and ``options`` (OPTIONS names them).
    """
    options = {**OPTIONS, **(settings.get("options") or {})}
    found = [
        _authorisation(settings, options),
        _module(options),
        *_hosts(settings, options),
        *(mapping for entry in common.most_specific_first(common.routed(entries)) for mapping in _mappings(entry, settings)),
        *(_extra(mapping) for mapping in options["mappings"]),
        *_listeners(settings, options),
    ]
    for obj in found:
        obj["metadata"]["namespace"] = settings["gateway_namespace"]
        obj["spec"] = {"ambassador_id": [options["ambassador_id"]], **obj["spec"]}
    return found


def _object(kind: str, name: str, spec: dict[str, t.Any]) -> Object:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _authorisation(settings: dict[str, t.Any], options: dict[str, t.Any]) -> Object:
    """Returns the service that is asked about each request; one for all routes.

    Emissary always sends it Authorization, Cookie and X-Forwarded-Host besides; the last is removed before (_script). It has one
    list for what goes on to the service and what goes back to the client.
    """
    oathkeeper = settings["oathkeeper"]
    return _object("AuthService", GATEWAY, {
        "auth_service": f"{oathkeeper['service']}.{oathkeeper['namespace']}:{oathkeeper['port']}",
        "path_prefix": "/decisions",
        "proto": "http",
        "timeout_ms": options["decision_timeout"] * 1000,
        "allowed_request_headers": list(common.TO_AUTHORISER),
        "allowed_authorization_headers": sorted({*common.FROM_AUTHORISER, *common.TO_CLIENT}),
        "failure_mode_allow": False,
        "status_on_error": {"code": 503},
    })


def _script(options: dict[str, t.Any]) -> str:
    """Returns the Lua that runs before the decision and takes away what a client may not send.

    A script that fails lets the request pass, so it is plain. Envoy has appended the address that it saw to
    X-Forwarded-For by then; without trusted proxies that is the only one to keep.
    """
    believed = bool(options["trusted_hops"])
    exact = sorted({*common.FORBIDDEN, *(() if believed else common.CLIENT_ADDRESS)} - {"x-forwarded-for"})
    names = "\n".join(f'  ["{name}"] = true,' for name in exact)
    prefixes = ", ".join(f'"{prefix}"' for prefix in _FORBIDDEN_PREFIXES)
    address = "" if believed else """\
  local way = headers:get("x-forwarded-for")
  if way ~= nil then
    headers:replace("x-forwarded-for", string.match(way, "[^,%s]+%s*$") or "")
  end
"""
    return f"""\
local forbidden = {{
{names}
}}
local prefixes = {{{prefixes}}}
function envoy_on_request(handle)
  local headers = handle:headers()
  local found = {{}}
  for name, _ in pairs(headers) do
    local plain = string.lower(name)
    local bad = forbidden[plain] or false
    for _, prefix in ipairs(prefixes) do
      bad = bad or string.sub(plain, 1, string.len(prefix)) == prefix
    end
    if bad then
      table.insert(found, name)
    end
  end
  for _, name in ipairs(found) do
    headers:remove(name)
  end
{address}end
"""


def _module(options: dict[str, t.Any]) -> Object:
    """Returns the settings of Emissary itself. Its probes and its diagnostics are for the cluster only."""
    off = {"enabled": False}
    return _object("Module", "ambassador", {"config": {
        "diagnostics": off, "liveness_probe": off, "readiness_probe": off,
        "lua_scripts": _script(options),
        # Envoy resolves dot segments by itself. An escaped slash would be one to the service and none to the decision.
        "merge_slashes": True,
        "reject_requests_with_escaped_slashes": True,
        # To a service behind WSGI or CGI, X_User_Id is X-User-Id.
        "headers_with_underscores_action": "DROP_HEADER",
        "use_remote_address": True,
        **options["module"],
    }})


def _hosts(settings: dict[str, t.Any], options: dict[str, t.Any]) -> list[Object]:
    """Returns the way in for all names: the Mappings have the names, and one certificate holds them all.

    One Host for each name would break browsers, which use a connection for all names of its certificate. The second one keeps
    port 80 to redirects while the certificate is not there: Emissary would serve everything in the clear then.
    """
    if not settings.get("tls_secret"):
        return [_object("Host", GATEWAY, {"hostname": "*", "requestPolicy": {"insecure": {"action": "Route"}}})]
    redirect = {"hostname": "*", "requestPolicy": {"insecure": {"action": "Redirect"}}}
    tls = {"min_tls_version": f"v{options['tls_min_version']}", "alpn_protocols": "h2,http/1.1"}
    return [
        _object("Host", f"{GATEWAY}.redirect", redirect),
        _object("Host", GATEWAY, {**redirect, "tlsSecret": {"name": settings["tls_secret"]}, "tls": tls}),
    ]


def _listeners(settings: dict[str, t.Any], options: dict[str, t.Any]) -> list[Object]:
    ports = [("http", HTTP_PORT, [])] + ([("https", HTTPS_PORT, ["TLS"])] if settings.get("tls_secret") else [])
    proxy = ["PROXY"] if options["proxy_protocol"] else []
    return [_object("Listener", f"{GATEWAY}.{name}", {
        "port": port,
        "protocolStack": [*proxy, *layers, "HTTP", "TCP"],
        # By X-Forwarded-Proto, which Envoy writes itself unless a proxy before it is trusted.
        "securityModel": "XFP",
        "l7Depth": options["trusted_hops"],
        "hostBinding": {"namespace": {"from": "SELF"}},
    }) for name, port, layers in ports]


def _authorities(host: str, settings: dict[str, t.Any]) -> dict[str, str]:
    """Returns the ways to write a host in a request, by a mark for the Mapping's name."""
    port = settings.get("port") or 443
    return {"": host} if port in (80, 443) else {"": host, f".{port}": f"{host}:{port}"}


def _mappings(entry: dict[str, t.Any], settings: dict[str, t.Any]) -> list[Object]:
    """Returns the Mappings of an entry. Envoy's prefixes know no segments: /a/ and exactly /a are two.

    Emissary sorts them itself, longer prefixes first.
    """
    spec = {
        "service": f"{entry['service']}.{entry['namespace']}:{entry['port']}",
        "case_sensitive": True,
        "rewrite": "/" if entry["strip_prefix"] and entry["prefix"] else "",
        "timeout_ms": entry["timeout"] * 1000,
        "idle_timeout_ms": entry["idle_timeout"] * 1000,
        "allow_upgrade": ["websocket"],
    }
    paths = {"": {"prefix": f"{entry['prefix']}/"}}
    if entry["prefix"]:
        paths[".exact"] = {"prefix": entry["prefix"], "prefix_exact": True}
    return [
        _object("Mapping", f"{entry['name']}{port}{kind}", {"hostname": authority, **path, **spec})
        for port, authority in _authorities(entry["host"], settings).items() for kind, path in paths.items()
    ]


def _extra(mapping: dict[str, t.Any]) -> Object:
    """Returns a Mapping of the user; the dot keeps it apart from those of services."""
    return _object("Mapping", f"{mapping['name']}.extra", {key: value for key, value in mapping.items() if key != "name"})
