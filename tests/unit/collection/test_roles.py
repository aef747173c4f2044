# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role has the same files and one public face: who knows one role knows all."""

from __future__ import annotations

import re

REQUIRED = {
    "defaults/main.yml",
    "meta/argument_specs.yml",
    "meta/main.yml",
    "tasks/absent.yml",
    "tasks/health.yml",
    "tasks/main.yml",
    "tasks/preflight.yml",
    "tasks/present.yml",
}
FOLDERS = {"defaults", "files", "handlers", "meta", "tasks", "templates", "vars"}

TASK_KEYWORD = re.compile(r"^\s*(?:- )?(?:ansible\.builtin\.)?(shell|command|raw):", re.MULTILINE)


def entry_point(load, role):
    """Return what the role's argument_specs say of its main entry point; nothing when the file is not there."""
    return load(role / "meta/argument_specs.yml").get("argument_specs", {}).get("main", {})


def options(load, role):
    """Return the options of the role's main entry point."""
    return entry_point(load, role).get("options", {})


def test_files_are_uniform(role):
    files = {path.relative_to(role).as_posix() for path in role.rglob("*") if path.is_file()}
    assert not REQUIRED - files, "missing"
    assert {path.split("/")[0] for path in files} <= FOLDERS


def test_argument_specs_equal_defaults(role, load):
    defaults = load(role / "defaults/main.yml")
    specified = options(load, role)
    required = {name for name, option in specified.items() if option.get("required")}
    assert set(defaults) == set(specified) - required, "defaults/main.yml and meta/argument_specs.yml name other options"
    differing = {
        name: (default, specified[name].get("default"))
        for name, default in defaults.items()
        if default != specified[name].get("default") or isinstance(default, bool) != isinstance(specified[name].get("default"), bool)
    }
    assert not differing, "default in defaults/main.yml and in meta/argument_specs.yml differ"


def test_options_are_described(role, load):
    def check(where, entries):
        for name, option in entries.items():
            assert option.get("description"), f"{where}{name} has no description"
            assert option.get("type"), f"{where}{name} has no type"
            if option["type"] == "list":
                assert option.get("elements"), f"{where}{name} does not say what its elements are"
            check(f"{where}{name}.", option.get("options", {}))

    entry = entry_point(load, role)
    assert entry.get("short_description")
    check("", entry.get("options", {}))


def test_variables_carry_the_name_of_their_role(role, load):
    public, private = f"{role.name}_", f"_{role.name}_"
    assert [name for name in load(role / "defaults/main.yml") if not name.startswith(public)] == []
    assert [name for name in options(load, role) if not name.startswith(public)] == []
    assert [name for name in load(role / "vars/main.yml") if not name.startswith(private)] == []


def test_registered_results_are_marked_as_temporary(role):
    for path in role.glob("tasks/*.yml"):
        names = re.findall(r"^\s+register:\s*(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert [name for name in names if not name.startswith(f"__{role.name}_")] == [], path.name


def test_no_role_starts_kubectl_or_helm(role):
    for path in role.glob("tasks/*.yml"):
        text = path.read_text(encoding="utf-8")
        for match in TASK_KEYWORD.finditer(text):
            assert not re.search(r"\b(kubectl|helm)\b", text[match.end():].split("\n- ")[0]), path.name


def test_errors_are_never_hidden_for_good(role):
    """``no_log: true`` hides the error too; a variable lets the user see it."""
    for path in [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]:
        assert not re.search(r"^\s*no_log:\s*true\s*$", path.read_text(encoding="utf-8"), re.MULTILINE), path.name


def test_every_component_has_a_molecule_scenario(root, load):
    components = set(load(root / "platform.lock.yml")["components"]) - {"local_cluster"}
    scenarios = {path.parent.name for path in root.glob("molecule/*/molecule.yml")}
    # A component in another mode has a scenario <component>_<mode>.
    modes = {f"{name}_{mode}" for name in components for mode in load(root / f"roles/{name}/meta/argument_specs.yml")[
        "argument_specs"]["main"]["options"].get(f"{name}_mode", {}).get("choices", [])}
    # What concerns several components has a name of its own.
    others = {"default", "airgap", "restricted", "upgrade"}
    assert components | others <= scenarios <= components | others | modes
