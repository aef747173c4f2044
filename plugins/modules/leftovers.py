# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/leftovers.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: leftovers
short_description: Prove that nothing of the platform is left on a cluster, or list it
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - With O(state=before) reads what the records in the cluster say there is.
  - With O(state=after) looks for it again, and for everything that carries the platform's label, belongs to one of its releases, or
    refers to one of its namespaces. That includes custom resource definitions, webhooks, cluster roles, volumes and load balancers.
  - Changes nothing.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  state:
    description: Whether the removal is still to come.
    type: str
    choices: [before, after]
    required: true
  snapshot:
    description: What the task with O(state=before) returned.
    type: dict
    default: {}
  purge:
    description: Whether data was to go too. Otherwise what holds data is told as kept, and no reason to fail.
    type: bool
    default: false
  timeout:
    description: Seconds that what is being deleted may take to go.
    type: float
    default: 60.0
  dest:
    description: File on the controller that the list is written to, as JSON, also when the task fails.
    type: path
  show:
    description: Print the list.
    type: bool
    default: false
  fail:
    description: Fail when something is left behind.
    type: bool
    default: true
attributes:
  check_mode:
    description: Changes nothing in any mode, and does not fail in check mode, since nothing was removed.
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
- name: Read what there is
  openmlops.platform.leftovers:
    state: before
  register: before

- name: Nothing is left
  openmlops.platform.leftovers:
    state: after
    snapshot: "{{ before.snapshot }}"
    purge: true
    show: true
"""

RETURN = r"""
snapshot:
  description: What there is, with C(components), C(namespaces), C(foreign), C(releases), C(members), C(definitions).
  returned: with state before
  type: dict
leftovers:
  description: What is left, each with C(kind), C(namespace), C(name), C(why), C(kept) and C(command), which removes it by hand.
  returned: with state after
  type: list
  elements: dict
not_looked_at:
  description: Kinds that the account may not list.
  returned: with state after
  type: list
  elements: str
"""
