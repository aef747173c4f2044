# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images: upstream's, a mirror's, or those built from images/."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.build.inputs import image_reference
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.lock import CatalogueError


def image(name: str, source: str = "upstream", registry: str = "") -> dict[str, str]:
    """Returns the image of a component.

    Args:
        name: ``component/role`` as in platform.lock.yml, such as ``mlflow/server``.
        source: ``upstream`` or ``built`` (platform_image_source).
        registry: HOST/PATH of a mirror that stands in for the upstream registry, or that holds what was built; empty for none.

    Returns:
        ``repository``, ``tag`` and ``reference`` (both together).
    """
    component, _slash, role = name.partition("/")
    images: dict[str, t.Any] = lock.component(component).get("images") or {}
    if role not in images:
        raise CatalogueError(f"platform.lock.yml: component '{component}' has no image '{role}', only {sorted(images)}")
    if source == "built":
        if not images[role].get("built"):
            raise CatalogueError(f"platform.lock.yml: image '{name}' is not among those built here; set platform_image_source "
                                 "to upstream")
        found = image_reference(lock.COLLECTION_ROOT, images[role]["built"])
        repository, tag = str(found["repository"]), str(found["tag"])
    elif source == "upstream":
        repository, tag = str(images[role]["repository"]), str(images[role]["tag"])
    else:
        raise CatalogueError(f"platform_image_source is '{source}': set it to upstream or built")
    if registry:
        repository = mirrored(repository, registry)
    return {"repository": repository, "tag": tag, "reference": f"{repository}:{tag}"}


def mirrored(repository: str, registry: str) -> str:
    """Returns the name that a repository, or a reference, has in a mirror: the host is replaced, the path stays."""
    host, _slash, path = repository.partition("/")
    # Without a dot or port the first part is no host: `library/nginx` of the default registry.
    return f"{registry.rstrip('/')}/{path if path and ('.' in host or ':' in host or host == 'localhost') else repository}"
