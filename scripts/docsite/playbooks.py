# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of playbooks, from the files themselves: what they say of themselves at the top, and what can be given with ``-e``."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Any

import yaml
from docsite.versions import table

# `x | default(y)` in a playbook: x is taken from the command line when it is given.
OPTIONAL = re.compile(r"\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\s*\|\s*default\(((?:[^()]|\([^()]*\))*)\)")
GIVEN = re.compile(r"-e ([a-z_]+)=(\S*[^\s\].;,])?")


def remarks(text: str) -> str:
    """Return the comments at the top of a playbook as one paragraph."""
    lines = []
    for line in text.removeprefix("---\n").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def variables(text: str, plays: list[dict[str, Any]], known: Container[str]) -> dict[str, tuple[str, str]]:
    """Return what a caller may give with ``-e`` besides the variables of roles: values or an example, and the default as written.

    Those are the variables of the plays, those that the playbook takes with a default, and those that its first lines name.
    """
    found: dict[str, tuple[str, str]] = {}
    values = {name: value.strip("<>") for name, value in GIVEN.findall(remarks(text))}
    for play in plays:
        for name, value in (play.get("vars") or {}).items():
            default = value if isinstance(value, str) else yaml.safe_dump(value, width=1000).removesuffix("...\n").strip()
            found[name] = (values.get(name, ""), default)
    for name, default in OPTIONAL.findall(text):
        found.setdefault(name, (values.get(name, ""), "" if default.startswith("omit") else default))
    for name, value in values.items():
        found.setdefault(name, (value, ""))
    return {name: value for name, value in found.items() if name not in known and not name.startswith(("__", "local_build_"))}


def section(path: Path, verbs: dict[str, str], known: Container[str]) -> str:
    """Return the section of one playbook.

    Args:
        path: the file.
        verbs: verb of the Makefile by name of the playbook.
        known: variables of roles, which are not listed again.
    """
    text = path.read_text(encoding="utf-8")
    plays = yaml.safe_load(text)
    said = re.sub(r"\bdocs/([a-z0-9-]+)\.md\b", r"[\1](../docs/\1.md)", remarks(text))
    # The notation of options is code, for readers as for Markdown.
    said = re.sub(r"-e [a-z_]+=\S*[^\s\].;,]", lambda given: f"`{given.group()}`", said).replace("[`", "`").replace("`]", "`")
    hosts = sorted({play["hosts"] for play in plays if "hosts" in play})
    inventory = " -i inventories/gke" if "clusters" in hosts else ""
    command = f"    ansible-playbook playbooks/{path.name}{inventory}"
    if path.stem in verbs:
        command += f"\n    make {verbs[path.stem]}"
    parts = [f"## {path.stem}\n", said + "\n", command + "\n"]
    given = variables(text, plays, known)
    if given:
        rows = [[f"`{name}`", *(f"`{word}`" if word else "" for word in words)] for name, words in given.items()]
        parts.append(table(["With `-e`", "Values, or an example", "Default"], rows))
    return "\n".join(parts)


def verbs(script: str) -> dict[str, str]:
    """Return the Makefile's verb of each playbook, from the text of scripts/playbook."""
    found = {"site": "up"}
    for names, body in re.findall(r"^    ([a-z]+(?: \| [a-z]+)*)\)\n(.*?)^        ;;$", script, re.MULTILINE | re.DOTALL):
        for verb in names.split(" | "):
            for playbook in re.findall(r"run \"?playbooks/([\w$]+)\.yml", body):
                found[verb if playbook == "$verb" else playbook] = verb
    return found


def page(root: Path, known: Container[str]) -> str:
    """Return the page of all playbooks; ``known`` are the variables of roles and what roles hand out."""
    words = verbs((root / "scripts/playbook").read_text(encoding="utf-8"))
    head = (
        "# Playbooks\n\nEach can be run alone. They take the variables of the [roles](../roles) from the inventory; what else can be given"
        " on the command line is listed.\n"
    )
    files = sorted((root / "playbooks").glob("*.yml"), key=lambda path: (path.stem != "site", path.stem))
    return "\n".join([head, *(section(path, words, known) for path in files)])
