# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a release manifest (many YAML documents in one text) apart as text: parsing 1.2 MB of CRDs takes long."""
from __future__ import annotations

import re

_SEPARATOR = re.compile(r"^---[ \t]*(?:#.*)?$\n?", re.MULTILINE)
_KIND = re.compile(r"^kind:[ \t]*[\"']?(\w+)", re.MULTILINE)  # a key at the very left: an object's own, not a nested one


def crds(manifest: str) -> str:
    """The manifest's CustomResourceDefinitions only, in their order, as YAML documents."""
    return _join(document for document in documents(manifest) if kind(document) == "CustomResourceDefinition")


def without_crds(manifest: str) -> str:
    """Everything else in the manifest, in its order, as YAML documents."""
    return _join(document for document in documents(manifest) if kind(document) != "CustomResourceDefinition")


def documents(manifest: str) -> list[str]:
    """The YAML documents of a manifest that hold an object, without their separators."""
    return [document for document in _SEPARATOR.split(manifest) if kind(document)]


def kind(document: str) -> str:
    """The kind of the object in a YAML document in block style, "" when it has none."""
    found = _KIND.search(document)
    return found.group(1) if found else ""


def _join(parts) -> str:
    return "---\n".join(part if part.endswith("\n") else part + "\n" for part in parts)
