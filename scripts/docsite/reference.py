# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference: what antsibull-docs reads, how its pages are shortened, and the pages that list them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml
from docsite.navigation import toctree

COLLECTION = "openmlops.platform"
# Kind of plugin: folder of what documents it, suffix of antsibull-docs' page.
KINDS = {"module": ("plugins/modules", "*.py"), "filter": ("plugins/filter", "*.yml"), "lookup": ("plugins/lookup", "*.py")}
LISTS = {
    "role": ("roles", "Roles", "Each describes its variables. Set them in the inventory; what is not set has the default."),
    "module": ("actions", "Actions and modules", "What the roles call, and what playbooks of your own can call."),
    "filter": ("filters", "Filters", "Data from data, in the templates of an inventory or a playbook."),
    "lookup": ("lookups", "Lookups", "What the controller knows, in the templates of an inventory or a playbook."),
}


def specs(root: Path) -> dict[str, dict[str, Any]]:
    """Return the main entry point of each role's argument_specs, by name of the role."""
    found = {}
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        found[path.parts[-3]] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["argument_specs"]["main"]
    return found


def option_anchors(roles: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return where on the site each variable of a role is explained."""
    return {
        option: f"reference/{name}_role.html#parameter-main--{option}" for name, entry in roles.items() for option in entry.get("options", {})
    }


def plain_defaults(options: dict[str, Any]) -> None:
    """Move defaults that are templates into the description where the option is no text.

    antsibull-docs asks that a default is of the option's type, as Ansible does only after the template's evaluation.
    """
    for option in options.values():
        default = option.get("default")
        kind = option.get("elements", "str") if isinstance(default, list) else option.get("type", "str")
        values = default if isinstance(default, list) else [default]
        if any(isinstance(value, str) and "{{" in value for value in values) and kind not in ("str", "raw", "path"):
            del option["default"]
            text = option["description"]
            option["description"] = [*([text] if isinstance(text, str) else text), f"The default follows from others, C({escaped(str(default))})."]
        plain_defaults(option.get("options") or {})


def escaped(text: str) -> str:
    """Return text as it must stand in a C() of Ansible's markup, which ends at the first closing bracket."""
    return text.replace("(", "[").replace(")", "]") if ")" in text else text


def prepare(root: Path, target: Path) -> None:
    """Copy what antsibull-docs reads to ``target``/ansible_collections/openmlops/platform."""
    tree = target / "ansible_collections" / "openmlops" / "platform"
    for folder in ("meta", "plugins"):
        shutil.copytree(root / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "galaxy.yml", tree)
    for name, entry in specs(root).items():
        plain_defaults(entry.get("options") or {})
        folder = tree / "roles" / name / "meta"
        folder.mkdir(parents=True)
        text = yaml.safe_dump({"argument_specs": {"main": entry}}, sort_keys=False, allow_unicode=True)
        (folder / "argument_specs.yml").write_text(text, encoding="utf-8")


# Parts of antsibull-docs' pages that say the same on each, or what the theme shows beside the page.
REPEATED = [
    re.compile(r"^\.\. contents::\n(?:   .*\n)+", re.MULTILINE),
    re.compile(r"^\.\. note::\n    This [a-z ]+ is part of the .*\n(?:(?:    .*)?\n)+?(?=\S)", re.MULTILINE),
    re.compile(r"^Entry point ``main`` -- .*\n-+\n", re.MULTILINE),
    re.compile(r"^\.\. rst-class:: ansible-version-added\n\nNew in .*\n", re.MULTILINE),
    re.compile(r"^Authors\n[\^~-]+\n.*\Z", re.MULTILINE | re.DOTALL),
]
TITLE = re.compile(rf"^{re.escape(COLLECTION)}\.(\w+) ([a-z]+) -- (.*)\n\++$", re.MULTILINE)


def tidied(text: str) -> str:
    """Return a page of antsibull-docs with a short title and without what is repeated on every page.

    Raises:
        ValueError: it has no title as expected, so another antsibull-docs writes otherwise.
    """
    for pattern in REPEATED:
        text = pattern.sub("", text)

    def title(found: re.Match[str]) -> str:
        name = f"{found[1]} {found[2]}"
        return f"{name}\n{'+' * len(name)}\n\n{found[3]}.\n\nIn playbooks: ``{COLLECTION}.{found[1]}``\n"

    text, number = TITLE.subn(title, text)
    if number != 1:
        raise ValueError("antsibull-docs wrote a page without the title that scripts/docsite/reference.py knows")
    return text


def tidy(folder: Path) -> None:
    """Shorten all pages of antsibull-docs in a folder; the list of environment variables goes, since no plugin has any."""
    for path in folder.glob("*.rst"):
        if path.name in ("environment_variables.rst", "index.rst"):
            path.unlink()
        else:
            path.write_text(tidied(path.read_text(encoding="utf-8")), encoding="utf-8")


def described(root: Path) -> dict[str, dict[str, str]]:
    """Return each role and plugin with documentation: its short description, by kind and name."""
    found = {"role": {name: entry["short_description"] for name, entry in specs(root).items()}}
    for kind, (folder, pattern) in KINDS.items():
        found[kind] = {}
        for path in sorted((root / folder).glob(pattern)):
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".py":
                _before, mark, text = text.partition("DOCUMENTATION = ")
                if not mark:
                    continue
                opening = text.removeprefix("r")[:3]
                text = "DOCUMENTATION:\n" + "\n".join("  " + line for line in text.split(opening)[1].splitlines())
            found[kind][path.stem] = yaml.load(text, Loader=yaml.CSafeLoader)["DOCUMENTATION"]["short_description"]
    return found


def published(known: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the path on the site of every file of roles and plugins that a page may link to, and of their folders."""
    found = {"roles": "reference/roles.md", "playbooks": "reference/playbooks.md", "platform.lock.yml": "versions.md"}
    for name in known["role"]:
        for file in ("", "/defaults/main.yml", "/meta/argument_specs.yml"):
            found[f"roles/{name}{file}"] = f"reference/{name}_role.rst"
    for kind, (folder, pattern) in KINDS.items():
        found[folder] = f"reference/{LISTS[kind][0]}.md"
        for name in known[kind]:
            found[f"{folder}/{name}{pattern.removeprefix('*')}"] = f"reference/{name}_{kind}.rst"
    return found


def lists(known: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the pages that list roles and plugins, by path on the site."""
    found = {}
    for kind, (file, title, text) in LISTS.items():
        rows = [f"- [`{name}`]({name}_{kind}.rst): {short}" for name, short in known[kind].items()]
        entries = [f"{name} <{name}_{kind}>" for name in known[kind]]
        found[f"reference/{file}.md"] = "\n".join([f"# {title}\n", text + "\n", *rows, toctree(entries)])
    return found


CHILDREN = ["reference/roles", "reference/playbooks", "reference/actions", "reference/filters", "reference/lookups", "versions"]
