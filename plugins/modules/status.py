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
  - openmlops.platform.read_only
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
  condition:
    description: Also tell until when certificates hold, the last warning of each component, and what was changed since the last run.
    type: bool
    default: false
  certificate_days:
    description: Certificates that end in fewer days are a warning.
    type: int
    default: 14
  fail_on:
    description:
      - When the task fails, after the report was written. A problem is an unreachable cluster, a component that is not ready or a
        certificate that has expired; a warning is a certificate that ends soon, or something that was changed by hand.
    type: str
    choices: [never, problem, warning]
    default: never
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
      description:
        - Each component, C(name), C(version), C(namespace), C(ready), C(url), C(cluster_url), C(reason), C(proof), C(notes).
        - With O(condition) also C(certificates) (C(secret), C(namespace), C(names), C(expires), C(days_left)), C(last_error) (C(time),
          C(object), C(reason), C(message)) and C(drift), sentences on what was changed.
      type: list
      elements: dict
      returned: always
    state:
      description: What it all means, V(ok), V(warning) or V(problem).
      type: str
      returned: always
    reasons:
      description: Why the state is not V(ok).
      type: list
      elements: str
      returned: always
"""
