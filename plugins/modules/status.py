# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/status.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Report what of the platform runs on a cluster
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Reads the records that M(openmlops.platform.converge) leaves in the cluster, and what became of the objects in them.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  components:
    description: Components to look at. Empty for all that are installed.
    type: list
    elements: str
    default: []
  must_be_ready:
    description: Fail when one of them is not ready, with its reason.
    type: bool
    default: false
  timeout:
    description: Seconds to wait until all of them are ready.
    type: float
    default: 0.0
  dest:
    description: File on the controller that the report is written to.
    type: path
  dest_format:
    description: Form of the file.
    type: str
    choices: [json, table]
    default: json
  show:
    description: Print the report as a table.
    type: bool
    default: false
  seconds:
    description: With O(show), seconds by what they were spent on, to be told with the report.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - Runs on the controller.
seealso:
  - module: openmlops.platform.converge
"""

EXAMPLES = r"""
- name: Fail unless MLflow runs
  openmlops.platform.status:
    components: [mlflow]
    must_be_ready: true
"""

RETURN = r"""
status:
  description: The report.
  returned: always
  type: dict
  contains:
    cluster:
      description: The cluster, C(kubeconfig), C(context), C(server), C(version), C(reachable) and C(reason).
      type: dict
      returned: always
    gateway:
      description: Where a browser reaches the platform, C(url).
      type: dict
      returned: always
    components:
      description: Each component, C(name), C(version), C(namespace), C(ready), C(url), C(cluster_url), C(reason), C(proof).
      type: list
      elements: dict
      returned: always
"""
