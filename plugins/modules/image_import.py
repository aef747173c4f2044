# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/image_import.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_import
short_description: Bring image archives into a native cluster
version_added: "1.0.0"
description:
  - Imports the images that the cluster does not have yet, and protects them from the kubelet's image collection, since an
    image that was imported cannot be pulled again.
  - What the cluster has is asked once; a call with nothing to do takes a tenth of a second.
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  state_dir:
    description: Folder of all clusters.
    type: path
    required: true
  images:
    description:
      - Images as M(openmlops.platform.build) returns them; each has C(reference) and C(archive).
      - Faster than O(archives), since no archive is opened when its image is there.
    type: dict
    default: {}
  archives:
    description: OCI archives, which name their image themselves.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Says what would be imported. Nothing is there when the cluster does not run.
    support: full
notes:
  - Runs on the controller, as root.
author:
  - OpenMLOps Platform contributors (@openmlops)
"""

EXAMPLES = r"""
- name: Bring the images that were built into the cluster
  openmlops.platform.image_import:
    name: local
    state_dir: "{{ local_cluster_state_dir }}"
    images: "{{ __built.images }}"
"""

RETURN = r"""
imported:
  description: References of the images that were imported.
  type: list
  elements: str
  returned: success
  sample: [localhost/openmlops/base:0123456789ab]
"""
