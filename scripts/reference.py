# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the reference pages in docs/reference; see scripts/docs.

Everything comes from ``ansible-doc`` (roles, modules, filters, lookups) and platform.lock.yml, so a page cannot say something
else than the code does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference"
NOTE = "<!-- Written by `make docs`; do not edit. -->\n"
COLLECTION = "openmlops.platform"
KINDS = {"module": "Actions and modules", "filter": "Filters", "lookup": "Lookups"}
TITLES = {"module": "Action", "filter": "Filter", "lookup": "Lookup"}

# Ansible's markup of descriptions, and what Markdown calls it.
MARKUP = [
    (re.compile(r"\b(?:C|V|E)\(([^)]*)\)"), r"`\1`"),
    (re.compile(r"\b(?:O|RV)\((?:[^:)]*:)?([^)]*)\)"), r"`\1`"),
    (re.compile(r"\b[MP]\(([^)#]*)(?:#[a-z]+)?\)"), r"`\1`"),
    (re.compile(r"\bB\(([^)]*)\)"), r"**\1**"),
    (re.compile(r"\bI\(([^)]*)\)"), r"*\1*"),
    (re.compile(r"\bL\(([^,]*),\s*([^)]*)\)"), r"[\1](\2)"),
    (re.compile(r"\bU\(([^)]*)\)"), r"<\1>"),
]


def described() -> dict[str, dict[str, Any]]:
    """Return what ansible-doc knows of the collection, by kind (module, filter, lookup, role) and short name.

    What has no documentation is for internal use and is left out.
    """
    done = subprocess.run(
        ["ansible-doc", "--metadata-dump", "--no-fail-on-errors", COLLECTION],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    everything = json.loads(done.stdout)["all"]
    return {
        kind: {name.removeprefix(f"{COLLECTION}."): entry for name, entry in sorted(found.items()) if "error" not in entry}
        for kind, found in everything.items()
    }


def prose(text: str | list[str] | None) -> str:
    """Return a description (one paragraph or a list of them) as Markdown."""
    paragraphs = [text] if isinstance(text, str) else text or []
    joined = "\n\n".join(paragraph.strip() for paragraph in paragraphs)
    for pattern, replacement in MARKUP:
        joined = pattern.sub(replacement, joined)
    return joined


def cell(text: str) -> str:
    """Return Markdown that fits into one cell of a table."""
    return re.sub(r"\s*\n+\s*", "<br>", text.strip()).replace("|", "\\|")


def literal(value: Any) -> str:
    """Return a default as code: text as it is, all else as JSON."""
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if "`" not in text else text


def option_rows(options: dict[str, Any], prefix: str = "") -> list[str]:
    """Return one row for each option, those of a dictionary's or list's entries after it."""
    rows = []
    for name, option in options.items():
        kind = option.get("type", "str")
        if option.get("elements"):
            kind += f" of {option['elements']}"
        if option.get("required"):
            default = "*required*"
        elif option.get("default") is None:
            default = ""
        else:
            default = literal(option["default"])
        text = prose(option.get("description"))
        if option.get("choices"):
            text += "\nOne of " + ", ".join(literal(choice) for choice in option["choices"]) + "."
        rows.append(f"| `{prefix}{name}` | {kind} | {cell(default)} | {cell(text)} |")
        nested = option.get("options") or option.get("suboptions") or {}
        joint = "[]." if option.get("elements") else "."
        rows += option_rows(nested, f"{prefix}{name}{joint}")
    return rows


def option_table(options: dict[str, Any]) -> str:
    """Return the table of the options; a sentence when there are none."""
    if not options:
        return "None.\n"
    return "\n".join(["| Name | Type | Default | Meaning |", "| --- | --- | --- | --- |", *option_rows(options)]) + "\n"


def return_rows(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Return one row for each value that a task returns."""
    rows = []
    for name, value in values.items():
        kind = value.get("type", "") + (f" of {value['elements']}" if value.get("elements") else "")
        rows.append(f"| `{prefix}{name}` | {kind} | {cell(str(value.get('returned', '')))} | {cell(prose(value.get('description')))} |")
        rows += return_rows(value.get("contains") or {}, f"{prefix}{name}{'[]' if value.get('elements') else ''}.")
    return rows


def in_written_order(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return a role's options in the order of its argument_specs, which tells a story; ansible-doc sorts them."""
    specs = yaml.safe_load((ROOT / f"roles/{name}/meta/argument_specs.yml").read_text(encoding="utf-8"))
    written = list(specs["argument_specs"]["main"].get("options", {}))
    return {option: options[option] for option in written if option in options}


def role_page(name: str, entry: dict[str, Any]) -> str:
    """Return the page of a role from its main entry point."""
    parts = [NOTE, f"# Role `{name}`\n", prose(entry.get("short_description")) + "\n"]
    if entry.get("description"):
        parts.append(prose(entry["description"]) + "\n")
    parts += ["## Variables\n", option_table(in_written_order(name, entry.get("options", {})))]
    return "\n".join(parts)


def plugin_page(kind: str, name: str, found: dict[str, Any]) -> str:
    """Return the page of a module, filter or lookup."""
    doc = found["doc"]
    parts = [NOTE, f"# {TITLES[kind]} `{name}`\n", prose(doc.get("short_description")) + "\n"]
    parts += [prose(doc.get("description")) + "\n", "## Options\n", option_table(doc.get("options") or {})]
    if doc.get("attributes"):
        rows = [
            f"| {key} | {value.get('support', '')} | {cell(prose(value.get('details') or value.get('description')))} |"
            for key, value in doc["attributes"].items()
        ]
        parts += ["## Attributes\n", "\n".join(["| Name | Support | Meaning |", "| --- | --- | --- |", *rows]) + "\n"]
    if doc.get("notes"):
        parts += ["## Notes\n", "\n".join(f"- {prose(note)}" for note in doc["notes"]) + "\n"]
    if found.get("examples"):
        parts += ["## Examples\n", f"```yaml\n{found['examples'].strip()}\n```\n"]
    if found.get("return"):
        rows = return_rows(found["return"])
        parts += ["## Return values\n", "\n".join(["| Name | Type | Returned | Meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"]
    return "\n".join(parts)


def versions_page(lock: dict[str, Any]) -> str:
    """Return the page of all versions."""
    parts = [NOTE, "# Versions\n", "Every chart and image, from [platform.lock.yml](../../platform.lock.yml).\n"]
    parts.append("| Component | Version | Licence | Charts | Images |\n| --- | --- | --- | --- | --- |")
    for name, entry in lock["components"].items():
        images = "<br>".join(f"{image['repository']}:{image['tag']}" for image in entry.get("images", {}).values())
        chart_text = "<br>".join(f"{chart['name']} {chart['version']}" for chart in entry.get("charts", {}).values())
        parts.append(f"| {name} | {entry['version']} | {entry['licence']} | {chart_text} | {images} |")
    return "\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """Return the text of every page by its path below docs/reference."""
    found: dict[str, str] = {}
    index = [NOTE, "# Reference\n", "- [Versions](versions.md)\n", "## Roles\n"]
    known = described()
    for name, role in known.get("role", {}).items():
        entry = role["entry_points"]["main"]
        found[f"role-{name}.md"] = role_page(name, entry)
        index.append(f"- [{name}](role-{name}.md): {cell(prose(entry.get('short_description')))}")
    for kind, title in KINDS.items():
        index.append(f"\n## {title}\n")
        for name, plugin in known.get(kind, {}).items():
            found[f"{kind}-{name}.md"] = plugin_page(kind, f"{COLLECTION}.{name}", plugin)
            index.append(f"- [{name}]({kind}-{name}.md): {cell(prose(plugin['doc'].get('short_description')))}")
    lock = ROOT / "platform.lock.yml"
    if lock.exists():
        found["versions.md"] = versions_page(yaml.safe_load(lock.read_text(encoding="utf-8")))
    found["index.md"] = "\n".join(index) + "\n"
    return found


def main() -> None:
    """Write the pages, or with ``--check`` say which ones are not up to date."""
    wanted = pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in PAGES.glob("*.md")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"docs/reference is not up to date ({', '.join(stale)}); run: make docs")
        return
    PAGES.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            (PAGES / name).write_text(wanted[name], encoding="utf-8")
        else:
            (PAGES / name).unlink()
    print(f"docs/reference: {len(wanted)} pages, {len(stale)} written anew")


if __name__ == "__main__":
    main()
