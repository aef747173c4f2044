# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write awx/surveys.yml: the surveys of awx/job_templates.yml, from the argument_specs of the roles. `make docs` runs it.

With ``--check`` nothing is written; the exit code is 1 when the file is not up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
# In a checkout the link in collections/ leads here; in the linters' copy the folders above have the collection's name.
sys.path[:0] = [str(path) for path in (ROOT / "collections", *ROOT.parents[2:3]) if (path / "ansible_collections/openmlops/platform").is_dir()]

from ansible_collections.openmlops.platform.plugins.module_utils.awx.surveys import surveys  # noqa: E402

TARGET = ROOT / "awx" / "surveys.yml"
NOTE = "---\n# Written by `make docs` from job_templates.yml and the roles' argument_specs; do not edit.\n"


def text() -> str:
    """Return the file as it should be."""
    options: dict = {}
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        options.update(yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"].get("options") or {})
    templates = yaml.safe_load((ROOT / "awx" / "job_templates.yml").read_text(encoding="utf-8"))["controller_templates"]
    found = {"awx_surveys": surveys(templates, options)}
    return NOTE + yaml.dump(found, Dumper=Indented, sort_keys=False, width=120, allow_unicode=True)


class Indented(yaml.SafeDumper):
    """Lists indented below their key, as yamllint asks for."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, indentless=False)


def main(arguments: list[str]) -> int:
    """Write or check the file."""
    wanted = text()
    if "--check" in arguments:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == wanted:
            return 0
        print(f"{TARGET.relative_to(ROOT)} is not up to date: run `make docs`", file=sys.stderr)
        return 1
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
