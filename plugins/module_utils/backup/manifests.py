# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests of backups: which there are, which one is meant, whether this platform can take it. Pure functions."""

from __future__ import annotations

import re
import typing as t

NAME = re.compile(r"[0-9]{8}-[0-9]{6}")
# As roles/backup/files/destination.py has it: such names are safe as paths on the controller.
PART = re.compile(r"(databases|buckets)/[a-z0-9][a-z0-9._-]*|secrets\.sealed")
Manifest = dict[str, t.Any]


class BackupError(Exception):
    """A backup cannot be made, read or restored; the text says which, why, and what to do."""


def flaw(manifest: t.Any) -> str:
    """Returns why something is no manifest, or an empty text. Who writes to the destination must not write to the controller."""
    if not isinstance(manifest, dict) or not NAME.fullmatch(str(manifest.get("name", ""))):
        return "it has no name of a backup"
    parts = manifest.get("parts")
    if not isinstance(parts, list) or not isinstance(manifest.get("finished", ""), str):
        return "it has no list of parts"
    for part in parts:
        known = isinstance(part, dict) and part.get("kind") in ("database", "bucket", "secrets")
        if not known or not all(isinstance(part.get(key), kind) for key, kind in (("name", str), ("file", str), ("sha256", str), ("bytes", int))):
            return "it has a part of another form"
        if not PART.fullmatch(part["file"]) or (part["kind"] != "secrets" and not isinstance(part.get("component"), str)):
            return "it names something else"
    return ""


def choose(manifests: list[Manifest], wanted: str) -> Manifest:
    """Returns the backup of a name, or the newest for ``latest``.

    Raises:
        BackupError: when there is none, or when its manifest cannot be read.
    """
    names = [entry["name"] for entry in manifests]
    if not names:
        raise BackupError("there is no whole backup. What was interrupted is none; playbooks/backup.yml makes one")
    name = max(names) if wanted == "latest" else wanted
    if name not in names:
        raise BackupError(f"platform_restore: there is no whole backup '{wanted}'; there are {', '.join(names)}")
    found = manifests[names.index(name)]
    if found.get("damaged"):
        raise BackupError(f"backup {name}: {found['damaged']}")
    return found


def parts(manifest: Manifest, components: t.Collection[str]) -> list[Manifest]:
    """Returns the databases and buckets of a backup that are to be restored.

    Args:
        components: whose; empty for all.

    Raises:
        BackupError: when the backup has nothing of a component that is named.
    """
    found = [part for part in manifest["parts"] if part["kind"] in ("database", "bucket")]
    missing = sorted(set(components) - {part["component"] for part in found})
    if missing:
        raise BackupError(f"platform_restore_components: backup {manifest['name']} has nothing of {', '.join(missing)}; it has "
                          f"{', '.join(sorted({part['component'] for part in found}))}")
    return [part for part in found if not components or part["component"] in components]


def obstacles(manifest: Manifest, chosen: list[Manifest], here: dict[str, str], users: dict[str, list[str]]) -> list[str]:
    """Returns why this platform cannot take the parts of a backup, one sentence for each.

    Args:
        here: by component, the version that this inventory installs.
        users: by file of a part, the components that this inventory installs and that use it.
    """
    found = []
    if manifest.get("schema") != 1:
        found.append("it was made by a newer version of this collection: update it")
    for part in chosen:
        if part["file"] not in users:
            found.append(f"this inventory has no {part['kind']} {part['name']}, or backup_components or backup_buckets leave it out: add "
                         f"{part['component']} to platform_components and run site.yml first, or name what is to be restored in "
                         "platform_restore_components")
    for name in sorted({part["component"] for part in chosen}):
        theirs = (manifest.get("components") or {}).get(name, "")
        if name in here and newer(theirs, here[name]):
            found.append(f"{name} was {theirs} when the backup was made, and is {here[name]} here: an older version cannot read its data")
    return found


def newer(first: str, second: str) -> bool:
    """Tells whether the first version is newer than the second, number by number."""
    return _numbers(first) > _numbers(second)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def table(manifests: list[Manifest]) -> str:
    """Returns the backups for people, the newest last."""
    if not manifests:
        return "there is no backup"
    rows = [("BACKUP", "MADE", "SIZE", "HOLDS")]
    for entry in manifests:
        if entry.get("damaged"):
            rows.append((entry["name"], "-", "-", f"DAMAGED: {entry['damaged']}"))
            continue
        held = [f"{part['kind']} {part['name']}" if part["kind"] != "secrets" else "Secrets" for part in entry["parts"]]
        rows.append((entry["name"], entry.get("finished", "-"), size(sum(part["bytes"] for part in entry["parts"])), ", ".join(held)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip() for row in rows)


def size(count: int) -> str:
    """Returns a number of bytes for people."""
    number, unit = float(count), "B"
    for following in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, following
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
