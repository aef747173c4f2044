# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a node: their flags, and the small scripts by which the supervisor starts them.

Each script waits for what its program needs before it becomes the program, which is faster and quieter than letting it
fail and start again. Paths are those inside the node (see layout.py).
"""

from __future__ import annotations

import ipaddress
import shlex

from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.layout import NODE
from ansible_collections.openmlops.platform.plugins.module_utils.native_cluster.settings import DOMAIN, Addresses, Settings

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
ETCD = "https://127.0.0.1:2379"

# What a script does until its program can start.
WAIT_ETCD = "until (exec 3<>/dev/tcp/127.0.0.1/2379) 2>/dev/null; do sleep 0.1; done"
WAIT_API = "until (exec 3<>/dev/tcp/{node}/6443) 2>/dev/null; do sleep 0.1; done"
# Pods that ask the API server by its Service fail, and are held back for longer each time, until kube-proxy has its rules.
# On the very first start kube-proxy waits for the node itself, so this ends in any case.
WAIT_SERVICES = ("for _ in {{1..50}}; do if (exec 3<>/dev/tcp/{service}/443) 2>/dev/null; then break; fi; "
                 "[ -n \"$(ls -A /var/lib/kubelet/pods 2>/dev/null)\" ] || break; sleep 0.1; done")
WAIT_CONTAINERD = f"until [ -S {CONTAINERD_SOCKET} ]; do sleep 0.1; done"


def _pki(name: str) -> str:
    return str(NODE / "pki" / name)


def _etc(name: str) -> str:
    return str(NODE / "etc" / name)


def etcd() -> list[str]:
    """Command line of etcd."""
    return [
        f"{NODE}/bin/kubernetes", "etcd", "--name=node", f"--data-dir={NODE}/etcd", "--log-level=warn",
        f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}",
        f"--cert-file={_pki('etcd.crt')}", f"--key-file={_pki('etcd.key')}",
        f"--trusted-ca-file={_pki('etcd-ca.crt')}", "--client-cert-auth",
        "--listen-peer-urls=https://127.0.0.1:2380", "--initial-advertise-peer-urls=https://127.0.0.1:2380",
        "--initial-cluster=node=https://127.0.0.1:2380",
        f"--peer-cert-file={_pki('etcd.crt')}", f"--peer-key-file={_pki('etcd.key')}",
        f"--peer-trusted-ca-file={_pki('etcd-ca.crt')}", "--peer-client-cert-auth",
        "--watch-progress-notify-interval=5s",
    ]


def api_server(settings: Settings, addresses: Addresses) -> list[str]:
    """Command line of the API server."""
    return [
        f"{NODE}/bin/kubernetes", "kube-apiserver",
        f"--advertise-address={addresses.node}", "--bind-address=0.0.0.0", "--secure-port=6443",
        f"--etcd-servers={ETCD}", f"--etcd-cafile={_pki('etcd-ca.crt')}",
        f"--etcd-certfile={_pki('apiserver-etcd-client.crt')}", f"--etcd-keyfile={_pki('apiserver-etcd-client.key')}",
        f"--service-cluster-ip-range={settings.service_cidr}", f"--service-node-port-range={settings.node_port_range}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
        f"--client-ca-file={_pki('ca.crt')}",
        f"--tls-cert-file={_pki('apiserver.crt')}", f"--tls-private-key-file={_pki('apiserver.key')}",
        f"--kubelet-certificate-authority={_pki('ca.crt')}",
        f"--kubelet-client-certificate={_pki('apiserver-kubelet-client.crt')}",
        f"--kubelet-client-key={_pki('apiserver-kubelet-client.key')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={_pki('service-account.pub')}",
        f"--service-account-signing-key-file={_pki('service-account.key')}",
        f"--requestheader-client-ca-file={_pki('front-proxy-ca.crt')}",
        "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={_pki('front-proxy-client.crt')}",
        f"--proxy-client-key-file={_pki('front-proxy-client.key')}",
        "--enable-aggregator-routing=true", "--profiling=false",
        # What is here is used by one person on one machine: an hour of events is enough, and idle caches cost memory.
        "--event-ttl=1h",
    ]


def controller_manager(settings: Settings) -> list[str]:
    """Command line of the controller manager. Alone, so it holds no lease that a power cut would leave behind."""
    kubeconfig = _etc("controller-manager.kubeconfig")
    return [
        f"{NODE}/bin/kubernetes", "kube-controller-manager", "--bind-address=127.0.0.1", "--leader-elect=false",
        f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}",
        f"--client-ca-file={_pki('ca.crt')}", f"--requestheader-client-ca-file={_pki('front-proxy-ca.crt')}",
        f"--root-ca-file={_pki('ca.crt')}", f"--service-account-private-key-file={_pki('service-account.key')}",
        f"--cluster-signing-cert-file={_pki('ca.crt')}", f"--cluster-signing-key-file={_pki('ca.key')}",
        "--use-service-account-credentials=true", "--controllers=*", "--profiling=false",
        # One node, so it has all addresses of the pods.
        "--allocate-node-cidrs=true", f"--cluster-cidr={settings.pod_cidr}",
        f"--node-cidr-mask-size={ipaddress.IPv4Network(settings.pod_cidr).prefixlen}",
        f"--service-cluster-ip-range={settings.service_cidr}",
        f"--flex-volume-plugin-dir={NODE}/run/volume-plugins",
    ]


def scheduler() -> list[str]:
    """Command line of the scheduler."""
    kubeconfig = _etc("scheduler.kubeconfig")
    return [
        f"{NODE}/bin/kubernetes", "kube-scheduler", "--bind-address=127.0.0.1", "--leader-elect=false",
        f"--kubeconfig={kubeconfig}", f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}",
        f"--client-ca-file={_pki('ca.crt')}", f"--requestheader-client-ca-file={_pki('front-proxy-ca.crt')}",
        "--profiling=false",
    ]


def kubelet(settings: Settings, addresses: Addresses) -> list[str]:
    """Command line of the kubelet; the rest is in its configuration file."""
    return [
        f"{NODE}/bin/kubernetes", "kubelet", f"--config={_etc('kubelet.yaml')}",
        f"--kubeconfig={_etc('kubelet.kubeconfig')}", f"--hostname-override={settings.node_name}",
        f"--node-ip={addresses.node}", "--root-dir=/var/lib/kubelet",
    ]


def kube_proxy() -> list[str]:
    """Command line of kube-proxy; the rest is in its configuration file."""
    return [f"{NODE}/bin/kubernetes", "kube-proxy", f"--config={_etc('kube-proxy.yaml')}"]


def kube_router(settings: Settings) -> list[str]:
    """Command line of kube-router, which only enforces NetworkPolicies here."""
    return [
        f"{NODE}/bin/kube-router", f"--kubeconfig={_etc('kube-router.kubeconfig')}", "--run-router=false",
        "--run-service-proxy=false", "--run-firewall=true", "--run-loadbalancer=false", "--enable-cni=false",
        f"--service-cluster-ip-range={settings.service_cidr}",
        f"--service-node-port-range={settings.node_port_range.replace('-', ':')}",
        f"--hostname-override={settings.node_name}",
    ]


def containerd() -> list[str]:
    """Command line of containerd."""
    return ["containerd", f"--config={_etc('containerd.toml')}"]


def scripts(settings: Settings, addresses: Addresses) -> dict[str, str]:
    """The script of each program, in the order in which they start."""
    api = WAIT_API.format(node=addresses.node)
    found = {
        "etcd": _script(etcd()),
        "containerd": _script(containerd()),
        "kube-apiserver": _script(api_server(settings, addresses), WAIT_ETCD),
        "kube-controller-manager": _script(controller_manager(settings), api),
        "kube-scheduler": _script(scheduler(), api),
        "kubelet": _script(kubelet(settings, addresses), WAIT_CONTAINERD, api,
                           WAIT_SERVICES.format(service=settings.service_address(1))),
        "kube-proxy": _script(kube_proxy(), api),
    }
    if "kube-router" in settings.binaries:
        found["kube-router"] = _script(kube_router(settings), api)
    return found


def _script(command: list[str], *waits: str) -> str:
    """A script that waits and then becomes *command*, one flag in a line, so that it can be read and changed."""
    lines = " \\\n  ".join(shlex.quote(part) for part in command)
    return "\n".join(["#!/bin/bash", "set -eu", *waits, f"exec {lines}", ""])
