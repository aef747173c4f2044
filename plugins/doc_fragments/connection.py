# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the connection options that every API action has."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/kube/client.py: connection_spec."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of the kubeconfig. Goes with O(context).
      - When no connection option is given, the inventory's C(platform_kubeconfig), C(platform_context), C(platform_api_host),
        C(platform_api_key) and C(platform_api_ca_cert) hold. There is no default cluster.
    type: path
  context:
    description: Context in O(kubeconfig).
    type: str
  host:
    description: Address of the API server, in place of a kubeconfig. Goes with O(api_key).
    type: str
  api_key:
    description: Bearer token for O(host).
    type: str
  ca_cert:
    description: Path of the certificate authority of O(host).
    type: path
  validate_certs:
    description: Whether the API server's certificate is checked.
    type: bool
    default: true
"""
