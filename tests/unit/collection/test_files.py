# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for every tracked file: nothing of one machine, no dead links, a licence in each source file."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

HEADER = "SPDX-License-Identifier: GPL-3.0-or-later"

# Joined here, so that this file does not hold what it looks for.
PACKAGE_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("deb", "debian", "org"),
        ("registry", "npmjs", "org"),
    )
]
IMAGE_HOSTS = [".".join(parts) for parts in (("docker", "io"), ("quay", "io"), ("ghcr", "io"), ("gcr", "io"), ("registry", "k8s", "io"))]
MACHINE_PATHS = ["/" + path for path in ("work/main", "work/dev", "work/notes", "work/shared", "opt/wheels", "root/.")]


def lines_with(texts, root, needles, *, exempt=()):
    """Return ``path:line: text`` for each line that holds one of the needles as a whole word."""
    pattern = re.compile(r"(?<![\w.-])(?:" + "|".join(map(re.escape, needles)) + r")(?![\w-])")
    found = []
    for path, text in texts.items():
        name = path.relative_to(root).as_posix()
        if name.startswith(exempt):
            continue
        found += [f"{name}:{number}: {line.strip()[:120]}" for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    return found


def test_no_package_host_is_named(texts, root):
    """Where packages come from is the machine's setting: a mirror must work without an edit."""
    assert lines_with(texts, root, PACKAGE_HOSTS) == []


def test_image_hosts_are_named_in_one_place(texts, root):
    """Charts, images and their hosts live in platform.lock.yml, so that a mirror can replace them all."""
    assert lines_with(texts, root, IMAGE_HOSTS, exempt=("platform.lock.yml", "docs/", "tests/", "README.md", "changelogs/")) == []


def test_no_path_of_one_machine(texts, root):
    found = []
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if any(re.search(rf"(?<![\w}}$~.-]){re.escape(needle)}", line) for needle in MACHINE_PATHS):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()[:120]}")
    assert found == []


def test_python_files_name_the_licence(texts, root):
    missing = [str(path.relative_to(root)) for path, text in texts.items() if path.suffix == ".py" and text.strip() and HEADER not in text[:400]]
    assert missing == []


def test_plugins_are_for_a_modern_python(texts, root):
    missing = [
        str(path.relative_to(root))
        for path, text in texts.items()
        if path.suffix == ".py" and "plugins" in path.relative_to(root).parts and text.strip() and "from __future__ import annotations" not in text
    ]
    assert missing == []


def test_links_between_documents_lead_somewhere(texts, root):
    dead = []
    for path, text in texts.items():
        if path.suffix != ".md":
            continue
        prose = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", prose):
            if re.match(r"[a-z][a-z0-9+.-]*:", target) or target.startswith("#"):
                continue
            file = (path.parent / unquote(target.split("#")[0])).resolve()
            if not file.exists() or root not in [file, *file.parents]:
                dead.append(f"{path.relative_to(root)}: {target}")
    assert dead == []


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_page_is_in_the_index_of_its_folder(tracked, root, folder):
    index = (root / folder / "index.md").read_text(encoding="utf-8")
    pages = [path.name for path in tracked if path.parent == root / folder and path.suffix == ".md" and path.name != "index.md"]
    assert [page for page in pages if f"]({page})" not in index] == []


def test_changelog_fragments_are_valid(root, load):
    sections = {name for name, _title in load(root / "changelogs/config.yaml")["sections"]} | {"trivial", "release_summary"}
    for path in (root / "changelogs/fragments").glob("*.y*ml"):
        for section, entries in load(path).items():
            assert section in sections, f"{path.name}: unknown section {section}"
            if section == "release_summary":
                assert isinstance(entries, str), path.name
            else:
                assert entries and all(isinstance(entry, str) for entry in entries), f"{path.name}: {section}"


@pytest.mark.parametrize("name", ["controller", "docs", "installer", "polyaxon", "test"])
def test_requirements_are_pinned_with_hashes(root, name):
    text = (root / f"requirements/{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE).strip())
    assert [entry.split()[0] for entry in entries if not re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+ ", entry)] == []
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"https?://", text), "names an index"
