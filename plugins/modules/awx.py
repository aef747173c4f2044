# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/awx.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: awx
short_description: Bring an AWX to data
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Creates and changes organisation, project, inventory, credential types, execution environment, job templates with surveys, workflows
    and schedules through the REST API of AWX, or of an automation platform. What the data does not name is left alone.
  - Everything is checked before anything is sent.
options:
  host:
    description: Address of the controller, without a path.
    type: str
    required: true
  token:
    description: Token of a person or an application that may write there. Or else O(username) and O(password).
    type: str
  username:
    description: Name of a person.
    type: str
  password:
    description: Password of O(username).
    type: str
  validate_certs:
    description: Whether the controller's certificate is checked.
    type: bool
    default: true
  api_prefix:
    description: Path of the API; V(/api/controller/v2) behind the gateway of an automation platform.
    type: str
    default: /api/v2
  folder:
    description: Folder with the data. By default C(awx) of this collection.
    type: path
  values:
    description: What stands in for C($name) in the data, by name.
    type: dict
    required: true
  credentials:
    description: Names of credentials that each job gets. They must be there, since their secrets are no data.
    type: list
    elements: str
    default: []
  schedules:
    description: Whether the schedules are switched on.
    type: bool
    default: false
attributes:
  check_mode:
    description: Tells what would be created and changed.
    support: full
  diff_mode:
    description: The changes are in RV(changes).
    support: none
notes:
  - Runs on the Ansible controller.
"""

EXAMPLES = r"""
- name: AWX is as the data says
  openmlops.platform.awx:
    host: https://awx.example.org
    token: "{{ awx_token }}"
    values:
      organization: Machine learning
      image: registry.example.org/openmlops-ee:1
      project_url: https://git.example.org/platform.git
      project_branch: main
      inventory: gke
      inventory_path: inventories/gke/hosts.yml
"""

RETURN = r"""
changes:
  description: What was created and changed, a sentence for each.
  returned: always
  type: list
  elements: str
"""
