# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/compare.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compare
short_description: Show how two inventories differ
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Reads two inventories as Ansible would, each for itself, and tells every variable of the roles in which they differ. A variable that
    an inventory does not set has its role's default.
  - Talks to no cluster. Of secrets it tells that they differ, and nothing else.
extends_documentation_fragment:
  - openmlops.platform.read_only
options:
  first:
    description: A folder of C(inventories/), or a path; with C(#HOST) behind it, when it has more than one cluster.
    type: str
    required: true
  second:
    description: The other one.
    type: str
    required: true
  dest:
    description: File on the controller that the differences are written to, as JSON.
    type: path
  show:
    description: Print the differences.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: How the two clusters differ
  openmlops.platform.compare:
    first: gke
    second: eks
    show: true
"""

RETURN = r"""
first:
  description: Name of the first cluster.
  returned: always
  type: str
second:
  description: Name of the second cluster.
  returned: always
  type: str
differences:
  description: Each variable that differs, with C(name), C(first) and C(second), as texts.
  returned: always
  type: list
  elements: dict
"""
