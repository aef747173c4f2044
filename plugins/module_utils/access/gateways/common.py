# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all gateways have in common: which headers pass the decision and which a client may not send. Pure data and functions."""

from __future__ import annotations

import ipaddress
import typing as t

# What Oathkeeper's decisions API sees besides method, host, path and Authorization. Never X-Forwarded-Host, -Uri or
# -Method: it would judge the request by them instead (api/decision.go).
TO_AUTHORISER = ("accept", "authorization", "cookie", "x-forwarded-proto")

# What a service may be told about the person: mutators header (identity: headers) and id_token (identity: id_token).
IDENTITY = ("x-user-email", "x-user-groups", "x-user-id")
FROM_AUTHORISER = ("authorization", *IDENTITY)

# What a refusal may carry to the client: the way to the login page, cookies, the reason.
TO_CLIENT = ("content-type", "location", "set-cookie", "www-authenticate")

# Removed from each request before anything reads it: they would change which request is judged, where it leads or whom
# it is by. X-Forwarded-Proto is not here: the gateway itself writes it.
FORBIDDEN = (
    "forwarded",
    "x-forwarded-host", "x-forwarded-method", "x-forwarded-path", "x-forwarded-port", "x-forwarded-prefix",
    "x-forwarded-scheme", "x-forwarded-server", "x-forwarded-ssl", "x-forwarded-uri", "x-forwarded-access-token",
    "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username", "x-forwarded-user",
    "x-host", "x-rewrite-url", "x-script-name",
    "x-http-method", "x-http-method-override", "x-method-override",
    "kubeflow-userid", "remote-user", "x-remote-user", "x-user", "x-webauth-user",
)
# The same for all headers that start so.
FORBIDDEN_PREFIXES = ("x-auth-request-", "x-original-", "x-user-")
# Removed too, unless a proxy before the gateway is trusted: then they are its word on the client's address.
CLIENT_ADDRESS = ("true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-forwarded-for", "x-real-ip")


def is_address(host: str) -> bool:
    """Tells whether a host is an IP address, for which TLS knows no server name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def namespaces(entries: list[dict[str, t.Any]]) -> list[str]:
    """Returns the namespaces of all services, sorted."""
    return sorted({entry["namespace"] for entry in entries})


def most_specific_first(entries: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Returns the entries by host, longer prefixes before shorter ones."""
    return sorted(entries, key=lambda entry: (entry["host"], -len(entry["prefix"]), entry["prefix"]))


# Of an entry, what concerns its way only; seconds.
_DEFAULTS = {"strip_prefix": False, "timeout": 300, "idle_timeout": 3600}


def routed(entries: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Returns the entries that lead somewhere. What nobody may enter needs no route: a prefix above it or nothing answers."""
    return [{**_DEFAULTS, **entry} for entry in entries if entry["allow"] != "nobody"]
