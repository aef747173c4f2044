# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubeconfig of GKE without gcloud. The real library signs and asks; a server of our own answers in Google's place."""

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import sys
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ansible_collections.openmlops.platform.plugins.module_utils.gke import credential, kubeconfig
from ansible_collections.openmlops.platform.plugins.module_utils.gke.credential import GoogleError

pytest.importorskip("google.auth")
NAME = "my-project/europe-west1/ml"


class Google:
    """Gives tokens for assertions that the key has signed, and describes one cluster to whoever has one."""

    def __init__(self):
        self.key = rsa.generate_private_key(65537, 2048)
        self.tokens, self.described = 0, 0
        self.cluster = {"endpoint": "192.0.2.5", "masterAuth": {"clusterCaCertificate": "Q0E="}, "status": "RUNNING",
                        "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"endpoint": "ml.gke.example"}}}
        google = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = dict(pair.split("=", 1) for pair in self.rfile.read(int(self.headers["Content-Length"])).decode().split("&"))
                head, claims, signature = body["assertion"].split(".")
                google.key.public_key().verify(base64.urlsafe_b64decode(signature + "=="), f"{head}.{claims}".encode(),
                                               padding.PKCS1v15(), hashes.SHA256())
                assert credential.SCOPE in base64.urlsafe_b64decode(claims + "==").decode()
                google.tokens += 1
                self.answer(200, {"access_token": f"token-{google.tokens}", "expires_in": 3600, "token_type": "Bearer"})

            def do_GET(self):
                google.described += 1
                if not self.headers.get("Authorization", "").startswith("Bearer token-"):
                    self.answer(401, {"error": {"message": "no token"}})
                elif self.path == "/v1/projects/my-project/locations/europe-west1/clusters/ml":
                    self.answer(200, google.cluster)
                else:
                    self.answer(404, {"error": {"message": "Not found: cluster."}})

            def answer(self, status, document):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def google():
    found = Google()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()


@pytest.fixture
def key_file(google, tmp_path):
    pem = google.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"type": "service_account", "client_email": "installer@my-project.iam.gserviceaccount.com", "private_key_id": "1",
                                "private_key": pem.decode(), "token_uri": f"{google.url}/token", "project_id": "my-project"}))
    return str(path)


def test_kubeconfig_and_its_token(google, key_file, tmp_path):
    path = kubeconfig.ensure(NAME, key_file, tmp_path / "made", api=google.url)
    text = path.read_text()
    found = json.loads(text)
    assert "token-" not in text and "PRIVATE KEY" not in text and path.stat().st_mode & 0o077 == 0
    assert found["clusters"][0]["cluster"] == {"server": "https://192.0.2.5", "certificate-authority-data": "Q0E="}
    assert found["contexts"][0]["name"] == "gke_my-project_europe-west1_ml" and found["current-context"] == ""
    run = found["users"][0]["user"]["exec"]
    said = json.loads(subprocess.run([run["command"], *run["args"]], check=True, capture_output=True, text=True).stdout)
    assert said["kind"] == "ExecCredential" and said["status"]["token"] == f"token-{google.tokens}"
    ends = time.mktime(time.strptime(said["status"]["expirationTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
    assert 3000 < ends - time.mktime(time.gmtime()) < 3700


def test_the_client_takes_it(google, key_file, tmp_path):
    """The library behind all actions reads the file and runs the program for a token."""
    from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import connect

    google.cluster = {**google.cluster, "masterAuth": {}}
    path = kubeconfig.ensure(NAME, key_file, tmp_path / "made", endpoint="dns", api=google.url)
    cluster = connect({"kubeconfig": str(path), "context": kubeconfig.context(NAME)})
    assert cluster.server == "https://ml.gke.example"
    assert cluster.configuration.auth_settings()["BearerToken"]["value"] == f"Bearer token-{google.tokens}"


def test_it_is_asked_once_a_day(google, key_file, tmp_path):
    first = kubeconfig.ensure(NAME, key_file, tmp_path / "made", api=google.url)
    before = google.described
    assert kubeconfig.ensure(NAME, key_file, tmp_path / "made", api=google.url) == first and google.described == before
    kubeconfig.ensure(NAME, key_file, tmp_path / "made", endpoint="dns", api=google.url)
    assert google.described == before + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [({"name": "ml"}, "not PROJECT/LOCATION/CLUSTER"), ({"name": "my-project/europe-west1/none"}, "404.*Not found: cluster.*Kubernetes Engine Viewer"),
     ({"endpoint": "private"}, "no private endpoint"), ({"key_file": "/no/such/key.json"}, "/no/such/key.json cannot be used")],
)
def test_errors_name_the_cure(google, key_file, tmp_path, change, message):
    given = {"name": NAME, "key_file": key_file, "folder": tmp_path / "made", "api": google.url, **change}
    with pytest.raises(GoogleError, match=message):
        kubeconfig.ensure(**given)


def test_a_refused_key_says_so_on_standard_error(tmp_path, google):
    path = tmp_path / "key.json"
    path.write_text("{}")
    done = subprocess.run([sys.executable, credential.__file__, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot be used as a service account's key" in done.stderr and not done.stdout
