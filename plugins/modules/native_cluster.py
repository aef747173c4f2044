# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/native_cluster.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: native_cluster
short_description: Run a real Kubernetes on this machine without a container engine
version_added: "1.0.0"
description:
  - Runs etcd, the Kubernetes components, containerd and a NetworkPolicy engine under a supervisor, all of them inside one
    set of namespaces (mounts, processes, network, host name), so that ending one process ends everything and the host
    stays as it was.
  - When everything runs already, a few questions are asked and nothing is changed. What was killed is brought back. A
    machine whose processes all died at once is recovered by the same call.
  - All files lie in one folder. A second run on the same cluster waits for the first and names its process.
options:
  name:
    description: Name of the cluster; clusters of different names can stand side by side.
    type: str
    required: true
  state:
    description:
      - V(present) starts the cluster and waits until its node takes pods.
      - V(stopped) ends it and keeps its data; V(absent) removes the data too.
      - V(preflight) only looks which Debian packages are missing, and which address the cluster has or would take.
    type: str
    choices: [present, stopped, absent, preflight]
    default: present
  state_dir:
    description: Folder of all clusters; each has a folder of its own in it.
    type: path
    required: true
  binaries:
    description:
      - Paths of the programs by name, as M(openmlops.platform.build) returns them.
      - O(state=present) needs C(kubernetes). With C(kube-router), NetworkPolicies are enforced.
    type: dict
    default: {}
  sandbox_image:
    description: Reference of the image that holds the namespaces of a pod. O(state=present) needs it.
    type: str
    default: ""
  pod_cidr:
    description: Network of the pods. It cannot change while the data of the cluster is kept.
    type: str
    default: 10.244.0.0/16
  service_cidr:
    description: Network of the Services. It cannot change while the data of the cluster is kept.
    type: str
    default: 10.96.0.0/16
  node_cidr:
    description: Network between this machine and the node. Empty takes the first free C(10.201.N.0/24) and keeps it.
    type: str
    default: ""
  node_port_range:
    description: Ports of Services of type NodePort, first and last with a dash between.
    type: str
    default: 30000-32767
  max_pods:
    description: How many pods the node takes.
    type: int
    default: 110
attributes:
  check_mode:
    description: Says whether something would be started or ended.
    support: full
requirements:
  - root
  - Linux with overlayfs, control groups and nftables
  - containerd, runc, the CNI plugins, nftables, iptables, ipset, conntrack and iproute2
  - supervisor, cryptography (Python)
notes:
  - Runs on the controller.
  - The pods have no way to networks outside the cluster.
author:
  - OpenMLOps Platform contributors (@openmlops)
"""

EXAMPLES = r"""
- name: Start the cluster
  openmlops.platform.native_cluster:
    name: local
    state_dir: "{{ local_cluster_state_dir }}"
    binaries: "{{ __built.binaries }}"
    sandbox_image: "{{ __built.images.pause.reference }}"
  register: cluster

- name: Stop it and keep its data
  openmlops.platform.native_cluster:
    name: local
    state: stopped
    state_dir: "{{ local_cluster_state_dir }}"
"""

RETURN = r"""
kubeconfig:
  description: Path of the administrator's kubeconfig.
  type: str
  returned: when O(state=present)
  sample: /home/me/.local/state/openmlops/local/kubeconfig
context:
  description: Context in that kubeconfig.
  type: str
  returned: when O(state=present)
  sample: openmlops-local
gateway_address:
  description: Address at which a browser on this machine reaches the gateway and NodePort Services.
  type: str
  returned: when O(state=present) or O(state=preflight)
  sample: 10.201.0.2
node_address:
  description: Address of the node.
  type: str
  returned: when O(state=present)
  sample: 10.201.0.2
host_address:
  description: Address of this machine as the node sees it.
  type: str
  returned: when O(state=present)
  sample: 10.201.0.1
node_name:
  description: Name of the Node object.
  type: str
  returned: when O(state=present)
  sample: openmlops-local
dns_address:
  description: Address that the pods ask for names; the Service kube-dns must have it.
  type: str
  returned: when O(state=present)
  sample: 10.96.0.10
pod_cidr:
  description: Network of the pods.
  type: str
  returned: when O(state=present)
  sample: 10.244.0.0/16
service_cidr:
  description: Network of the Services.
  type: str
  returned: when O(state=present)
  sample: 10.96.0.0/16
volumes:
  description: Folder on this machine that holds the data of the volumes.
  type: str
  returned: when O(state=present)
  sample: /home/me/.local/state/openmlops/local/volumes
version:
  description: Version of Kubernetes.
  type: str
  returned: when O(state=present)
  sample: v1.35.4
missing_packages:
  description: Debian packages that this machine lacks.
  type: list
  elements: str
  returned: when O(state=preflight)
"""
