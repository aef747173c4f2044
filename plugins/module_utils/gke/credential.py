# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints a token for GKE as an ExecCredential: what a kubeconfig of the lookup gke_kubeconfig runs, again whenever a token ends.

Run as a program of its own, ``python credential.py [KEY_FILE]``, so it imports nothing of this collection. Without a key file,
the surroundings say who one is: workload identity, a service account of the machine, or GOOGLE_APPLICATION_CREDENTIALS.
"""

from __future__ import annotations

import json
import sys
import typing as t

try:
    import google.auth
    import google.auth.exceptions
    import google.auth.transport.requests
    from google.oauth2 import service_account

    IMPORT_ERROR: str | None = None
except ImportError as error:
    IMPORT_ERROR = str(error)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleError(Exception):
    """There are no credentials, or Google refuses them; the message says which, and the cure."""


def credentials(key_file: str = "") -> t.Any:
    """Returns fresh credentials.

    Args:
        key_file: path of a service account's key in JSON; empty: what the surroundings offer.

    Raises:
        GoogleError: without the library, without credentials, or when they are refused.
    """
    if IMPORT_ERROR is not None:
        raise GoogleError("The Python package google-auth with requests is needed beside Ansible: pip install 'google-auth[requests]' "
                          f"({IMPORT_ERROR})")
    try:
        if key_file:
            found = service_account.Credentials.from_service_account_file(key_file, scopes=[SCOPE])
        else:
            found, _project = google.auth.default(scopes=[SCOPE])
        found.refresh(google.auth.transport.requests.Request())
    except (OSError, ValueError) as error:
        name = key_file or "The default credentials"
        raise GoogleError(f"{name} cannot be used as a service account's key: {type(error).__name__}") from None
    except google.auth.exceptions.GoogleAuthError as error:
        # Its second argument is Google's whole answer.
        said = str(error.args[0] if error.args else error)[:300]
        raise GoogleError(f"No token for {key_file or 'the default credentials'}: {said}") from None
    return found


def exec_credential(found: t.Any) -> dict[str, t.Any]:
    """Returns credentials in the form that kubectl, Helm and client libraries read."""
    ends = f"{found.expiry.isoformat(timespec='seconds')}Z" if found.expiry else None
    return {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": found.token, **({"expirationTimestamp": ends} if ends else {})}}


def main(arguments: list[str]) -> int:
    """Prints the credential; returns the exit code."""
    try:
        sys.stdout.write(f"{json.dumps(exec_credential(credentials(*arguments[:1])))}\n")
    except GoogleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
