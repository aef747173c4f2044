# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfigs of GKE clusters: address and authority from Google's API, tokens from credential.py. No gcloud."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.gke import credential
from ansible_collections.openmlops.platform.plugins.module_utils.gke.credential import GoogleError

API = "https://container.googleapis.com"
# A cluster's address and authority rarely change; after a day they are asked for again.
_SECONDS = 86400.0
_NAME = re.compile(r"[a-z][a-z0-9:.-]*/[a-z0-9-]+/[a-z][a-z0-9-]*")


def ensure(name: str, key_file: str, folder: Path, endpoint: str = "public", api: str = API) -> Path:
    """Returns the kubeconfig of a cluster, written when it is not there or older than a day.

    Args:
        name: ``PROJECT/LOCATION/CLUSTER``.
        key_file: of a service account; empty: the surroundings' credentials.
        folder: where kubeconfigs are kept; readable by the user only.
        endpoint: ``public`` or ``private`` address, or ``dns`` name, of the control plane.
        api: address of Google's API for GKE.

    Raises:
        GoogleError: when the name is malformed, or Google does not answer as it should.
    """
    if not _NAME.fullmatch(name):
        raise GoogleError(f"'{name}' is not PROJECT/LOCATION/CLUSTER, such as my-project/europe-west1/ml")
    path = folder / f"{name.replace('/', '_')}.json"
    made_from = [name, key_file, endpoint, api, sys.executable, credential.__file__]
    if _fresh(path, made_from):
        return path
    found = _asked(name, key_file, api)
    marks = [{"name": "openmlops.io/made-from", "extension": made_from}]
    _write(path, {"extensions": marks, **kubeconfig(name, found, key_file, endpoint)})
    return path


def context(name: str) -> str:
    """Returns the name that the context of a cluster has, as gcloud would call it."""
    return f"gke_{name.replace('/', '_')}"


def kubeconfig(name: str, found: dict[str, t.Any], key_file: str, endpoint: str) -> dict[str, t.Any]:
    """Returns the kubeconfig for what Google's API says of a cluster."""
    cluster: dict[str, t.Any] = {}
    if endpoint == "dns":
        host = ((found.get("controlPlaneEndpointsConfig") or {}).get("dnsEndpointConfig") or {}).get("endpoint")
    else:
        host = (found.get("privateClusterConfig") or {}).get("privateEndpoint") if endpoint == "private" else found.get("endpoint")
        cluster["certificate-authority-data"] = (found.get("masterAuth") or {}).get("clusterCaCertificate")
    if not host:
        raise GoogleError(f"cluster {name} has no {endpoint} endpoint (its status is {found.get('status')}); "
                          "choose another one with endpoint=")
    label = context(name)
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "",
        "clusters": [{"name": label, "cluster": {"server": f"https://{host}", **cluster}}],
        "contexts": [{"name": label, "context": {"cluster": label, "user": label}}],
        "users": [{"name": label, "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable,
            "args": [credential.__file__, *([key_file] if key_file else [])],
            "interactiveMode": "Never", "provideClusterInfo": False,
        }}}],
    }


def _asked(name: str, key_file: str, api: str) -> dict[str, t.Any]:
    found = credential.credentials(key_file)
    project, location, cluster = name.split("/")
    session = credential.google.auth.transport.requests.AuthorizedSession(found)
    try:
        answer = session.get(f"{api}/v1/projects/{project}/locations/{location}/clusters/{cluster}", timeout=30)
        document = answer.json()
    except (OSError, ValueError, credential.google.auth.exceptions.GoogleAuthError) as error:
        raise GoogleError(f"No answer of {api} about cluster {name}: {type(error).__name__}") from None
    if answer.status_code != 200:
        said = str((document.get("error") or {}).get("message", ""))[:300]
        raise GoogleError(f"Google refuses to describe cluster {name} ({answer.status_code}): {said}. "
                          "The account needs the role Kubernetes Engine Viewer.")
    return document


def _fresh(path: Path, made_from: list[str]) -> bool:
    try:
        if time.time() - path.stat().st_mtime > _SECONDS:
            return False
        extensions = json.loads(path.read_text(encoding="utf-8")).get("extensions") or [{}]
    except (OSError, ValueError):
        return False
    return extensions[0].get("extension") == made_from


def _write(path: Path, document: dict[str, t.Any]) -> None:
    """Writes a file in one step: another process reads the old one or the new one, never half."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # for its owner only
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    os.replace(name, path)
