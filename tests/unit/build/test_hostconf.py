# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the machine that hold inside image builds."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.build import hostconf
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError


def test_pip_settings_from_files_and_environment(tmp_path):
    path = tmp_path / "pip.conf"
    path.write_text(
        "[global]\nindex-url = https://mirror.test/simple\nrequire-virtualenv = true\n[install]\nno_index = false\n"
    )
    settings = hostconf.pip_settings({"PIP_RETRIES": "9", "PIP_USER": "1", "PIP_DEFAULT_TIMEOUT": "60"}, [path])
    assert settings == {"index-url": "https://mirror.test/simple", "no-index": "false", "retries": "9", "timeout": "60"}


def test_environment_wins(tmp_path):
    path = tmp_path / "pip.conf"
    path.write_text("[global]\nindex-url = https://file.test\n")
    assert hostconf.pip_settings({"PIP_INDEX_URL": "https://env.test"}, [path])["index-url"] == "https://env.test"


def test_settings_are_written_with_paths_of_the_build(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    bundle = tmp_path / "own.pem"
    bundle.write_text("certificate")
    folder = tmp_path / "config"
    folder.mkdir()
    mounts = hostconf.write(
        folder, {"HOME": str(tmp_path), "PIP_CERT": str(bundle), "PIP_FIND_LINKS": f"{wheels} https://more.test"}
    )
    assert mounts == [f"{wheels}:/mnt/wheels0:ro"]
    assert (folder / "ca.pem").read_text() == "certificate"
    text = (folder / "pip.conf").read_text()
    assert "cert = /mnt/ca.pem" in text
    assert "find-links = /mnt/wheels0\n  https://more.test" in text
    assert 'Acquire::https::CAInfo "/mnt/ca.pem";' in (folder / "apt.conf").read_text()


def test_no_mirror_is_a_clear_error():
    with pytest.raises(BuildError, match="image/base"):
        hostconf.apt_sources("no-such-suite")
