# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup ``gke_kubeconfig``: the kubeconfig of a GKE cluster, without gcloud."""

from __future__ import annotations

DOCUMENTATION = """
  name: gke_kubeconfig
  short_description: Path of a kubeconfig for a GKE cluster, made without gcloud
  version_added: 0.1.0
  author: OpenMLOps Platform contributors (@openmlops)
  description:
    - Asks Google's API for the address and the authority of a cluster, and writes a kubeconfig that holds no token. Whoever uses it
      runs a small program of this collection for one, again whenever a token ends, so that runs of more than an hour go on.
    - Its context is C(gke_PROJECT_LOCATION_CLUSTER).
  requirements:
    - google-auth with requests, beside Ansible
  options:
    _terms:
      description: Clusters, as C(PROJECT/LOCATION/CLUSTER); a location is a region or a zone.
      type: list
      elements: str
      required: true
    key_file:
      description:
        - A service account's key in JSON. It is read where it is, and not copied.
        - Empty for what the surroundings offer, such as workload identity or C(GOOGLE_APPLICATION_CREDENTIALS).
      type: path
      default: ""
    folder:
      description: Where kubeconfigs are kept.
      type: path
      default: ~/.cache/openmlops/gke
    endpoint:
      description: Which address of the control plane is used.
      type: str
      choices: [public, private, dns]
      default: public
    api:
      description: Address of Google's API for GKE.
      type: str
      default: https://container.googleapis.com
"""

EXAMPLES = """
platform_kubeconfig: "{{ lookup('openmlops.platform.gke_kubeconfig', 'my-project/europe-west1/ml', key_file='~/keys/installer.json') }}"
platform_context: gke_my-project_europe-west1_ml
"""

RETURN = """
_raw:
  description: The path of each kubeconfig.
  type: list
  elements: str
"""

import os
import typing as t
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.openmlops.platform.plugins.module_utils.gke import kubeconfig
from ansible_collections.openmlops.platform.plugins.module_utils.gke.credential import GoogleError


class LookupModule(LookupBase):
    """Writes kubeconfigs where they are not there yet."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Returns the path of each kubeconfig; raises AnsibleError when Google does not help."""
        self.set_options(var_options=variables, direct=kwargs)
        folder = Path(os.path.expanduser(self.get_option("folder")))
        key_file = os.path.expanduser(self.get_option("key_file") or "")
        try:
            endpoint, api = self.get_option("endpoint"), self.get_option("api")
            return [str(kubeconfig.ensure(str(term), key_file, folder, endpoint, api)) for term in terms]
        except GoogleError as error:
            raise AnsibleError(f"gke_kubeconfig: {error}") from error
