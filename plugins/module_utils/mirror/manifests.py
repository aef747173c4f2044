# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of images, from their manifests and archives (https://github.com/opencontainers/image-spec). Nothing is written."""

from __future__ import annotations

import hashlib
import json
import tarfile
import typing as t
from pathlib import Path


class ManifestError(ValueError):
    """What should be a manifest or an archive is none; the message names it."""


def digest(raw: bytes) -> str:
    """Returns the digest of a manifest, or of a list of manifests, by its bytes."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def digest_for(raw: bytes, architecture: str) -> str:
    """Returns the digest of what is copied: the manifest itself, or of a list only the one for Linux on an architecture.

    Args:
        raw: bytes of the manifest as the registry has it.
        architecture: such as ``amd64``; empty: the whole list.

    Raises:
        ManifestError: the bytes are no manifest, or the list has none for it.
    """
    entries = listed(raw)
    if not architecture or entries is None:
        return digest(raw)
    for entry in entries:
        platform = entry.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return str(entry["digest"])
    there = sorted({str((entry.get("platform") or {}).get("architecture")) for entry in entries} - {"unknown", "None"})
    raise ManifestError(f"the image is not there for linux/{architecture}, only for {', '.join(there) or 'nothing'}")


def listed(raw: bytes) -> list[dict[str, t.Any]] | None:
    """Returns the entries of a list of manifests, None when it is a single manifest."""
    try:
        content = json.loads(raw)
    except ValueError:
        raise ManifestError(f"this is no manifest: {raw[:60]!r}") from None
    if not isinstance(content, dict):
        raise ManifestError(f"this is no manifest: {raw[:60]!r}")
    return content.get("manifests") if isinstance(content.get("manifests"), list) else None


def archive_digest(path: Path) -> str:
    """Returns the digest of the one image in an archive as ``oci-archive:`` reads it.

    Raises:
        ManifestError: it is no such archive.
    """
    try:
        with tarfile.open(path) as archive:
            stream = next((archive.extractfile(member) for member in archive if member.name.removeprefix("./") == "index.json"), None)
            (entry,) = json.load(stream)["manifests"] if stream else ()
            return str(entry["digest"])
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError):
        raise ManifestError(f"{path} is no archive with one image") from None
