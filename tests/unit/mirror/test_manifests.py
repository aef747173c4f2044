# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import json
import tarfile

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.mirror import manifests
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.manifests import ManifestError

LIST = json.dumps({"manifests": [
    {"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}},
    {"digest": "sha256:arm", "platform": {"os": "linux", "architecture": "arm64"}},
    {"digest": "sha256:sign", "platform": {"os": "unknown", "architecture": "unknown"}},
]}).encode()
ONE = b'{"config": {}, "layers": []}'


def test_digest_is_that_of_the_bytes():
    # printf '{}' | sha256sum
    assert manifests.digest(b"{}") == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_one_architecture_of_a_list():
    assert manifests.digest_for(LIST, "arm64") == "sha256:arm"
    assert manifests.digest_for(LIST, "") == manifests.digest(LIST)
    assert manifests.digest_for(ONE, "arm64") == manifests.digest(ONE)
    with pytest.raises(ManifestError, match="not there for linux/s390x, only for amd64, arm64"):
        manifests.digest_for(LIST, "s390x")


@pytest.mark.parametrize("raw", [b"<html>", b"[]", b""])
def test_no_manifest(raw):
    with pytest.raises(ManifestError, match="no manifest"):
        manifests.digest_for(raw, "amd64")


def archive(path, name, content):
    with tarfile.open(path, "w") as stream:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        stream.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["index.json", "./index.json"])
def test_archive(tmp_path, name):
    found = archive(tmp_path / "a.tar", name, json.dumps({"manifests": [{"digest": "sha256:one"}]}).encode())
    assert manifests.archive_digest(found) == "sha256:one"


@pytest.mark.parametrize(("name", "content"), [("other", b"{}"), ("index.json", b"{"), ("index.json", b'{"manifests": []}'),
                                               ("index.json", b'{"manifests": [{"digest": 1}, {"digest": 2}]}')])
def test_no_archive(tmp_path, name, content):
    with pytest.raises(ManifestError, match="a.tar is no archive with one image"):
        manifests.archive_digest(archive(tmp_path / "a.tar", name, content))
    with pytest.raises(ManifestError, match="is no archive"):
        manifests.archive_digest(tmp_path / "none.tar")
