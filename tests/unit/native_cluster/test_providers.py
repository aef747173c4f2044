# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The providers kind and minikube: what their programs are told. Programs that note their arguments stand in for them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"

pytestmark = pytest.mark.skipif(not PLAYBOOK.exists(), reason="ansible-playbook is not beside this Python")

KIND = """#!/bin/sh
echo "kind $*" >> "$LOG"
case "$1 $2" in
  "get clusters") cat "$FAKE/clusters" 2>/dev/null || true ;;
  "create cluster") echo openmlops-t > "$FAKE/clusters"; touch "$FAKE/running" ;;
  "delete cluster") rm -f "$FAKE/clusters" "$FAKE/running" ;;
  "get kubeconfig") [ -e "$FAKE/running" ] && echo "current-context: kind-openmlops-t" ;;
esac
"""
DOCKER = """#!/bin/sh
echo "docker $*" >> "$LOG"
case "$*" in
  start*) touch "$FAKE/running" ;;
  stop*) rm "$FAKE/running" ;;
  *State.Running*) [ -e "$FAKE/running" ] && echo true || echo false ;;
  *IPAddress*) [ -e "$FAKE/running" ] && echo 172.18.0.2 ;;
  # The API server is there at the second question.
  *curl*) [ -e "$FAKE/asked" ] || { touch "$FAKE/asked"; exit 7; } ;;
  exec*) [ -e "$FAKE/running" ] && echo localhost/openmlops/there:1 ;;
esac
"""
MINIKUBE = """#!/bin/sh
echo "minikube $*" >> "$LOG"
case "$1" in
  profile) echo '{"valid": [{"Name": "openmlops-t"}]}' ;;
  status) [ -e "$FAKE/clusters" ] ;;
  start) touch "$FAKE/clusters"; [ -n "$KUBECONFIG" ] && echo "current-context: openmlops-t" > "$KUBECONFIG" ;;
  image) [ "$2" = ls ] && echo localhost/openmlops/there:1; exit 0 ;;
  ip) echo 192.168.49.2 ;;
esac
"""
IMAGES = {
    "there": {"reference": "localhost/openmlops/there:1", "archive": "/c/there-1.tar"},
    "new": {"reference": "localhost/openmlops/new:2", "archive": "/c/new-2.tar"},
}


class Machine:
    """A machine with these programs and no others but the shell's."""

    def __init__(self, folder: Path, programs: dict[str, str]) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in programs.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        for name in ("sh", "cat", "chmod", "echo", "ls", "mkdir", "rm", "sleep", "touch", "uname"):
            (self.bin / name).symlink_to(shutil.which(name))

    def run(self, **variables) -> tuple[int, str, list[str]]:
        """Run the role; returns code, output and the lines that the programs noted."""
        play = [{
            "name": "Test", "hosts": "localhost", "connection": "local", "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [
                {"name": "Run the role", "ansible.builtin.include_role": {"name": "openmlops.platform.local_cluster"}},
                {"name": "Show", "ansible.builtin.debug": {
                    "msg": "FACTS {{ platform_kubeconfig | default('') }} {{ platform_context | default('') }} "
                           "{{ platform_gateway_address | default('') }}"}},
            ],
        }]
        (self.folder / "play.yml").write_text(yaml.safe_dump(play))
        given = {"local_cluster_name": "t", "local_cluster_state_dir": str(self.folder / "state"),
                 "local_cluster_images": IMAGES, **variables}
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        done = subprocess.run(
            [PLAYBOOK, "-i", "localhost,", self.folder / "play.yml", "-e", json.dumps(given)], cwd=ROOT,
            capture_output=True, text=True, check=False, timeout=120,
            env={"PATH": str(self.bin), "HOME": str(self.folder), "LOG": str(log), "FAKE": str(self.folder), "LANG": "C.UTF-8",
                 "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
                 "ANSIBLE_HOME": str(self.folder / "ansible"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        )
        # Ansible breaks lines as it likes.
        text = " ".join((done.stdout + done.stderr).split())
        return done.returncode, text, log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize("provider", ["kind", "minikube"])
def test_a_missing_program_is_told_at_once_with_its_cure(tmp_path, provider):
    code, text, _log = Machine(tmp_path, {}).run(local_cluster_provider=provider)
    assert code != 0
    assert f"local_cluster_provider is {provider}" in text
    assert "no such program" in text
    assert f"Install {provider}" in text and "set local_cluster_provider to native" in text


def test_kind(tmp_path):
    machine = Machine(tmp_path, {"kind": KIND, "docker": DOCKER})
    kubeconfig = tmp_path / "state" / "t" / "kubeconfig"
    code, text, log = machine.run(local_cluster_provider="kind")
    assert code == 0, text
    assert log == [
        "kind get clusters",
        f"kind create cluster --name openmlops-t --kubeconfig {kubeconfig} --wait 180s",
        "kind get kubeconfig --name openmlops-t",
        "docker exec openmlops-t-control-plane ctr -n k8s.io images list -q",
        "kind load image-archive /c/new-2.tar --name openmlops-t",
        "docker container inspect --format {{ .NetworkSettings.Networks.kind.IPAddress }} openmlops-t-control-plane",
    ]
    assert kubeconfig.read_text() == "current-context: openmlops-t\n"
    assert f"FACTS {kubeconfig} openmlops-t 172.18.0.2" in text

    code, text, log = machine.run(local_cluster_provider="kind", local_cluster_images={"there": IMAGES["there"]})
    assert code == 0 and "changed=0" in text, text
    assert not any(line.startswith(("kind create", "kind load")) for line in log)

    code, text, log = machine.run(local_cluster_provider="kind", local_cluster_state="stopped")
    assert code == 0 and log[-1] == "docker stop openmlops-t-control-plane", text
    code, text, log = machine.run(local_cluster_provider="kind", local_cluster_state="stopped")
    assert code == 0 and "changed=0" in text and not any(line.startswith("docker stop") for line in log), text
    # What was stopped is started again, with what it had, and waited for.
    code, text, log = machine.run(local_cluster_provider="kind", local_cluster_images={"there": IMAGES["there"]})
    assert code == 0 and "changed=1" in text and "172.18.0.2" in text, text
    ready = "docker exec openmlops-t-control-plane curl --silent --show-error --fail --insecure https://localhost:6443/readyz"
    started = log.index("docker start openmlops-t-control-plane")
    assert log[started + 1:started + 4] == [ready, ready, "kind get kubeconfig --name openmlops-t"]
    assert not any(line.startswith("kind create") for line in log)
    code, text, log = machine.run(local_cluster_provider="kind", local_cluster_state="absent")
    assert code == 0 and log[-1].startswith("kind delete cluster --name openmlops-t"), text
    assert not kubeconfig.parent.exists()


def test_minikube(tmp_path):
    machine = Machine(tmp_path, {"minikube": MINIKUBE})
    code, text, log = machine.run(local_cluster_provider="minikube", local_cluster_minikube_driver="docker",
                                  local_cluster_minikube_version="v1.35.4")
    assert code == 0, text
    assert log == [
        "minikube profile list --light --output=json",
        "minikube status --profile openmlops-t --output=json",
        "minikube start --profile openmlops-t --memory 6g --cpus 2 --embed-certs --wait=all --driver docker "
        "--kubernetes-version v1.35.4",
        "minikube image ls --profile openmlops-t",
        "minikube image load /c/new-2.tar --profile openmlops-t",
        "minikube ip --profile openmlops-t",
    ]
    assert f"FACTS {tmp_path}/state/t/kubeconfig openmlops-t 192.168.49.2" in text

    code, text, log = machine.run(local_cluster_provider="minikube", local_cluster_images={"there": IMAGES["there"]})
    assert code == 0 and "changed=0" in text, text
    code, text, log = machine.run(local_cluster_provider="minikube", local_cluster_state="stopped")
    assert code == 0 and log[-1] == "minikube stop --profile openmlops-t", text
    code, text, log = machine.run(local_cluster_provider="minikube", local_cluster_state="absent")
    assert code == 0 and log[-1] == "minikube delete --profile openmlops-t", text
