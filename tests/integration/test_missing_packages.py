# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine without some of the Debian packages: they are named, and installed only where that is allowed.

The machine is this one, in a mount namespace in which programs are hidden.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def up_without(cluster, programs, *arguments):
    """Runs `make up --check` where these programs are not there; returns its code and its words."""
    script = ["set -e; mount --make-rprivate /"]
    for program in programs:
        found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert found, f"{program} is not installed on this machine"
        script.append(f"mount --bind /dev/null {found}")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "; ".join([*script, 'exec "$@"']), "sh", ROOT / "scripts" / "playbook", "up"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600, stdin=subprocess.DEVNULL,
        env={**os.environ, "CLUSTER": cluster.name, "INVENTORY": "local", "ARGS": " ".join(["--check", *arguments]),
             "ANSIBLE_NOCOLOR": "1"},
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("allowed", [pytest.param(True, marks=pytest.mark.slow), False], ids=["allowed", "forbidden"])
def test_what_the_cluster_needs(cluster, allowed):
    code, text = up_without(cluster, ["conntrack", "ipset"], "-e", f"local_cluster_install_packages={str(allowed).lower()}")
    if allowed:
        assert "Install what the native cluster needs: conntrack, ipset]" in text, text[-3000:]
    else:
        assert code != 0 and text.count("[ERROR]") == 1, text[-3000:]
        assert "apt-get install conntrack ipset" in text and "local_cluster_install_packages to true" in text, text[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "forbidden"])
def test_what_a_build_needs(cluster, tmp_path, allowed):
    code, text = up_without(cluster, ["buildah", "debootstrap"], "-e", f"platform_cache_dir={tmp_path}",
                            "-e", f"local_build_install_packages={str(allowed).lower()}")
    if allowed:
        assert "Install what builds need: buildah, debootstrap]" in text, text[-3000:]
    else:
        assert code != 0 and text.count("[ERROR]") == 1, text[-3000:]
        assert "apt-get install buildah debootstrap" in text and "local_build_install_packages to true" in text, text[-3000:]
