# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images objects lead to. Pure functions."""

from __future__ import annotations

import typing as t

# Where custom resources of the platform name an image that is in no pod's form.
_FIELDS = {"imageName", "image"}


def images(objects: t.Iterable[dict[str, t.Any]]) -> list[str]:
    """Returns the references of all images that objects name, in order, each once.

    Looked at are containers wherever they are in an object, volumes of images, and the fields of custom resources that hold an
    image: ``imageName`` and ``image`` of a CloudNativePG Cluster or an EnvoyProxy.
    """
    found: dict[str, None] = {}
    for obj in objects:
        # A definition describes fields named `image`, and a Secret or ConfigMap may hold anything.
        if obj.get("kind") not in ("CustomResourceDefinition", "ConfigMap", "Secret"):
            found.update(dict.fromkeys(_walk({key: value for key, value in obj.items() if key not in ("metadata", "status")})))
    return list(found)


def _walk(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _walk(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key in _FIELDS and isinstance(entry, str) and is_reference(entry):
                yield entry
            elif key == "image" and isinstance(entry, dict) and isinstance(entry.get("reference"), str):
                yield entry["reference"]
            else:
                yield from _walk(entry)


def is_reference(text: str) -> bool:
    """Tells whether a text names an image that can be pulled: a repository with a tag or a digest, and nothing to be filled in."""
    repository, tag = split(text)
    return bool(repository and tag) and not any(mark in text for mark in "{}$ <>")


def split(reference: str) -> tuple[str, str]:
    """Splits a reference into its repository and its tag or ``sha256:...``; the second is empty when there is none."""
    if "@" in reference:
        name, _at, digest = reference.partition("@")
        return split(name)[0], digest
    head, slash, last = reference.rpartition("/")
    name, _colon, tag = last.partition(":")
    return f"{head}{slash}{name}", tag


def joined(repository: str, tag: str) -> str:
    """Returns the reference of a repository and a tag or a digest."""
    return f"{repository}@{tag}" if tag.startswith("sha256:") else f"{repository}:{tag}"
