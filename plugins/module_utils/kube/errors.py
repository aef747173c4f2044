# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the Kubernetes API, one class for each that callers treat differently."""

from __future__ import annotations


class KubeError(Exception):
    """An answer of the API server that is not a success.

    Args:
        status: HTTP status, 0 when there was no answer.
        reason: the API's machine-readable reason, such as ``AlreadyExists``.
        message: the API's sentence for people.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(KubeError):
    """404: the object, its namespace or its kind does not exist."""


class UnknownKind(NotFound):
    """The server does not serve this apiVersion and kind (a CRD that is not installed yet)."""


class Conflict(KubeError):
    """409: the object exists already, or was changed by somebody else in the meantime."""


class Forbidden(KubeError):
    """403: the account in use lacks a right."""


class Unreachable(KubeError):
    """No answer from the API server, or no usable credentials for it."""


_BY_STATUS: dict[int, type[KubeError]] = {403: Forbidden, 404: NotFound, 409: Conflict}


def error_for(status: int, reason: str, message: str) -> KubeError:
    """Returns the error that fits an HTTP status."""
    return _BY_STATUS.get(status, KubeError)(status, reason, message)
