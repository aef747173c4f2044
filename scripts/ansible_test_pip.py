# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a pip installer where ansible-test looks before it downloads one.

Usage: ansible_test_pip.py HOME

The stand-in unpacks the pip that Python itself carries (ensurepip) into the virtual environment it is run from.
ansible-test then installs what it needs with it. It hides pip's environment variables and, having HOME of its own, the
user's pip.conf; so pip's settings, wherever they come from, are written to HOME/.config/pip/pip.conf.
"""

from __future__ import annotations

import ast
import configparser
import subprocess
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


def pip_settings() -> dict[str, dict[str, str]]:
    """Return pip's settings by section, those of the environment last so that they win, and quiet."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    settings: dict[str, dict[str, str]] = {"global": {}}
    for line in listing.splitlines():
        name, _equals, value = line.partition("=")
        section, _dot, key = name.rpartition(".")
        section = "global" if section == ":env:" else section
        settings.setdefault(section, {})[key] = ast.literal_eval(value)
    settings["global"] |= {"quiet": "1", "disable-pip-version-check": "true"}
    return settings


def main() -> None:
    """Write the stand-in and the settings."""
    home = Path(sys.argv[1])
    stand_in = home / f".ansible/test/cache/get_pip_{pip_version().replace('.', '_')}.py"
    config = home / ".config/pip/pip.conf"
    for path in (stand_in, config):
        path.parent.mkdir(parents=True, exist_ok=True)
    stand_in.write_text(STAND_IN, encoding="utf-8")
    parser = configparser.RawConfigParser()
    parser.read_dict(pip_settings())
    with config.open("w", encoding="utf-8") as file:
        parser.write(file)


if __name__ == "__main__":
    main()
