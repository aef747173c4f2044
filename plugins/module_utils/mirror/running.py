# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs skopeo and Helm for a mirror. Logins come from a file that the environment names, never from the command line."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

# Words for "it is not there" of registries, skopeo and Helm; everything else that goes wrong is an error.
_NOT_THERE = re.compile(r"manifest[ _]unknown|name[ _]unknown|not found|no such manifest|repository name not known|does not exist|: 404",
                        re.IGNORECASE)
# The frame of skopeo's log around its words, and the near end of a connection: both differ each time, and the list must not.
_FRAME = re.compile(r'^time="[^"]*" level=\w+ msg="(.*)"$')
_NEAR_END = re.compile(r"[0-9.]+:\d+->|\[[0-9a-f:]+\]:\d+->")
LOOK_SECONDS, COPY_SECONDS = 120, 3600


class ProgramError(Exception):
    """A program failed; the message is its last words."""

    @property
    def not_there(self) -> bool:
        """Whether it failed since what it was asked for is not in the registry."""
        return bool(_NOT_THERE.search(str(self)))


def run(arguments: list[str], environment: dict[str, str], seconds: float) -> bytes:
    """Runs a program and returns its standard output.

    Raises:
        ProgramError: it failed, or took longer than ``seconds``.
    """
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # run on the controller
            arguments, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, env={**os.environ, **environment})
    except subprocess.TimeoutExpired:
        raise ProgramError(f"{Path(arguments[0]).name} took more than {seconds:.0f} s") from None
    except OSError as error:
        raise ProgramError(f"{arguments[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        words = last_words(done.stderr.decode(errors="replace"))
        raise ProgramError(words or f"{Path(arguments[0]).name} ended with status {done.returncode}")
    return done.stdout


def last_words(text: str) -> str:
    """Returns the end of what a program said, the same for the same reason: without times and the ports of connections."""
    lines = [found[1].replace('\\"', '"') if (found := _FRAME.match(line)) else line for line in text.strip().splitlines()[-3:]]
    return _NEAR_END.sub("", " ".join(lines))[-600:]


class Skopeo:
    """Looks at images and copies them.

    Args:
        program: path of skopeo.
        logins: path of a file with logins; empty: skopeo's own.
        validate_certs: whether the mirror must have a certificate that is trusted here; false also allows plain HTTP.
        architecture: of several architectures only this one; empty: all.
    """

    def __init__(self, program: str, logins: str, validate_certs: bool = True, architecture: str = "") -> None:
        self._program, self._validate, self._architecture = program, validate_certs, architecture
        self._environment = {"REGISTRY_AUTH_FILE": logins} if logins else {}

    def manifest(self, reference: str, mirror: bool = False) -> bytes:
        """Returns the bytes of the manifest (or list of manifests) that a registry has; ``mirror``: of the mirror.

        Raises:
            ProgramError: it is not there, or the registry does not answer.
        """
        tls = [f"--tls-verify={str(self._validate).lower()}"] if mirror else []
        return run([self._program, "inspect", "--raw", *tls, f"docker://{reference}"], self._environment, LOOK_SECONDS)

    def copy(self, source: str, target: str) -> None:
        """Copies an image to the mirror, with its digest as it is.

        Args:
            source: with its transport, such as ``docker://...`` or ``oci-archive:...``.
            target: reference in the mirror.
        """
        which = ["--override-os=linux", f"--override-arch={self._architecture}"] if self._architecture else []
        whole = [] if self._architecture else ["--all"]
        run([self._program, *which, "copy", *whole, "--preserve-digests", "--retry-times=2", "--quiet",
             f"--dest-tls-verify={str(self._validate).lower()}", source, f"docker://{target}"], self._environment, COPY_SECONDS)


class Helm:
    """Looks at charts, pulls and pushes them.

    Args:
        program: path of Helm.
        logins: path of a file with logins; empty: Helm's own.
        scratch: folder for what Helm keeps while it works.
        plain_http: whether the mirror speaks HTTP only.
    """

    def __init__(self, program: str, logins: str, scratch: Path, plain_http: bool = False) -> None:
        self._program, self._plain = program, ["--plain-http"] if plain_http else []
        self._environment = {"HELM_CACHE_HOME": str(scratch / "cache"), "HELM_DATA_HOME": str(scratch / "data"),
                             "HELM_REPOSITORY_CONFIG": str(scratch / "repositories.yaml"),
                             **({"HELM_REGISTRY_CONFIG": logins} if logins else {})}

    def has(self, target: str) -> bool:
        """Tells whether a registry has the chart ``oci://HOST/PATH/NAME:VERSION``."""
        place, version = chart_place(target)
        try:
            self._run("show", "chart", place, "--version", version, *self._plain)
        except ProgramError as error:
            if error.not_there:
                return False
            raise
        return True

    def pull(self, ref: str, version: str, repository: str | None, folder: Path) -> Path:
        """Pulls a chart into an empty folder and returns its file.

        Args:
            ref: ``oci://...``, or the chart's name in ``repository``.
        """
        where = ["--repo", repository] if repository else []
        self._run("pull", ref, *where, "--version", version, "--destination", str(folder))
        found = sorted(folder.glob("*.tgz"))
        if len(found) != 1:
            raise ProgramError(f"helm pull left {len(found)} files of {ref} {version}")
        return found[0]

    def push(self, file: Path, place: str) -> None:
        """Pushes a chart's file to ``oci://HOST/PATH``."""
        self._run("push", str(file), place, *self._plain)

    def _run(self, *arguments: str) -> bytes:
        return run([self._program, *arguments], self._environment, LOOK_SECONDS)


def chart_place(target: str) -> tuple[str, str]:
    """Splits ``oci://HOST/PATH/NAME:VERSION`` into the chart's place and its version."""
    place, _colon, version = target.rpartition(":")
    return place, version
