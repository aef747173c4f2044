# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/preflight.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Tell all that stands in the way of a run, each with cause and cure
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Looks at what plans want and at what a cluster and its surroundings have, and tells everything that does not fit, at once.
  - Changes nothing. Rights are asked for with C(SelfSubjectAccessReview), which the server answers and does not store.
extends_documentation_fragment:
  - openmlops.platform.connection
  - openmlops.platform.read_only
options:
  plan:
    description: The plans of all components, as M(openmlops.platform.converge) collects them with C(defer).
    type: list
    elements: dict
    default: []
  problems:
    description: What roles said of the inventory already; told along with the rest.
    type: list
    elements: str
    default: []
  accepted_licences:
    description: SPDX names of licences that are accepted although they ask for a decision of their own.
    type: list
    elements: str
    default: []
  render:
    description: Render the charts, so that their objects are looked at too. Needs Helm, and the charts' repositories.
    type: bool
    default: true
  dest:
    description: File on the controller that the report is written to, also when the task fails.
    type: path
  dest_format:
    description: Form of the file.
    type: str
    choices: [json, table]
    default: json
  rights_dest:
    description: File on the controller for roles that give the account all rights that runs need, those that it has already too.
    type: path
  show:
    description: Print the report as a table.
    type: bool
    default: false
  fail:
    description: Fail when there is an error among the findings.
    type: bool
    default: true
seealso:
  - module: openmlops.platform.converge
"""

EXAMPLES = r"""
- name: Nothing stands in the way
  openmlops.platform.preflight:
    plan: "{{ ansible_facts['platform_plan'] }}"
    show: true
"""

RETURN = r"""
preflight:
  description: The report.
  returned: success
  type: dict
  contains:
    cluster:
      description: The cluster, C(server), C(context) and C(version).
      type: dict
      returned: always
    findings:
      description: What was found, each with C(check), C(level) (ok, note, warning, error), C(cause) and C(cure).
      type: list
      elements: dict
      returned: always
    errors:
      description: Number of errors.
      type: int
      returned: always
    warnings:
      description: Number of warnings.
      type: int
      returned: always
    notes:
      description: Number of notes.
      type: int
      returned: always
"""
