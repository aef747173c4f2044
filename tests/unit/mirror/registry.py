# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small registry, in memory, with a login: enough of https://github.com/opencontainers/distribution-spec for Helm, skopeo and containerd.

As a program: ``registry.py HOST PORT USER=PASSWORD [ARCHIVE=NAME:TAG]...`` serves images from OCI archives.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tarfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """The registry; ``logins`` are those that may enter, none: everybody. ``written`` are (method, path) of what changed something."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, **logins: str) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.written: list[tuple[str, str]] = []
        self.refused = 0
        self.allowed = {"Basic " + base64.b64encode(f"{name}:{word}".encode()).decode() for name, word in logins.items()}
        self.server = ThreadingHTTPServer((host, port), type("Handler", (_Handler,), {"registry": self}))
        self.address = f"{host}:{self.server.server_address[1]}"

    def __enter__(self) -> Registry:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, name: str, tag: str, raw: bytes, kind: str = MANIFEST) -> str:
        """Stores a manifest; returns its digest."""
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        for reference in (tag, digest):
            self.manifests[name, reference] = (raw, kind)
        return digest

    def load(self, archive: str, name: str, tag: str) -> str:
        """Stores the image of an OCI archive; returns its digest."""
        files = {}
        with tarfile.open(archive) as stream:
            for member in stream:
                if member.isfile():
                    files[member.name.removeprefix("./")] = stream.extractfile(member).read()
        for path, content in files.items():
            if path.startswith("blobs/sha256/"):
                self.blobs[f"sha256:{path.rpartition('/')[2]}"] = content
        (entry,) = json.loads(files["index.json"])["manifests"]
        return self.put(name, tag, self.blobs[entry["digest"]], entry["mediaType"])


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode(),
                     Content_Type="application/json")

    def _handle(self) -> None:
        body = self._body()
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if self.registry.allowed and self.headers.get("Authorization") not in self.registry.allowed:
            self.registry.refused += 1
            self._answer(401, b"{}", WWW_Authenticate='Basic realm="test"')
            return
        if self.command not in ("GET", "HEAD"):
            self.registry.written.append((self.command, url.path))
        found = re.fullmatch(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|blobs/uploads)/(?P<ref>[^/]*)", url.path)
        if url.path in ("/v2/", "/v2"):
            self._answer(200, b"{}")
        elif not found:
            self._fail(404, "NAME_UNKNOWN")
        elif found["kind"] == "manifests":
            self._manifest(found["name"], found["ref"], body)
        elif found["kind"] == "blobs":
            self._blob(found["ref"])
        else:
            self._upload(found["name"], found["ref"], query, body)

    def _manifest(self, name: str, ref: str, body: bytes) -> None:
        if self.command == "PUT":
            digest = self.registry.put(name, ref, body, self.headers["Content-Type"])
            self._answer(201, Location=f"/v2/{name}/manifests/{digest}", Docker_Content_Digest=digest)
            return
        raw, kind = self.registry.manifests.get((name, ref), (b"", ""))
        if not raw:
            self._fail(404, "MANIFEST_UNKNOWN")
            return
        self._answer(200, raw, Content_Type=kind, Docker_Content_Digest=f"sha256:{hashlib.sha256(raw).hexdigest()}")

    def _blob(self, digest: str) -> None:
        if digest not in self.registry.blobs:
            self._fail(404, "BLOB_UNKNOWN")
            return
        self._answer(200, self.registry.blobs[digest], Content_Type="application/octet-stream", Docker_Content_Digest=digest)

    def _upload(self, name: str, ref: str, query: dict[str, str], body: bytes) -> None:
        key = ref or f"u{len(self.registry.written)}"
        content = self.registry.uploads[key] = self.registry.uploads.get(key, b"") + body
        if "digest" in query:
            if f"sha256:{hashlib.sha256(content).hexdigest()}" != query["digest"]:
                self._fail(400, "DIGEST_INVALID")
                return
            self.registry.blobs[query["digest"]] = self.registry.uploads.pop(key)
            self._answer(201, Location=f"/v2/{name}/blobs/{query['digest']}", Docker_Content_Digest=query["digest"])
            return
        self._answer(202, Location=f"/v2/{name}/blobs/uploads/{key}", Range=f"0-{max(0, len(content) - 1)}", Docker_Upload_UUID=key)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _handle


def main(host: str, port: str, login: str, *archives: str) -> None:
    """Serves until it is ended."""
    name, _sign, word = login.partition("=")
    found = Registry(host, int(port), **{name: word})
    for archive in archives:
        path, _sign, reference = archive.partition("=")
        found.load(path, *reference.rsplit(":", 1))
    print(f"serving {found.address}", flush=True)
    found.server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
