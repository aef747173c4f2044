# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects are made once, through the API: the role's script against a server that answers as Polyaxon's does."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "roles/polyaxon/files/setup.py"
ROOT = "/api/v1"


class Polyaxon(http.server.BaseHTTPRequestHandler):
    """Keeps projects by name in ``server.projects`` and every change in ``server.changes``."""

    def answer(self, status: int, content: dict) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path == f"{ROOT}/installation":
            self.answer(200, {"version": "2.15.1", "dist": "ce"})
        elif self.path == f"{ROOT}/default/{name}" and name in self.server.projects:
            self.answer(200, self.server.projects[name])
        else:
            self.answer(404, {"detail": "No Project matches the given query."})

    def do_POST(self) -> None:
        wanted = self.body()
        assert self.path == f"{ROOT}/default/projects/create"
        if wanted["name"] == "model":
            self.answer(400, {"name": ["a reserved word"]})
            return
        self.server.changes.append(("POST", wanted))
        self.server.projects[wanted["name"]] = {"description": None, "tags": None, **wanted}
        self.answer(201, wanted)

    def do_PATCH(self) -> None:
        changed = self.body()
        name = self.path.removeprefix(f"{ROOT}/default/")
        self.server.changes.append(("PATCH", {"name": name, **changed}))
        self.server.projects[name].update(changed)
        self.answer(200, self.server.projects[name])

    def log_message(self, *_words: object) -> None:
        """Says nothing."""


@pytest.fixture
def server():
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Polyaxon)
    found.projects, found.changes = {}, []
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def run(address, projects, **environment):
    return subprocess.run([sys.executable, "-c", SCRIPT.read_text()], capture_output=True, text=True, check=False, timeout=60, env={
        **os.environ, "ADDRESS": address, "PROJECTS": json.dumps(projects), "no_proxy": "*", "PATIENCE": "0", **environment})


def test_a_server_that_comes_late_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as held:  # a free port
        port = held.getsockname()[1]
    late = []

    def start():
        late.append(http.server.ThreadingHTTPServer(("127.0.0.1", port), Polyaxon))
        late[0].projects, late[0].changes = {}, []
        late[0].serve_forever()

    threading.Timer(1.5, start).start()
    done = run(f"http://127.0.0.1:{port}", [{"name": "ada"}], PATIENCE="30")
    late[0].shutdown()
    late[0].server_close()
    assert done.returncode == 0 and "ada (created)" in done.stdout, done.stderr


def test_what_is_missing_is_made_and_what_differs_is_changed(server):
    address = f"http://127.0.0.1:{server.server_port}"
    server.projects["bob"] = {"name": "bob", "description": "old", "tags": ["mine"]}
    wanted = [{"name": "ada", "description": "Wine", "tags": ["a"]}, {"name": "bob", "description": "new"}, {"name": "eve"}]
    first = run(address, wanted)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == {"server": "2.15.1", "projects": "ada (created) bob (updated) eve (created)"}
    # Only what is named is changed.
    assert server.changes == [("POST", wanted[0]), ("PATCH", {"name": "bob", "description": "new"}), ("POST", {"name": "eve"})]
    assert server.projects["bob"]["tags"] == ["mine"]
    server.changes.clear()
    again = run(address, wanted)
    assert json.loads(again.stdout)["projects"] == "ada (unchanged) bob (unchanged) eve (unchanged)" and server.changes == []


def test_without_projects_it_proves_the_server(server):
    assert json.loads(run(f"http://127.0.0.1:{server.server_port}", []).stdout) == {"server": "2.15.1"}


def test_a_refused_name_is_told(server):
    done = run(f"http://127.0.0.1:{server.server_port}", [{"name": "model"}])
    assert done.returncode == 1 and "polyaxon_projects: model is refused: 400" in done.stderr and "a reserved word" in done.stderr


def test_no_answer_is_told(server):
    server.shutdown()
    server.server_close()
    done = run(f"http://127.0.0.1:{server.server_port}", [])
    assert done.returncode == 1 and "/api/v1/installation: no answer" in done.stderr and "Traceback" not in done.stderr
