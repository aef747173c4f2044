# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for AWX, which cannot be had from package registries: lists, unique names, related lists, and what it refuses."""

from __future__ import annotations

import http.server
import json
import re
import threading
import urllib.parse

RELATED = {"credentials", "success_nodes", "failure_nodes", "always_nodes"}


class Awx:
    """Objects by endpoint and number. ``fields`` are those that each endpoint takes, from tests/unit/awx/fields.json."""

    def __init__(self, fields):
        self.fields, self.objects, self.links, self.surveys, self.writes = fields, {}, {}, {}, []
        self.numbers = iter(range(1, 10000))
        awx = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_one(self, method):
                url = urllib.parse.urlsplit(self.path)
                assert url.path.startswith("/api/v2/") and url.path.endswith("/"), url.path
                if self.headers.get("Authorization") != "Bearer t0ken":
                    return self.answer(401, {"detail": "Authentication credentials were not provided."})
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                if method != "GET":
                    awx.writes.append((method, url.path))
                return self.answer(*awx.handle(method, url.path.removeprefix("/api/v2/").strip("/").split("/"),
                                               dict(urllib.parse.parse_qsl(url.query)), body))

            def do_GET(self):
                self.handle_one("GET")

            def do_POST(self):
                self.handle_one("POST")

            def do_PATCH(self):
                self.handle_one("PATCH")

            def do_DELETE(self):
                self.handle_one("DELETE")

            def answer(self, status, document=None):
                self.send_response(status)
                self.end_headers()
                if document is not None:
                    self.wfile.write(json.dumps(document).encode())

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, endpoint, **fields):
        number = next(self.numbers)
        self.objects.setdefault(endpoint, {})[number] = {"id": number, **fields}
        return number

    def named(self, endpoint):
        return {entry.get("name") or entry.get("identifier"): entry for entry in self.objects.get(endpoint, {}).values()}

    def handle(self, method, parts, query, body):
        endpoint, number, part = (*parts, None, None)[:3]
        known = self.objects.setdefault(endpoint, {})
        if number is None:
            return self.collection(endpoint, known, method, query, body)
        if int(number) not in known:
            return 404, {"detail": "Not found."}
        entry = known[int(number)]
        if part == "survey_spec":
            if method == "GET":
                return 200, self.surveys.get((endpoint, number), {})
            assert {"name", "description", "spec"} <= set(body) and body["spec"]
            self.surveys[endpoint, number] = body
            return 200, None
        if part == "workflow_nodes":
            found = [node for node in self.objects.get("workflow_job_template_nodes", {}).values() if node["workflow_job_template"] == int(number)]
            return 200, {"results": found}
        if part == "create_approval_template":
            made = self.put("workflow_approval_templates", **body)
            entry["summary_fields"] = {"unified_job_template": {"id": made, "unified_job_type": "workflow_approval"}}
            return 201, {"id": made}
        if part in RELATED:
            linked = self.links.setdefault((endpoint, number, part), [])
            if method == "GET":
                return 200, {"results": [{"id": other} for other in linked]}
            (linked.remove if body.get("disassociate") else linked.append)(body["id"])
            return 204, None
        assert part is None, part
        if method == "PATCH":
            refused = self.refused(endpoint, body)
            if refused:
                return 400, refused
            entry.update(body)
        elif method == "DELETE":
            del known[int(number)]
            return 204, None
        return 200, entry

    def collection(self, endpoint, known, method, query, body):
        if method == "GET":
            found = [entry for entry in known.values() if all(str(entry.get(key)) == value for key, value in query.items() if key != "page_size")]
            return 200, {"count": len(found), "results": found}
        refused = self.refused(endpoint, body)
        if refused:
            return 400, refused
        number = self.put(endpoint, **body)
        return 201, {"id": number}

    def refused(self, endpoint, body):
        unknown = sorted(set(body) - set(self.fields[endpoint]))
        if unknown:
            return {"unknown": unknown}
        if "extra_vars" in body and not isinstance(body["extra_vars"], str):
            return {"extra_vars": ["Not a valid string."]}
        if "rrule" in body and not re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=[A-Z]+;INTERVAL=\d+", body["rrule"]):
            return {"rrule": ["rrule is not valid"]}
        return None
