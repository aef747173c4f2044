# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the builder: each says what failed and what to do about it."""

from __future__ import annotations

from pathlib import Path


class BuildError(Exception):
    """A build that cannot go on. The text is shown to the person as it is."""


class Cancelled(BuildError):
    """The build was stopped because another one failed."""


class ProgramFailed(BuildError):
    """A program that a build runs ended with an error.

    Attributes:
        log: the file that holds everything the program printed.
    """

    def __init__(self, artifact: str, text: str, log: Path) -> None:
        super().__init__(text)
        self.artifact = artifact
        self.log = log
