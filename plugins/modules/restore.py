# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/restore.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Look at backups of the platform's data, and restore one
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - O(state=checked) reads a whole backup, compares it with its manifest, and says what a restore would do. It changes nothing.
  - O(state=restored) stops the components that use the data, and restores it by a Job. Each database is restored in one transaction, so
    it is as before or as in the backup, whatever happens. What is not in the backup is deleted from buckets last. Then their Jobs are
    removed, so that the next run of the platform makes migrations and proofs anew. Where an earlier restore of the same backup did not come
    to its end, it goes on from there, or does it again when anything has used the data since.
  - O(state=awaited) is for runs of the platform. It looks for a restore that did not come to its end, and waits while its Job still works.
  - O(state=started) starts what was stopped and the platform's run did not start by itself, and waits until it is ready.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  state:
    description: Which step is done.
    type: str
    choices: [checked, restored, awaited, started]
    required: true
  namespace:
    description: Namespace of the backups.
    type: str
    required: true
  name:
    description: Name of the backup, or V(latest). Empty with O(state=checked) to list what there is.
    type: str
    default: ""
  folder:
    description: With O(state=checked), folder on the controller with a fetched backup, which is brought to the volume first.
    type: path
  components:
    description: With O(state=checked), whose data; empty for all. With O(state=restored), who is stopped.
    type: list
    elements: str
    default: []
  users:
    description: By file of a part, the components that use it.
    type: dict
    default: {}
  versions:
    description: By component, the version that is installed here.
    type: dict
    default: {}
  reader:
    description: Manifest of the pod that reads backups.
    type: dict
  job:
    description: Manifest of the Job that restores.
    type: dict
  parts:
    description: Files of the parts that are restored.
    type: list
    elements: str
    default: []
  plan:
    description: Plans of the components, which say which Secrets are made by the platform itself.
    type: list
    elements: dict
    default: []
  secrets:
    description: Whether generated values of Secrets are put back too.
    type: bool
    default: false
  timeout:
    description: Seconds that the Job may take.
    type: float
    default: 21600.0
attributes:
  check_mode:
    description: Stops and restores nothing. Checking starts the pod that reads, and removes it; where that pod could not run yet, it says so.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - Runs on the controller. Needs the right to create C(pods/portforward) in O(namespace).
seealso:
  - module: openmlops.platform.backup
"""

EXAMPLES = r"""
- name: What was stopped for the restore runs again
  openmlops.platform.restore:
    state: started
    namespace: backup
"""

RETURN = r"""
backups:
  description: Manifests of all backups.
  returned: with state checked
  type: list
  elements: dict
name:
  description: The backup that would be restored.
  returned: with state checked
  type: str
parts:
  description: Files of its parts that would be.
  returned: with state checked
  type: list
  elements: str
components:
  description: Components that would be stopped.
  returned: with state checked
  type: list
  elements: str
under_way:
  description: The backup of a restore that did not come to its end; empty when there is none.
  returned: with state awaited
  type: str
"""
