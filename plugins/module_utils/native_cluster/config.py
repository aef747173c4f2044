# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration files of a node. Paths are those inside the node (see layout.py)."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster import programs
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import NODE, Layout
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import DOMAIN, Addresses, Settings

CNI_PLUGINS = "/usr/lib/cni"
# What keeps nothing: it is ended at once when the node is, and does not wait for its last clients.
STATELESS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kube-router")
# Kernel settings of the host that the kubelet would change. It finds the values it wants in files of ours instead, and
# the host keeps its own.
TUNABLES = {
    "vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}


def init_script(settings: Settings, addresses: Addresses, python: str = sys.executable) -> str:
    """What process 1 does before it becomes the supervisor: private mounts and the node's side of the network.

    The host's folders are seen as they are, except for /run, /var/log, /var/lib/kubelet and /var/lib/cni.
    """
    tunables = "\n".join(
        f"tunable {path} {value}" for path, value in TUNABLES.items()
    )
    return f"""#!/bin/bash
# Process 1 of the cluster {settings.name}. Written anew on each start: do not edit.
set -eu
state=$(cd "$(dirname "$0")/.." && pwd)

# Mounts of our own; a pod may pass on mounts within them (mount propagation), the host sees none.
mount --make-rshared /
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
mkdir -p {NODE} /run/lock /run/netns
mount --bind "$state" {NODE}
mount --bind {NODE}/logs /var/log
if ! [ -d /var/lib/kubelet ] || ! [ -d /var/lib/cni ]; then
  # Folders that the host does not have appear in a layer above its own, in memory.
  mkdir -p /run/layer/upper /run/layer/work
  mount -t overlay -o lowerdir=/var/lib,upperdir=/run/layer/upper,workdir=/run/layer/work overlay /var/lib
  mkdir -p /var/lib/kubelet /var/lib/cni
fi
mount --bind {NODE}/kubelet /var/lib/kubelet
# Addresses of pods are given anew on each start, so what is known of the old ones goes with the node.
mount -t tmpfs -o mode=700 tmpfs /var/lib/cni

mkdir -p /run/tunables
tunable() {{
  [ -e "/proc/sys/$1" ] || return 0
  local file="/run/tunables/${{1//\\//-}}"
  echo "$2" > "$file"
  mount --bind "$file" "/proc/sys/$1"
}}
{tunables}

hostname {settings.node_name}
ulimit -n "$(ulimit -Hn)"

ip link set lo up
until ip link show eth0 > /dev/null 2>&1; do sleep 0.02; done
ip address replace {addresses.node}/{addresses.prefix} dev eth0
ip link set eth0 up
set_network() {{ if [ -w "/proc/sys/net/$1" ]; then echo "$2" > "/proc/sys/net/$1"; fi; }}
set_network ipv4/ip_forward 1
set_network bridge/bridge-nf-call-iptables 1
set_network bridge/bridge-nf-call-ip6tables 1

# The action puts this process into its control group before it lets it go on.
until [ -e {NODE}/run/go ]; do sleep 0.02; done
rm -f {NODE}/run/go
exec {shlex.quote(python)} -m supervisor.supervisord --nodaemon --configuration {NODE}/etc/supervisord.conf
"""


def supervisord(names: list[str]) -> str:
    """Configuration of the supervisor, for programs with these names."""
    parts = [f"""; Written anew on each start: do not edit.
[supervisord]
logfile={NODE}/logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile=/run/supervisord.pid
childlogdir={NODE}/logs
minfds=256
minprocs=64
user=root

[unix_http_server]
file={NODE}/run/supervisor.sock
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{NODE}/run/supervisor.sock
"""]
    for order, name in enumerate(names, start=1):
        signal = "KILL" if name in STATELESS else "TERM"
        parts.append(f"""[program:{name}]
command={NODE}/etc/programs/{name}
priority={order}
autostart=true
autorestart=true
startsecs=1
startretries=1000000
stopsignal={signal}
stopwaitsecs=5
redirect_stderr=true
stdout_logfile={NODE}/logs/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
""")
    return "\n".join(parts)


def containerd(settings: Settings) -> str:
    """Configuration of containerd 1.6 and 1.7."""
    unused = ["aufs", "btrfs", "devmapper", "zfs"]
    disabled = ", ".join(f'"io.containerd.snapshotter.v1.{name}"' for name in unused)
    return f"""# Written anew on each start: do not edit.
version = 2
root = "{NODE}/containerd"
state = "/run/containerd"
disabled_plugins = [{disabled}, "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{programs.CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{NODE}/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{settings.sandbox_image}"
  # Without CAP_SYS_RESOURCE (a container, some virtual machines) nothing may lower its score.
  restrict_oom_score_adj = true
  # As containerd 2 does: a pod that is not root may listen on port 80 of its own network.
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  max_container_log_line_size = 16384

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{NODE}/etc/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


def cni(settings: Settings) -> str:
    """The network of the pods: one bridge, addresses by host-local, host ports by portmap."""
    bridge = {
        "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
        "ipam": {
            "type": "host-local", "dataDir": "/run/cni/networks", "ranges": [[{"subnet": settings.pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}, indent=2) + "\n"


def kubelet(settings: Settings) -> str:
    """Configuration of the kubelet; JSON is YAML."""
    value = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False}, "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{NODE}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{NODE}/pki/kubelet-server.crt", "tlsPrivateKeyFile": f"{NODE}/pki/kubelet-server.key",
        "clusterDNS": [settings.service_address(10)], "clusterDomain": DOMAIN,
        "resolvConf": f"{NODE}/etc/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{programs.CONTAINERD_SOCKET}",
        "podLogsDir": "/var/log/pods", "volumePluginDir": f"{NODE}/run/volume-plugins",
        "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{settings.cgroup}", "failCgroupV1": False,
        "failSwapOn": False, "maxPods": settings.max_pods, "oomScoreAdj": 0,
        # The tables of packets are kube-proxy's.
        "makeIPTablesUtilChains": False,
        # Images are imported and cannot be pulled again: never collect them, and evict only when it is really tight.
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "500Mi", "imagefs.available": "500Mi",
                         "nodefs.inodesFree": "1%"},
        "serializeImagePulls": False, "readOnlyPort": 0, "healthzBindAddress": "127.0.0.1",
        "nodeStatusUpdateFrequency": "10s", "enableDebuggingHandlers": True,
    }
    return json.dumps(value, indent=2) + "\n"


def kube_proxy(settings: Settings, addresses: Addresses) -> str:
    """Configuration of kube-proxy; JSON is YAML."""
    value = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "nftables", "clusterCIDR": settings.pod_cidr, "hostnameOverride": settings.node_name,
        "clientConnection": {"kubeconfig": f"{NODE}/etc/kube-proxy.kubeconfig"},
        "bindAddress": addresses.node, "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
        # The table of connections is sized for the whole machine: it is the host's business.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return json.dumps(value, indent=2) + "\n"


def kubeconfig(pki: Path, name: str, context: str, address: str) -> str:
    """A kubeconfig for the client certificate *name*, complete in itself."""
    def data(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    return f"""apiVersion: v1
kind: Config
current-context: {context}
clusters:
- name: {context}
  cluster:
    server: https://{address}:6443
    certificate-authority-data: {data('ca.crt')}
contexts:
- name: {context}
  context:
    cluster: {context}
    user: {context}
users:
- name: {context}
  user:
    client-certificate-data: {data(name + '.crt')}
    client-key-data: {data(name + '.key')}
"""


def files(layout: Layout, settings: Settings, addresses: Addresses) -> dict[Path, tuple[str, int]]:
    """Every configuration file of a node with its mode; the certificates must be there already."""
    scripts = programs.scripts(settings, addresses)
    found: dict[Path, tuple[str, int]] = {
        layout.init: (init_script(settings, addresses), 0o700),
        layout.etc / "supervisord.conf": (supervisord(list(scripts)), 0o600),
        layout.etc / "containerd.toml": (containerd(settings), 0o600),
        layout.etc / "cni" / "10-pods.conflist": (cni(settings), 0o600),
        layout.etc / "kubelet.yaml": (kubelet(settings), 0o600),
        layout.etc / "kube-proxy.yaml": (kube_proxy(settings, addresses), 0o600),
        # Without a name server: the pods have no way to the outside, so a name there is refused at once.
        layout.etc / "resolv.conf": ("# no name server: the pods have no way to the outside\n", 0o644),
        layout.kubeconfig: (kubeconfig(layout.pki, "admin", settings.context, addresses.node), 0o600),
    }
    for name in ("controller-manager", "scheduler", "kubelet", "kube-proxy", "kube-router"):
        content = kubeconfig(layout.pki, name, settings.context, addresses.node)
        found[layout.etc / f"{name}.kubeconfig"] = (content, 0o600)
    for name, script in scripts.items():
        found[layout.etc / "programs" / name] = (script, 0o700)
    return found
