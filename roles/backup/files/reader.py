# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the controller read the backups, through a forwarded port: listens on the pod's own loopback and nowhere else.

GET /backups                     manifests of all backups
GET /backups/NAME/check          {"state": "running" | "whole" | "damaged", "problems": [...]}
GET /backups/NAME/PART           a part, or the bytes of it that the header Range names (bytes=A-B)
PUT /backups/NAME/PART           appends to a part of a backup that is brought here; the header Range (bytes=A-) says where it goes on
POST /backups/NAME               that backup is whole: its manifest is the body; compares its parts, as check does, and publishes it; ask again
                                 while the answer is {"state": "running"}
"""

import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from destination import MANIFEST, NAME, PART, Claim, destination, digest, problems, read

PORT = 8765
PATH = re.compile(rf"/backups/(?P<name>{NAME.pattern})(/(?P<part>check|{MANIFEST}|{PART.pattern}))?")


class Checks:
    """Checks backups, one thread for each: reading them takes longer than a request may."""

    def __init__(self, place):
        self._place, self._found, self._lock = place, {}, threading.Lock()

    def state(self, name):
        """Returns how far the check of a backup is; the first call starts it."""
        return self._once(name, lambda: problems(self._place, name) if name in self._place.names() else ["there is no backup of this name"])

    def taken(self, name, text):
        """Returns how far the check of a backup that was brought here is; when it is whole it is published."""
        return self._once((name, text), lambda: self._take(name, text))

    def _take(self, name, text):
        if name in self._place.names():
            return []
        wrong = []
        for part in read(text, name)["parts"]:
            with self._place.reading_back(name, part["file"]) as stream:
                if digest(stream) != (part["bytes"], part["sha256"]):
                    wrong.append(part["file"])
        if not wrong:
            self._place.publish(name, text)
        return wrong

    def _once(self, key, look):
        with self._lock:
            if key not in self._found:
                self._found[key] = {"state": "running", "problems": []}
                threading.Thread(target=self._work, args=(key, look), daemon=True).start()
            return self._found[key]

    def _work(self, key, look):
        try:
            found = look()
        except Exception as error:  # whatever the destination raises is told
            found = [f"it cannot be read: {type(error).__name__}: {error}"]
        self._found[key] = {"state": "damaged" if found else "whole", "problems": found}


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    place = None
    checks = None

    def do_GET(self):
        self._safely(self._get)

    def do_PUT(self):
        self._safely(self._put)

    def do_POST(self):
        self._safely(self._post)

    def _safely(self, work):
        try:
            work()
        except Exception as error:  # each kind of destination has errors of its own; the run tells them
            self._json(500, {"error": f"{type(error).__name__}: {error}"})

    def _get(self):
        if self.path == "/backups":
            return self._json(200, [manifest(self.place, name) for name in self.place.names()])
        found = PATH.fullmatch(self.path)
        if not found or not found["part"]:
            return self._json(404, {"error": "no such path"})
        if found["part"] == "check":
            return self._json(200, self.checks.state(found["name"]))
        first, last = self._range()
        with self.place.reading(found["name"], found["part"], first) as stream:
            data = stream.read(last - first + 1 if last is not None else -1)
        return self._answer(206, data, "application/octet-stream")

    def _put(self):
        found = PATH.fullmatch(self.path)
        if not found or not found["part"] or not isinstance(self.place, Claim):
            return self._json(404, {"error": "only a volume takes backups that are brought to it"})
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.place.append(found["name"], found["part"], self._range()[0], data)
        return self._json(200, {})

    def _post(self):
        found = PATH.fullmatch(self.path)
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if not found or found["part"] or not isinstance(self.place, Claim):
            return self._json(404, {"error": "only a volume takes backups that are brought to it"})
        return self._json(200, self.checks.taken(found["name"], text))

    def _range(self):
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        return (int(found[1]), int(found[2]) if found[2] else None) if found else (0, None)

    def _json(self, status, value):
        self._answer(status, json.dumps(value).encode(), "application/json")

    def _answer(self, status, data, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if status >= 400:  # the request's body may not have been read: what follows would be taken for a request
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments):
        """Says nothing: what is asked is told by the run."""


def manifest(place, name):
    """Returns a backup's manifest, or its name and what is wrong with it."""
    try:
        return read(place.manifest_text(name), name)
    except Exception as error:  # one that cannot be read must not hide the others
        return {"name": name, "damaged": f"its manifest cannot be read: {error}"}


def server(place, port=PORT):
    """Returns a server for a destination."""
    bound = type("Bound", (Handler,), {"place": place, "checks": Checks(place)})
    return ThreadingHTTPServer(("127.0.0.1", port), bound)


if __name__ == "__main__":
    server(destination(os.environ)).serve_forever()
