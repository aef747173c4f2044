# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters on components, their images and what they ask of each other. Documented in the .yml files beside this one."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.images import image
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.lock import CatalogueError, component
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.selection import artifacts, gaps, requests, select
from ansible_collections.openmlops.platform.plugins.module_utils.serving.package import python_client


def _with_clear_errors(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(function)
    def wrapped(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except CatalogueError as error:
            raise AnsibleFilterError(str(error)) from error

    return wrapped


def references(names: list[str]) -> list[dict[str, str]]:
    """Returns names in the form in which Kubernetes refers to objects: ``[{"name": ...}, ...]``."""
    return [{"name": str(name)} for name in names]


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Returns the filters by name."""
        return {
            "component_select": _with_clear_errors(select),
            "component_gaps": _with_clear_errors(gaps),
            "component_requests": _with_clear_errors(requests),
            "component_artifacts": _with_clear_errors(artifacts),
            "component_image": _with_clear_errors(image),
            "component_lock": _with_clear_errors(component),
            "python_client": python_client,
            "references": references,
        }
