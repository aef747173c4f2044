# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One real local cluster for all integration tests, with the whole platform on it.

OPENMLOPS_TEST_CLUSTER names it (default: test); it is stopped and deleted at the end unless OPENMLOPS_KEEP_CLUSTER is set.
OPENMLOPS_TEST_CHARTS is a folder with upstream's charts, in place of those of this collection.
Runs go through scripts/playbook, as `make up` does, so what passes here is what a user gets.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.tests.integration.platform_client import Gateway, gateway_of, secret

ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Run:
    """One finished run of a playbook."""

    code: int
    text: str
    seconds: float

    @property
    def changed(self) -> int:
        """The sum of changed tasks in the recap; fails the test when there is no recap."""
        found = re.findall(r"ok=\d+\s+changed=(\d+)\s+unreachable=\d+\s+failed=\d+", self.text)
        assert found, f"no recap:\n{self.text[-3000:]}"
        return sum(map(int, found))

    def ok(self) -> Run:
        """Fails the test with the run's last words unless it succeeded."""
        assert self.code == 0, self.text[-6000:]
        return self


@dataclasses.dataclass
class Cluster:
    """The cluster of the tests."""

    name: str
    state_dir: Path

    @property
    def kubeconfig(self) -> Path:
        return self.state_dir / self.name / "kubeconfig"

    @property
    def context(self) -> str:
        return f"openmlops-{self.name}"

    @property
    def facts(self) -> dict:
        return json.loads((self.state_dir / self.name / "cluster.json").read_text())

    def kubectl(self, *args: str, check: bool = True, stdin: str | None = None, timeout: float = 120) -> str:
        """Runs the cluster's own kubectl and returns its standard output."""
        program = self.state_dir / self.name / "bin" / "kubernetes"
        done = subprocess.run(
            [program, "kubectl", f"--kubeconfig={self.kubeconfig}", f"--context={self.context}", *args],
            input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
        )
        if check:
            assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout

    def get(self, *args: str) -> dict:
        """Returns what `kubectl get ... -o json` prints."""
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def start(self, verb: str = "up", *arguments: str, **environment: str) -> subprocess.Popen:
        """Starts a run in a process group of its own; its output is a pipe."""
        charts = os.environ.get("OPENMLOPS_TEST_CHARTS")
        arguments = (*(("-e", f"platform_chart_source={charts}") if charts else ()), *arguments)
        return subprocess.Popen(
            [ROOT / "scripts" / "playbook", verb], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            # MLflow: the least that has all parts of the engine in it; workbench/ installs the rest. A test's own inventory says itself.
            env={**os.environ, "CLUSTER": self.name, "INVENTORY": "local", "COMPONENTS": "" if "INVENTORY" in environment else "mlflow",
                 "ARGS": " ".join(arguments), "ANSIBLE_NOCOLOR": "1", **environment},
        )

    def run(self, verb: str = "up", *arguments: str, timeout: float = 1500, **environment: str) -> Run:
        """Runs a verb of the Makefile to its end."""
        started = time.monotonic()
        process = self.start(verb, *arguments, **environment)
        try:
            text, _none = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"{verb} {arguments} took more than {timeout} s")
        return Run(process.returncode, text, time.monotonic() - started)

    def secret_values(self) -> dict[str, str]:
        """Returns every value of the platform's Secrets that nobody may see, by where it stands."""
        found = {}
        selector = "app.kubernetes.io/managed-by=openmlops"
        for secret in self.get("secrets", "-A", "-l", selector)["items"]:
            for key, value in (secret.get("data") or {}).items():
                text = base64.b64decode(value).decode("utf-8", "replace")
                if "password" in key or "secret" in key.lower() or key in ("uri", "key") and "@" in text:
                    found[f"{secret['metadata']['namespace']}/{secret['metadata']['name']}/{key}"] = text
        assert found, "there are no secrets to look for"
        return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The platform's condition is told before the other tests tamper with it; what they worked with is removed after all."""
    order = {"test_preflight": 0, "test_teardown": 0, "test_removal": 2}
    items.sort(key=lambda item: order.get(item.path.stem, 1))


@pytest.fixture(scope="session")
def cluster():
    """The running cluster, with everything on it that `make up` installs."""
    base = Path(os.environ.get("OPENMLOPS_STATE") or Path(
        os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "openmlops")
    found = Cluster(os.environ.get("OPENMLOPS_TEST_CLUSTER", "test"), base)
    process = found.start("up")
    for line in process.stdout:  # a long step: show it while it goes on
        sys.stdout.write(f"  | {line}")
        sys.stdout.flush()
    assert process.wait() == 0, "make up failed; its output is above"
    yield found
    if not os.environ.get("OPENMLOPS_KEEP_CLUSTER"):
        found.run("down", DATA="delete", timeout=300).ok()


@pytest.fixture(scope="session")
def gateway(cluster, tmp_path_factory) -> Gateway:
    """The platform as its users meet it."""
    return gateway_of(cluster, tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="session")
def machine_token(cluster) -> str:
    """The token of a machine that the inventory names; it stays when a later run no longer does."""
    cluster.run("up", "-e", "'{\"platform_machines\": [{\"name\": \"tester\"}]}'").ok()
    return secret(cluster, "ory", "machine-tester", "token")
