# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies around the cluster: names, clocks, programs on the controller, licences. Pure functions."""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.findings import (
    Finding, error, note, ok, shortened, warning,
)

# Seconds that clocks may differ. Tokens and new certificates fail beyond minutes, signatures of S3 beyond fifteen.
SKEW_WARNING, SKEW_ERROR = 10.0, 120.0
# A kubelet says every ten seconds that it lives.
_HEARTBEAT = 40.0

# Licences that ask for a decision of their own, by how their SPDX names begin: copyleft over a network, or not open source.
_STRICT = ("AGPL", "BUSL", "SSPL", "Elastic", "RSAL", "Proprietary")

# Packages of the controller with their least versions, as in requirements/collection.in and the README.
_LEAST = {"ansible-core": (2, 20), "kubernetes": (24, 2)}
LEAST_PYTHON = (3, 12)
LEAST_KUBERNETES_CORE = (6, 6)
# kubernetes.core 6.6 takes both.
HELM_VERSIONS = (3, 4)


def names(wanted: t.Iterable[str], resolved: dict[str, list[str]], gateway: list[str]) -> list[Finding]:
    """Returns whether host names lead to the gateway.

    Args:
        wanted: names and addresses under which browsers come.
        resolved: by name, the addresses that the controller's resolver knows; empty when it knows none.
        gateway: addresses (or names, resolved) of the gateway's load balancer, as far as there is one already.
    """
    told: list[Finding] = []
    good: list[str] = []
    for name in dict.fromkeys(wanted):
        if not name or name.startswith("*") or is_address(name):
            continue
        found = resolved.get(name) or []
        there = f"make a record for {name} that leads to {shortened(gateway)}" if gateway else \
            f"after the first run make a record for {name} that leads to the gateway's address (make status shows it)"
        if not found:
            told.append(warning("dns", f"{name} has no address here", there))
        elif gateway and not set(found) & set(gateway):
            told.append(warning("dns", f"{name} leads to {shortened(found)}, the gateway is at {shortened(gateway)}",
                                f"{there}; or, where something stands before the gateway, nothing"))
        else:
            good.append(name)
    if not told and not good:
        return [ok("dns", "no name is wanted; browsers come by address or not at all")]
    return told or [ok("dns", f"{shortened(good)} lead{'s' if len(good) == 1 else ''} to an address")]


def is_address(name: str) -> bool:
    """Tells whether a host is an IP address."""
    return bool(re.fullmatch(r"[0-9.]+", name)) or ":" in name


def clocks(here: datetime.datetime, server: datetime.datetime | None, beats: dict[str, datetime.datetime]) -> list[Finding]:
    """Returns how far clocks are apart.

    Args:
        here, server: the time now by the controller's and the API server's clock.
        beats: by node, when it last said that it lives, by its own clock.
    """
    if server is None:
        return [note("clock", "the API server does not say what time it is")]
    told = []
    skew = (here - server).total_seconds()
    if abs(skew) > SKEW_WARNING:
        tell = error if abs(skew) > SKEW_ERROR else warning
        told.append(tell("clock", f"the controller's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the API server's",
                         "let both keep time (NTP); tokens and new certificates are refused otherwise"))
    for node, beat in sorted(beats.items()):
        ahead = (beat - server).total_seconds()
        if ahead > SKEW_WARNING or ahead < -_HEARTBEAT - SKEW_WARNING:
            said = f"is {ahead:.0f} s ahead of the API server's" if ahead > 0 else f"is behind, or it has been silent for {-ahead:.0f} s"
            told.append(warning("clock", f"the clock of node {node} {said}", "let the node keep time (NTP), or see why it is silent"))
    return told or [ok("clock", f"controller, API server and {len(beats)} nodes agree within {SKEW_WARNING:.0f} s")]


def licences(components: dict[str, dict[str, t.Any]], accepted: t.Container[str]) -> list[Finding]:
    """Returns a finding for each licence that asks for a decision.

    Args:
        components: entries of platform.lock.yml of the components that are chosen.
        accepted: SPDX names that the inventory accepts.
    """
    found: dict[str, set[str]] = {}
    every: set[str] = set()
    for name, entry in components.items():
        parts = {str(entry.get("licence", "")), *(str(image.get("licence", "")) for image in (entry.get("images") or {}).values())}
        every |= parts - {""}
        for licence in parts:
            if licence.startswith(_STRICT):
                found.setdefault(licence, set()).add(name)
    told: list[Finding] = []
    for licence, users in sorted(found.items()):
        if licence in accepted:
            told.append(note("licences", f"{licence} of {shortened(users)} is accepted by platform_accepted_licences"))
        else:
            told.append(error("licences", f"{shortened(users)} is under {licence}",
                              f"read what it asks of you, then add {licence} to platform_accepted_licences; or leave the component out"))
    return told or [ok("licences", f"none asks for a decision: {shortened(every)}")]


def tools(
    python: tuple[int, ...], packages: dict[str, str], needed: list[str], core: str, helm: str | None, wants_helm: bool
) -> list[Finding]:
    """Returns whether the programs on the controller are new enough.

    Args:
        python: version of the interpreter.
        packages: by name, the version of an installed Python package.
        needed: names of packages that the plugins import.
        core: version of the collection kubernetes.core; empty when it is not there.
        helm: what ``helm version`` says, such as ``v4.3.1``; None when there is no Helm.
        wants_helm: whether there is something for Helm to do.
    """
    told = []
    if python[:2] < LEAST_PYTHON:
        told.append(error("tools", f"Python {_dotted(python)} is too old", f"run Ansible with Python {_dotted(LEAST_PYTHON)} or newer"))
    for name in needed:
        if name not in packages:
            told.append(error("tools", f"the Python package {name} is missing beside Ansible",
                              "pip install -r requirements/collection.in, into Ansible's own environment"))
    for name, least in _LEAST.items():
        if name in packages and _numbers(packages[name]) < least:
            told.append(error("tools", f"{name} {packages[name]} is too old", f"install {name} {_dotted(least)} or newer"))
    if _numbers(core) < LEAST_KUBERNETES_CORE:
        told.append(error("tools", f"the collection kubernetes.core is {core or 'missing'}",
                          "ansible-galaxy collection install -r collections/requirements.yml"))
    if wants_helm and helm is None:
        told.append(error("tools", "there is no program helm", "put Helm 3 or 4 on PATH, or set platform_helm_binary"))
    elif helm is not None and _numbers(helm)[:1] not in [(major,) for major in HELM_VERSIONS]:
        told.append(error("tools", f"Helm {helm} is not one that kubernetes.core drives", "use Helm 3 or 4"))
    had = [f"Python {_dotted(python)}", f"ansible-core {packages.get('ansible-core', '?')}", f"kubernetes.core {core}",
           *([f"Helm {helm}"] if helm else [])]
    return told or [ok("tools", ", ".join(had))]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])[:3])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def heartbeat(lease: Object) -> datetime.datetime | None:
    """Returns when the node of a lease last said that it lives."""
    text = (lease.get("spec") or {}).get("renewTime")
    return datetime.datetime.fromisoformat(text) if text else None
