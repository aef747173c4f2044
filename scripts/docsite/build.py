# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the site: gather the sources in one folder, let antsibull-docs and Sphinx work, and look at the result; see scripts/site."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from docsite import check, links, navigation, playbooks, reference, versions

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


class Failed(Exception):
    """The site cannot be built; the message says why."""


def published(root: Path, known: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the path on the site of everything in the checkout that the site has."""
    found = {path.relative_to(root).as_posix(): path.relative_to(root / "docs").as_posix() for path in (root / "docs").rglob("*.md")}
    found |= {f"docs/images/{path.name}": f"images/{path.name}" for path in (root / "docs/images").iterdir()}
    # The front page of the site is the map; that of the forge is the README.
    return found | {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"} | reference.published(known)


def gather(root: Path, sources: Path) -> int:
    """Write the sources of all pages but those of antsibull-docs to a folder, and return their number.

    Raises:
        Failed: links lead nowhere, or a page stands in no list; all of them are named.
    """
    known = reference.described(root)
    options = reference.option_anchors(reference.specs(root))
    galaxy = yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))
    places = published(root, known)
    problems: list[str] = []

    def elsewhere(path: str) -> str:
        if not (root / path).exists():
            problems.append(f"{page}: a link leads to {path}, which is not there")
        return f"{galaxy['repository']}/{'tree' if (root / path).is_dir() else 'blob'}/main/{path}".removesuffix("/.")

    made = {
        "docs/versions.md": versions.page(yaml.safe_load((root / "platform.lock.yml").read_text(encoding="utf-8"))),
        "docs/playbooks.md": playbooks.page(root, options | dict.fromkeys(handed_out(root), "")),
    }
    own = {page: (root / page).read_text(encoding="utf-8") for page, place in places.items() if place.endswith(".md") and (root / page).is_file()}
    own.pop("README.md")
    own.pop("platform.lock.yml")
    placed = places | {"docs/versions.md": "versions.md", "docs/playbooks.md": "reference/playbooks.md"}
    below = {
        "docs/index.md": navigation.toctrees(own["docs/index.md"], places),
        "docs/reference.md": navigation.toctree(reference.CHILDREN),
    }
    # Their index lists them; in the navigation beside every page they would be half of it, and of Sphinx' time.
    above = {page: "---\norphan: true\n---\n" for page in own if page.startswith("docs/decisions/0")}
    own["docs/index.md"] = navigation.cards(own["docs/index.md"])
    done = {}
    for page, text in {**own, **made}.items():
        try:
            done[placed[page]] = above.get(page, "") + links.rewritten(text, page, placed[page], placed, elsewhere) + below.get(page, "")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise Failed("\n".join(problems))
    done |= reference.lists(known)
    for place, text in done.items():
        (sources / place).parent.mkdir(parents=True, exist_ok=True)
        (sources / place).write_text(text, encoding="utf-8")
    shutil.copytree(root / "docs/images", sources / "images")
    site = {"version": galaxy["version"], "repository": galaxy["repository"], "options": options}
    (sources / "site.json").write_text(json.dumps(site), encoding="utf-8")
    return len(done)


def handed_out(root: Path) -> set[str]:
    """Return the names of facts that roles set for each other."""
    found: set[str] = set()
    for path in root.glob("roles/*/tasks/*.yml"):
        for task in yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or []:
            found |= set(task.get("ansible.builtin.set_fact", {}))
    return found


def run(what: str, *command: str, **environment: str) -> None:
    """Run a program and show its output only when it fails.

    Raises:
        Failed: it failed.
    """
    done = subprocess.run(command, env=os.environ | environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Failed(f"{done.stdout.strip()}\n{what} failed")


def build(root: Path, work: Path) -> Path:
    """Build the site in a folder of its own and return the folder of the finished pages.

    Raises:
        Failed: antsibull-docs or Sphinx found something wrong, or a link of the finished site leads nowhere.
    """
    shutil.rmtree(work, ignore_errors=True)
    sources, target = work / "sources", work / "html"
    (sources / "reference").mkdir(parents=True)
    # antsibull-docs wants nobody else to be able to write there.
    (sources / "reference").chmod(0o755)
    gather(root, sources)
    reference.prepare(root, work / "collections")
    # Settings of a user's own are none of the site's.
    settings = work / "ansible.cfg"
    settings.write_text("[defaults]\n", encoding="utf-8")
    programs = Path(sys.executable).parent
    run(
        "antsibull-docs",
        str(programs / "antsibull-docs"), "--config-file", str(HERE / "antsibull-docs.cfg"), "collection", "--use-current", "--squash-hierarchy",
        "--fail-on-error", "--dest-dir", str(sources / "reference"), reference.COLLECTION,
        ANSIBLE_COLLECTIONS_PATH=str(work / "collections"), ANSIBLE_CONFIG=str(settings), PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
    )  # fmt: skip
    reference.tidy(sources / "reference")
    # Everything anew each time: what Sphinx keeps of an unchanged page would hide that a link in it broke.
    run(
        "Sphinx", sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(work / "doctrees"), "-c", str(HERE),
        str(sources), str(target), PYTHONDONTWRITEBYTECODE="1", OPENMLOPS_SITE=str(sources / "site.json"),
    )  # fmt: skip
    problems = check.problems(target)
    if problems:
        raise Failed("\n".join(problems) + f"\n{len(problems)} broken links")
    return target


def replaceable(place: Path) -> bool:
    """Return whether a folder may be replaced by the site: it is not there, is empty, or is a site already, by Sphinx' own mark."""
    return not place.exists() or (place.is_dir() and ((place / ".buildinfo").is_file() or not any(place.iterdir())))


def main(arguments: list[str]) -> int:
    """Build the site in the first folder and put it in place of the second."""
    work, place = Path(arguments[0]), Path(arguments[1])
    if not replaceable(place):
        print(f"error: OUTPUT_DIR={place} holds something else than an earlier site: name an empty folder, or one that is not there", file=sys.stderr)
        return 2
    try:
        done = build(ROOT, work)
    except Failed as error:
        print(error, file=sys.stderr)
        print("error: the site was not built", file=sys.stderr)
        return 1
    pages = len(list(done.rglob("*.html")))
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(done, place)
    shutil.rmtree(work)
    print(f"site: {pages} pages, every link leads somewhere: {place}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
