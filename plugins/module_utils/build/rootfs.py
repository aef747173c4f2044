# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the root file system that the base image starts from, with debootstrap and this machine's mirror."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build import hostconf
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.process import Runner, find_program

# What debootstrap leaves and no image needs.
LEFTOVERS = (
    "var/cache/apt/archives/*.deb",
    "var/cache/apt/*.bin",
    "var/lib/apt/lists/*",
    "var/log/*.log",
    "dev/*",
)
# So that the file system becomes an image in the same way as everything else.
CONTAINERFILE = "FROM scratch\nADD rootfs.tar /\n"


def make(codename: str, scratch: Path, runner: Runner) -> Path:
    """Make a minimal system.

    Args:
        codename: the suite, for instance ``bookworm``.
        scratch: folder to work in.
        runner: runs debootstrap.

    Returns:
        A folder with a Containerfile that makes an image of it.
    """
    program = find_program("debootstrap")
    if not program:
        raise BuildError("the program debootstrap is missing: install the Debian package debootstrap")
    sources = hostconf.apt_sources(codename)
    system = scratch / "system"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    environment["PATH"] = f"{environment.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    # Everything is thrown away when it does not succeed: flushing each file to the disk would double the time.
    eatmydata = find_program("eatmydata")
    runner.run(
        [
            *([eatmydata] if eatmydata else []),
            program,
            "--variant=minbase",
            "--include=ca-certificates,tzdata",
            codename,
            str(system),
            sources[0][0],
        ],
        env=environment,
        private_mounts=True,
    )
    lines = [f"deb {address} {suite} {components}" for address, suite, components in sources]
    (system / "etc/apt/sources.list").write_text("\n".join([*lines, ""]))
    for pattern in LEFTOVERS:
        for path in system.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name in ("etc/resolv.conf", "etc/hostname", "etc/machine-id"):
        (system / name).unlink(missing_ok=True)
    target = scratch / "rootfs"
    target.mkdir()
    (target / "Containerfile").write_text(CONTAINERFILE)
    archive = str(target / "rootfs.tar")
    runner.run(["tar", "--numeric-owner", "--create", "--file", archive, "--directory", str(system), "."])
    shutil.rmtree(system)
    return target
