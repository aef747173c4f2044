# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings models from where they are kept to folders: arguments are address and folder, in turn, as KServe gives them.

The keys of stores come from the environment, as kserve_storage reads them. A failure is one line, which names the address.
"""

from __future__ import annotations

import sys
from pathlib import Path


def pairs(arguments: list[str]) -> list[tuple[str, str]]:
    """Returns address and folder of each model.

    Raises:
        SystemExit: an address has no folder, or there is none at all.
    """
    if not arguments or len(arguments) % 2:
        sys.exit("fetch-models ADDRESS FOLDER [ADDRESS FOLDER]...: each address needs a folder")
    return list(zip(arguments[::2], arguments[1::2]))


def fetch(address: str, folder: str, storage) -> None:
    """Brings one model.

    Args:
        storage: ``kserve_storage.Storage``.

    Raises:
        SystemExit: it cannot be had, or there is nothing at the address.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        storage.download(address, folder)
    except Exception as error:  # pylint: disable=broad-except  # whatever a store's client raises
        sys.exit(f"{address}: {type(error).__name__}: {error}")
    if not any(Path(folder).iterdir()):
        sys.exit(f"{address}: there is nothing")


def main() -> None:
    """Brings all that the arguments name."""
    wanted = pairs(sys.argv[1:])
    # Here, so that the rest can be tested without it.
    from kserve_storage import Storage

    for address, folder in wanted:
        fetch(address, folder, Storage)
        print(f"{address} is in {folder}")


if __name__ == "__main__":
    main()
