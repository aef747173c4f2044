# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a pip installer where ansible-test looks before it downloads one.

Usage: ansible_test_pip.py FOLDER

The stand-in unpacks the pip that Python itself carries (ensurepip) into the virtual environment it is run from.
ansible-test then installs what it needs from the package index that the user has configured.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from ansible_test._internal import python_requirements

STAND_IN = '''\
"""Stand-in for get-pip.py: see scripts/ansible_test_pip.py."""
import os
import subprocess
import sys

environment = {name: value for name, value in os.environ.items() if name != "GET_PIP"}
subprocess.check_call([sys.executable, "-m", "ensurepip"], env=environment, stdout=subprocess.DEVNULL)
'''


def pip_version() -> str:
    """Return the pip version that the installed ansible-test asks for with this Python, for example ``25.2``."""
    this = SimpleNamespace(version="%d.%d" % sys.version_info[:2])
    return python_requirements.get_venv_packages(this)["pip"]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"get_pip_{pip_version().replace('.', '_')}.py").write_text(STAND_IN, encoding="utf-8")


if __name__ == "__main__":
    main()
