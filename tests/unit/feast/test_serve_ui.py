# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feast's user interface below a path."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "roles/feast/files/serve_ui.py"
# As in the build of Feast 0.66.
BUILD = {
    "index.html": '<link rel="icon" href="/feast.png"/><a href="https://x"></a><script src="/static/js/main.1a.js"></script>',
    "static/js/main.1a.js":
        '__webpack_require__.p="/",x;({r:e})=>{const n=e||xae,r="";return(0,dw.jsx)(Pe,{basename:r,future:{}})};'
        'var b="";return(0,dw.jsx)(Pe,{name:b});const SM="/api/v1";fetch("/api/mlflow-runs");u.includes("/api/");fetch(`/api/v1/x`)',
    "static/css/main.2b.css": "a{background:url(/static/x.svg)}b{background:url(//cdn/x)}",
}


@pytest.fixture(scope="module")
def serve_ui():
    spec = importlib.util.spec_from_file_location("serve_ui", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build(tmp_path):
    for name, text in BUILD.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_links_from_the_root_get_the_prefix(serve_ui, build):
    found = serve_ui.rewritten(build, "/feast")
    assert found["/index.html"] == (
        '<link rel="icon" href="/feast/feast.png"/><a href="https://x"></a><script src="/feast/static/js/main.1a.js"></script>')
    assert found["/static/js/main.1a.js"] == (
        '__webpack_require__.p="/feast/",x;({r:e})=>{const n=e||xae,r="/feast";return(0,dw.jsx)(Pe,{basename:r,future:{}})};'
        'var b="";return(0,dw.jsx)(Pe,{name:b});const SM="/feast/api/v1";fetch("/feast/api/mlflow-runs");u.includes("/api/");'
        'fetch(`/feast/api/v1/x`)')
    assert found["/static/css/main.2b.css"] == "a{background:url(/feast/static/x.svg)}b{background:url(//cdn/x)}"


def test_another_build_is_refused_with_the_cure(serve_ui, build):
    (build / "static/js/main.1a.js").write_text("nothing of that")
    with pytest.raises(SystemExit, match="feast_prefix to '' and feast_host"):
        serve_ui.rewritten(build, "/feast")


@pytest.mark.parametrize(("asked", "passed"), [
    ("/feast/api/v1/projects", "/api/v1/projects"), ("/feast/static/x.svg", "/static/x.svg"), ("/health", "/health"),
    ("/feastly", "/feastly"), ("/feast", None), ("/feast/", None), ("/feast/p/platform/entity/x", None),
    ("/feast/static/js/main.1a.js", None)])
def test_what_is_served_and_what_is_passed_on(serve_ui, build, asked, passed):
    seen, sent = [], []

    async def app(scope, _receive, _send):
        seen.append((scope["path"], scope["raw_path"]))

    async def send(message):
        sent.append(message)

    below = serve_ui.Below(app, "/feast", serve_ui.rewritten(build, "/feast"))
    asyncio.run(below({"type": "http", "method": "GET", "path": asked, "raw_path": asked.encode()}, None, send))
    assert seen == ([] if passed is None else [(passed, passed.encode())])
    if passed is None:
        assert sent[0]["status"] == 200 and b"/feast/" in sent[1]["body"]
