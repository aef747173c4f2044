# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feast's user interface below a path. `feast ui --root_path` leaves links from the root in pages and scripts.

Reads FEATURE_STORE_YAML_BASE64 as Feast does, and PREFIX, such as /feast; empty for the root.
"""

from __future__ import annotations

import base64
import importlib.resources
import os
import re
import sys
import tempfile
from pathlib import Path

# What stands for the root in the files of Feast's build: in which files, what, and what it becomes (@ is the path).
REPLACED = (
    ("index.html", r'(href|src)="/(?!/)', r'\1="@/'),
    ("static/css/main.*.css", r"url\(/(?!/)", "url(@/"),
    # Where scripts load their parts from, where the pages are, and their API.
    ("static/js/main.*.js", r'(__webpack_require__\.p=)"/"', r'\1"@/"'),
    ("static/js/main.*.js", r'\b([\w$]+)=""(;return\(0,[\w$.]+\)\([\w$]+,\{basename:\1)', r'\1="@"\2'),
    ("static/js/main.*.js", r'(["`])/api/(v1|mlflow-)', r"\1@/api/\2"),
)


def rewritten(build: Path, prefix: str) -> dict[str, str]:
    """Returns the text of the files that change, by path below the prefix.

    Raises:
        SystemExit: this build has not what is to be replaced.
    """
    found: dict[str, str] = {}
    for pattern, old, new in REPLACED:
        count = 0
        for path in build.glob(pattern):
            name = f"/{path.relative_to(build)}"
            text = found.get(name) or path.read_text(encoding="utf-8")
            found[name], times = re.subn(old, new.replace("@", prefix), text)
            count += times
        if not count:
            sys.exit(f"{pattern} of Feast's user interface has no {old}: set feast_prefix to '' and feast_host to a host of its own")
    return found


class Below:
    """An ASGI application below a path, with some of its files replaced."""

    def __init__(self, app, prefix: str, files: dict[str, str]) -> None:
        self.app, self.prefix, self.files = app, prefix, {path: text.encode() for path, text in files.items()}

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            path = scope["path"]
            path = path[len(self.prefix):] if path == self.prefix or path.startswith(f"{self.prefix}/") else path
            page = "/index.html" if path in ("", "/") or path.startswith("/p/") else path
            if page in self.files and scope["method"] in ("GET", "HEAD"):
                await self._send(scope, send, page)
                return
            scope = {**scope, "path": path or "/", "raw_path": (path or "/").encode()}
        await self.app(scope, receive, send)

    async def _send(self, scope, send, page):
        kind = {".html": "text/html", ".css": "text/css"}.get(Path(page).suffix, "text/javascript")
        body = self.files[page]
        # The script's name has a digest of its content; the page that names it must be asked for again.
        age = "no-cache" if page.endswith(".html") else "max-age=3600"
        headers = {"content-type": f"{kind}; charset=utf-8", "content-length": str(len(body)), "cache-control": age}
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def main() -> None:
    """Serves on port 8888."""
    # Here, so that the rest can be tested without Feast.
    import uvicorn
    from feast import FeatureStore
    from feast.ui_server import get_app

    prefix = os.environ.get("PREFIX", "")
    folder = Path(tempfile.mkdtemp())
    (folder / "feature_store.yaml").write_bytes(base64.b64decode(os.environ["FEATURE_STORE_YAML_BASE64"]))
    store = FeatureStore(repo_path=str(folder))
    build = Path(str(importlib.resources.files("feast"))) / "ui" / "build"
    app = get_app(store, store.project, root_path=prefix)
    if prefix:
        app = Below(app, prefix, rewritten(build, prefix))
    uvicorn.run(app, host="0.0.0.0", port=8888, log_level=os.environ.get("LOG_LEVEL", "warning").lower(), server_header=False)


if __name__ == "__main__":
    main()
