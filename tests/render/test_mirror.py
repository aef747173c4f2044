# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror filled and read by the real programs: Helm, and skopeo where it is installed."""
from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.mirror import copying, listing, manifests
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.listing import Chart, Image
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.running import Helm, ProgramError, Skopeo
from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins
from ansible_collections.openmlops.platform.tests.unit.mirror.registry import MANIFEST, Registry

WORDS = {"word": "s3cret/w:ord", "wrong": "other"}


@pytest.fixture
def registry():
    with Registry(robot=WORDS["word"]) as found:
        yield found


def login_file(registry, variable="word"):
    found = logins.parse([{"server": registry.address, "username": "robot", "password_variable": variable}])
    return logins.file(logins.auths(found, WORDS.get))


@pytest.fixture
def upstream(helm, tmp_path):
    """A chart repository by HTTP, as upstream's are, and the chart's entry."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    chart = tmp_path / "demo"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: v1.2.3\n")
    (chart / "templates" / "pod.yaml").write_text("kind: Pod\napiVersion: v1\nmetadata: {name: demo}\n")
    subprocess.run([helm, "package", str(chart), "--destination", str(folder)], check=True, capture_output=True)
    subprocess.run([helm, "repo", "index", str(folder)], check=True, capture_output=True)
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *args: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Chart("demo", "v1.2.3", f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()


def with_target(chart, target):
    return Chart(chart.name, chart.version, chart.repository, target)


def test_a_folder_of_charts(helm, upstream, tmp_path):
    worker = copying.Charts(Helm(helm, "", tmp_path), lambda line: None)
    wanted = with_target(upstream, str(tmp_path / "charts" / "demo-v1.2.3.tgz"))
    found = worker.copy(worker.look(wanted))
    assert found.state == listing.PRESENT, found
    shown = subprocess.run([helm, "template", "x", wanted.target], capture_output=True, text=True, check=True).stdout
    assert "kind: Pod" in shown


def test_a_registry_of_charts_behind_a_login(helm, upstream, registry, tmp_path):
    wanted = with_target(upstream, f"oci://{registry.address}/ml/charts/demo:v1.2.3")
    with login_file(registry) as path:
        worker = copying.Charts(Helm(helm, path, tmp_path / "one", plain_http=True), lambda line: None)
        looked = worker.look(wanted)
        assert looked.state == listing.MISSING, looked
        found = worker.copy(looked)
        assert found.state == listing.PRESENT, found
        registry.written.clear()
        assert worker.look(wanted).state == listing.PRESENT and not registry.written
        # As `platform_chart_source: oci://...` makes Helm read it.
        read = subprocess.run([helm, "template", "x", f"oci://{registry.address}/ml/charts/demo", "--version", "v1.2.3", "--plain-http"],
                              capture_output=True, text=True, check=False, env={"HELM_REGISTRY_CONFIG": path, "HELM_CACHE_HOME": str(tmp_path)})
        assert "kind: Pod" in read.stdout, read.stderr
    with login_file(registry, "wrong") as path:
        worker = copying.Charts(Helm(helm, path, tmp_path / "two", plain_http=True), lambda line: None)
        found = worker.look(wanted)
        assert found.state == listing.FAILED and WORDS["wrong"] not in found.note


@pytest.fixture
def skopeo():
    found = shutil.which("skopeo")
    if not found:
        pytest.skip("the program skopeo is missing: install the Debian package skopeo")
    return found


def small_image(registry, name, tag):
    """Puts an image without layers into the registry; returns its digest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    digest = manifests.digest(config)
    registry.blobs[digest] = config
    raw = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "annotations": {"tag": tag}, "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}}).encode()
    return registry.put(name, tag, raw)


def test_an_archive_to_a_registry_behind_a_login(skopeo, registry, tmp_path):
    with Registry() as source:
        digest = small_image(source, "up/web", "1")
        archive = tmp_path / "web.tar"
        subprocess.run([skopeo, "copy", "--src-tls-verify=false", f"docker://{source.address}/up/web:1", f"oci-archive:{archive}:web:1"],
                       check=True, capture_output=True)
    with login_file(registry) as path:
        worker = copying.Images(Skopeo(skopeo, path, validate_certs=False), {"web": archive}, "", lambda line: None)
        looked = worker.look([Image("web/server", "localhost/openmlops/web:1", listing.BUILT, f"{registry.address}/ml/web:1", built="web")])
        assert looked[0].state == listing.MISSING and looked[0].digest == manifests.archive_digest(archive), looked
        (done,) = worker.copy(looked)
        assert done.state == listing.PRESENT, done
        assert ("ml/web", done.digest) in registry.manifests and digest
        registry.written.clear()
        assert worker.copy(worker.look([done])) == [done] and not registry.written


def test_a_wrong_password_is_no_empty_registry(skopeo, registry):
    small_image(registry, "ml/web", "1")
    with login_file(registry, "wrong") as path, pytest.raises(ProgramError) as caught:
        Skopeo(skopeo, path, validate_certs=False).manifest(f"{registry.address}/ml/web:1", mirror=True)
    assert not caught.value.not_there and WORDS["wrong"] not in str(caught.value)
    with login_file(registry) as path, pytest.raises(ProgramError) as caught:
        Skopeo(skopeo, path, validate_certs=False).manifest(f"{registry.address}/ml/none:1", mirror=True)
    assert caught.value.not_there
