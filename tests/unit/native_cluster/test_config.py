# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered files of a node."""

from __future__ import annotations

import configparser
import json
import subprocess
import tomllib

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import config, pki, preflight, programs
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import Layout
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import Addresses, Settings

pytest.importorskip("cryptography")
BINARIES = {"kubernetes": "/c/kubernetes-1", "kube-router": "/c/kube-router-1"}
ADDRESSES = Addresses("10.201.0.0/24")


@pytest.fixture
def settings():
    return Settings("local", BINARIES, "localhost/openmlops/pause:1")


@pytest.fixture
def rendered(tmp_path, settings):
    layout = Layout(tmp_path, "local")
    pki.ensure(layout.pki, pki.leaves(settings.node_name, ADDRESSES.node, settings.service_address(1), "cluster.local"))
    found = config.files(layout, settings, ADDRESSES)
    return {str(path.relative_to(layout.root)): content for path, content in found.items()}


def test_every_script_is_one(rendered):
    scripts = [name for name in rendered if name.startswith("etc/programs/")] + ["etc/init"]
    assert len(scripts) == 9
    for name in scripts:
        content, mode = rendered[name]
        assert mode == 0o700
        assert subprocess.run(["bash", "-n"], input=content, text=True, check=False).returncode == 0


def test_the_supervisor_runs_every_program_and_brings_it_back(rendered):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(rendered["etc/supervisord.conf"][0])
    found = {name.removeprefix("program:") for name in parser.sections() if name.startswith("program:")}
    assert found == {name.removeprefix("etc/programs/") for name in rendered if name.startswith("etc/programs/")}
    assert all(parser[f"program:{name}"]["autorestart"] == "true" for name in found)


def test_containerd_reads_its_configuration(rendered):
    value = tomllib.loads(rendered["etc/containerd.toml"][0])
    cri = value["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "localhost/openmlops/pause:1"
    assert cri["restrict_oom_score_adj"] is True


def test_kubelet_never_collects_images(rendered):
    value = json.loads(rendered["etc/kubelet.yaml"][0])
    assert value["imageGCHighThresholdPercent"] == 100
    assert value["clusterDNS"] == ["10.96.0.10"]
    assert value["cgroupRoot"] == "/openmlops-local"
    assert value["authentication"]["anonymous"]["enabled"] is False


def test_kubeconfigs_name_one_context_and_are_private(rendered):
    for name, (content, mode) in rendered.items():
        if name.endswith("kubeconfig"):
            value = yaml.safe_load(content)
            assert mode == 0o600
            assert value["current-context"] == "openmlops-local"
            assert value["clusters"][0]["cluster"]["server"] == "https://10.201.0.2:6443"


def test_without_its_program_no_network_policy_engine_is_run():
    alone = Settings("local", {"kubernetes": "/c/kubernetes-1"}, "pause")
    assert "kube-router" not in programs.scripts(alone, ADDRESSES)


def test_networks_reach_every_component_that_needs_them(rendered):
    other = Settings("local", BINARIES, "pause", pod_cidr="10.50.0.0/20", service_cidr="10.60.0.0/20")
    scripts = programs.scripts(other, ADDRESSES)
    assert "--cluster-cidr=10.50.0.0/20" in scripts["kube-controller-manager"]
    assert "--node-cidr-mask-size=20" in scripts["kube-controller-manager"]
    for name in ("kube-apiserver", "kube-controller-manager", "kube-router"):
        assert "--service-cluster-ip-range=10.60.0.0/20" in scripts[name]
    assert "10.50.0.0/20" in config.cni(other) and "10.50.0.0/20" in config.kube_proxy(other, ADDRESSES)


@pytest.mark.parametrize(("folder", "kind"), [("/data/state", "ext4"), ("/data", "ext4"), ("/x", "overlay"), ("/nfs/a", "nfs4")])
def test_the_file_system_of_a_folder_is_found(tmp_path, folder, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text("overlay / overlay rw 0 0\n/dev/a /data ext4 rw 0 0\nserver:/ /nfs nfs4 rw 0 0\n")
    from pathlib import Path

    assert preflight.filesystem(Path(folder), mounts) == kind


def test_a_state_folder_that_cannot_work_is_refused_with_its_cure(tmp_path):
    from pathlib import Path

    mounts = tmp_path / "mounts"
    mounts.write_text("overlay / overlay rw 0 0\n")
    words = " ".join(preflight.problems(Path("/run/user/0/openmlops"), mounts))
    assert "lies below /run" in words and "of the type overlay" in words and "OPENMLOPS_STATE" in words


def test_a_full_disk_is_told_with_its_cure(tmp_path, monkeypatch):
    usage = preflight.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _path: usage._replace(free=100 * 1024**2))
    assert preflight.disk_problems(tmp_path / "state", 50 * 1024**2) == []
    (problem,) = preflight.disk_problems(tmp_path / "state", preflight.TIGHT_BYTES)
    assert "is full: 100 MiB are free, 600 MiB are needed" in problem and "OPENMLOPS_STATE" in problem


def test_missing_programs_are_named_by_package(monkeypatch):
    monkeypatch.setattr(preflight.shutil, "which", lambda program, path=None: None if program in ("ctr", "runc") else "/bin/x")
    missing = preflight.missing_packages()
    assert "containerd" in missing and "runc" in missing and "ipset" not in missing
