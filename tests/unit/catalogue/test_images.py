# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.images import image
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.lock import CatalogueError

ENTRIES = {"web": {"images": {
    "server": {"repository": "ghcr.io/example/web", "tag": "1.0", "built": "mlflow"}, "port": {"repository": "localhost:5000/x/web", "tag": 2},
    "unpublished": {"repository": "localhost/x/web", "tag": "1"}, "short": {"repository": "nginx", "tag": "1"},
    "user": {"repository": "library/nginx", "tag": "1"},
}}, "none": {}}


@pytest.fixture
def locked(monkeypatch):
    monkeypatch.setattr(lock, "components", lambda: ENTRIES)


@pytest.mark.parametrize(
    ("name", "registry", "repository"),
    [
        ("web/server", "", "ghcr.io/example/web"),
        ("web/server", "mirror.example.org", "mirror.example.org/example/web"),
        ("web/server", "mirror.example.org:5000/deep/path/", "mirror.example.org:5000/deep/path/example/web"),
        ("web/port", "mirror.example.org", "mirror.example.org/x/web"),
        ("web/unpublished", "mirror.example.org", "mirror.example.org/x/web"),
        ("web/short", "mirror.example.org", "mirror.example.org/nginx"),
        ("web/user", "mirror.example.org", "mirror.example.org/library/nginx"),
        ("web/short", "", "nginx"),
    ],
)
def test_upstream_and_mirror(locked, name, registry, repository):
    tag = str(ENTRIES["web"]["images"][name.partition("/")[2]]["tag"])
    assert image(name, "upstream", registry) == {"repository": repository, "tag": tag, "reference": f"{repository}:{tag}"}


def test_built(locked):
    found = image("web/server", "built")
    assert found["repository"] == "localhost/openmlops/mlflow" and len(found["tag"]) == 12
    assert found["reference"] == f"{found['repository']}:{found['tag']}"
    pushed = image("web/server", "built", "mirror.example.org/ml")
    assert pushed["repository"] == "mirror.example.org/ml/openmlops/mlflow" and pushed["tag"] == found["tag"]


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [("none", "upstream", "component 'none' has no image ''"), ("web", "upstream", "no image '', only"),
     ("web/none", "upstream", r"no image 'none', only \['port', 'server'"), ("x/y", "upstream", "no component 'x'"),
     ("web/server", "bulit", "platform_image_source is 'bulit': set it to upstream or built"),
     ("web/short", "built", "'web/short' is not among those built here")],
)
def test_errors(locked, name, source, message):
    with pytest.raises(CatalogueError, match=message):
        image(name, source)


@pytest.mark.parametrize("source", ["upstream", "built"])
@pytest.mark.parametrize("name", [f"{component}/{role}" for component, entry in lock.components().items() for role in entry.get("images") or {}])
def test_every_image_of_the_lock_file(name, source):
    """The names end up in manifests, where Kubernetes wants them complete."""
    entry = lock.component(name.partition("/")[0])["images"][name.partition("/")[2]]
    if source == "built" and not entry.get("built"):
        pytest.skip("upstream only")
    found = image(name, source)
    host = found["repository"].partition("/")[0]
    assert "." in host or host == "localhost"
    assert found["tag"] and found["tag"] != "latest" and " " not in found["reference"]


def test_chart():
    assert lock.chart("postgresql/cloudnative-pg")["name"] == "cloudnative-pg"
    with pytest.raises(CatalogueError, match="component 'local_cluster' has no chart 'x'"):
        lock.chart("local_cluster/x")
