# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/require.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: require
short_description: What must hold before anything changes
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Does what several tasks with M(ansible.builtin.assert) do, in one. Each task costs a process; a run of the platform has some forty checks.
  - Ends with the message of the first check that does not hold. Messages of others are never made.
extends_documentation_fragment:
  - openmlops.platform.read_only
options:
  checks:
    description: The checks, in their order. Conditions and messages may use all variables of the task.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What is checked, as the name of a task would say it.
        type: str
      that:
        description: A condition, or a list of conditions, that must all hold.
        type: raw
        required: true
      message:
        description: What is wrong, naming the variable, and the cure.
        type: str
        required: true
      when:
        description: A condition, or a list of conditions; the check is made only when all hold.
        type: raw
        default: []
      each:
        description: An expression that gives a list; the check is made for each entry, as C(item), at C(index) from 0.
        type: str
seealso:
  - module: ansible.builtin.assert
"""

EXAMPLES = r"""
- name: The inventory must make sense
  openmlops.platform.require:
    checks:
      - that: mlflow_replicas | int > 0
        message: mlflow_replicas ({{ mlflow_replicas }}) must be at least 1.
      - name: Each pool must have a name
        each: prefect_work_pools
        that: item.name | default('') | length > 0
        message: "prefect_work_pools[{{ index }}] has no name."
        when: prefect_work_pools | length > 0
"""

RETURN = r"""
check:
  description: Name of the check that does not hold; that of the task when it has none.
  returned: failure
  type: str
assertion:
  description: The condition that does not hold.
  returned: failure
  type: str
"""
