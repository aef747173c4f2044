# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds container images with buildah, without a container engine, and keeps everything below the cache."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build import hostconf
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError, ProgramFailed
from ansible_collections.openmlops.platform.plugins.module_utils.build.process import Runner, find_program
from ansible_collections.openmlops.platform.plugins.module_utils.build.spec import Image
from ansible_collections.openmlops.platform.plugins.module_utils.build.store import put

POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


class Buildah:
    """buildah with its storage in a folder of ours.

    Args:
        storage: that folder.
        runner: runs buildah.
    """

    def __init__(self, storage: Path, runner: Runner) -> None:
        program = find_program("buildah")
        if not program:
            raise BuildError("the program buildah is missing: install the Debian package buildah")
        self.program = program
        self.storage = storage
        self.runner = runner

    @contextmanager
    def session(self) -> Iterator[None]:
        """Use the storage. Whoever finds it unused first removes what killed builds left in it."""
        self.storage.mkdir(parents=True, exist_ok=True)
        with (self.storage / "lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(stream, fcntl.LOCK_SH)
            else:
                self._recover()
                fcntl.flock(stream, fcntl.LOCK_SH)
            yield

    def run(self, command: str, *arguments: str) -> str:
        """Run one buildah command and return what it printed."""
        driver = (self.storage / "driver").read_text().strip()
        return self._buildah(driver, command, *arguments)

    def has(self, reference: str) -> bool:
        """Whether the storage holds the image *reference*."""
        listed = self.run("images", "--noheading", "--format", "{{.Name}}:{{.Tag}}")
        return reference in listed.split()

    def load(self, reference: str, archive: Path) -> None:
        """Bring a finished image back into the storage."""
        identity = self.run("pull", "--quiet", f"oci-archive:{archive}").split()[-1]
        self.run("tag", identity, reference)

    def forget_others(self, reference: str) -> None:
        """Remove the images that *reference* replaces from the storage; their archives stay."""
        repository = reference.rsplit(":", 1)[0]
        listed = self.run("images", "--noheading", "--format", "{{.Name}}:{{.Tag}}").split()
        for other in listed:
            if other != reference and other.rsplit(":", 1)[0] == repository:
                try:
                    self.run("rmi", other)
                except ProgramFailed:
                    # Another build stands on it right now; the next one removes it.
                    continue

    def build(
        self, image: Image, reference: str, base: str, context: Path, labels: dict[str, str], config: Path
    ) -> None:
        """Build one image into the storage.

        Args:
            image: what to build.
            reference: its name.
            base: name of the image that its Containerfile starts from, or "".
            context: folder with its Containerfile and files.
            labels: labels beside those of the Containerfile.
            config: a fresh folder for this machine's settings of apt and pip.
        """
        mounts = [f"{config}:{hostconf.MOUNT}:ro", *hostconf.write(config)]
        arguments = ["--pull=never", "--format", "oci", "--isolation", "chroot", "--network", "host", "--omit-history"]
        for mount in mounts:
            arguments += ["--volume", mount]
        for key, value in labels.items():
            arguments += ["--label", f"{key}={value}"]
        declared = (context / "Containerfile").read_text()
        values = {
            "APT_CONFIG": f"{hostconf.MOUNT}/apt.conf",
            "PIP_CONFIG_FILE": f"{hostconf.MOUNT}/pip.conf",
            "BASE": base,
        }
        for key, value in values.items():
            if value and f"\nARG {key}" in f"\n{declared}":
                arguments += ["--build-arg", f"{key}={value}"]
        arguments += ["--file", str(context / "Containerfile"), "--tag", reference, str(context)]
        self.run("build", *arguments)

    def save(self, reference: str, target: Path, scratch: Path) -> None:
        """Write an image as an archive under its full name."""
        archive = scratch / "image.tar"
        self.run("push", "--quiet", reference, f"oci-archive:{archive}:{reference}")
        put(archive, target)

    def _buildah(self, driver: str, command: str, *arguments: str) -> str:
        policy = self.storage / "policy.json"
        if not policy.exists():
            policy.write_text(POLICY)
        temporary = self.storage / "tmp"
        temporary.mkdir(exist_ok=True)
        signature = ["--signature-policy", str(policy)] if command in ("build", "pull", "push") else []
        options = ["--root", str(self.storage / "root"), "--runroot", str(self.storage / "run")]
        return self.runner.run(
            [self.program, *options, "--storage-driver", driver, command, *signature, *arguments],
            env={**os.environ, "TMPDIR": str(temporary)},
            private_mounts=True,
        )

    def _recover(self) -> None:
        """Nobody else uses the storage: forget mounts of before a restart, containers and files of killed builds."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        marker = self.storage / "boot"
        if not marker.exists() or marker.read_text() != boot:
            shutil.rmtree(self.storage / "run", ignore_errors=True)
            marker.write_text(boot)
        shutil.rmtree(self.storage / "tmp", ignore_errors=True)
        if not (self.storage / "driver").exists():
            self._choose_driver()
        elif (self.storage / "root").exists():
            try:
                self.run("rm", "--all")
            except ProgramFailed:
                # A storage torn by a power cut holds nothing that cannot be had from the archives: start it anew.
                self._wipe()

    def _choose_driver(self) -> None:
        """Overlay where the file system allows it, else plain copies."""
        for driver in ("overlay", "vfs"):
            self._wipe()
            try:
                self._buildah(driver, "images", "--quiet")
            except ProgramFailed:
                if driver == "vfs":
                    raise
            else:
                (self.storage / "driver").write_text(driver)
                return

    def _wipe(self) -> None:
        for name in ("root", "run"):
            shutil.rmtree(self.storage / name, ignore_errors=True)


def context(image: Image, binaries: dict[str, Path], folder: Path) -> Path:
    """Make the folder that an image is built from: the image's own files, and its programs in bin/.

    Args:
        image: the image.
        binaries: its programs, by name.
        folder: a folder to make it in.

    Returns:
        The new folder.
    """
    target = folder / "context"
    shutil.copytree(image.folder, target, symlinks=True)
    if binaries:
        (target / "bin").mkdir(exist_ok=True)
    for name, path in binaries.items():
        shutil.copyfile(path, target / "bin" / name)
        (target / "bin" / name).chmod(0o755)
    return target
