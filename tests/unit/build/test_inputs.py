# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names by hash."""

from __future__ import annotations

import re
import time
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build import inputs, spec

COLLECTION = Path(__file__).resolve().parents[3]


def test_reference_without_building(root):
    reference = inputs.image_reference(root, "top")
    assert reference["repository"] == "localhost/openmlops/top"
    assert re.fullmatch(r"15-[0-9a-f]{12}", reference["tag"])
    assert reference["reference"] == f"{reference['repository']}:{reference['tag']}"


def test_hash_follows_everything_below(root):
    names = ["binary/hello", "image/bottom", "image/top"]

    def hashes() -> list[str]:
        return [inputs.Inputs(root).hash(name) for name in names]

    before = hashes()
    assert hashes() == before
    with (root / "cluster/hello/main.go").open("a") as stream:
        stream.write("// changed\n")
    program = hashes()
    assert [old == new for old, new in zip(before, program)] == [False, True, False]
    (root / "images/bottom/extra").write_text("x")
    assert [old == new for old, new in zip(program, hashes())] == [True, False, False]


def test_hash_sees_names_and_modes(root):
    folder = root / "images/bottom"
    (folder / "a").write_text("x")
    first = inputs.folder_hash(folder)
    (folder / "a").chmod(0o755)
    second = inputs.folder_hash(folder)
    (folder / "a").rename(folder / "b")
    assert len({first, second, inputs.folder_hash(folder)}) == 3


def test_cache_folder():
    assert inputs.cache_dir({"OPENMLOPS_CACHE": "/c"}) == Path("/c")
    assert inputs.cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/openmlops")
    assert inputs.cache_dir({}) == Path("~/.cache/openmlops").expanduser()


def test_suite(tmp_path):
    path = tmp_path / "os-release"
    path.write_text('NAME="Debian"\nVERSION_CODENAME=bookworm\n')
    assert inputs.suite(path) == "bookworm"
    assert inputs.suite(tmp_path / "none") == ""


def test_all_our_hashes_take_less_than_a_tenth_of_a_second():
    start = time.perf_counter()
    ours = inputs.Inputs(COLLECTION)
    hashes = {ours.hash(f"{kind}/{name}") for kind in spec.KINDS for name in spec.names(COLLECTION, kind)}
    assert len(hashes) >= 17
    assert time.perf_counter() - start < 0.1
