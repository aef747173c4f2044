# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/rotation.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rotation
short_description: List which keys of Secrets can be made anew
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Reads the plans of the components, and from the cluster when each generated value was rotated last. No value is ever read from them.
  - Fails when O(rotate) names what cannot be rotated. The rotation itself is done by M(openmlops.platform.converge).
extends_documentation_fragment:
  - openmlops.platform.connection
  - openmlops.platform.read_only
options:
  plan:
    description: Plans of the components, as their roles leave them in C(ansible_facts.platform_plan).
    type: list
    elements: dict
    required: true
  rotate:
    description:
      - What is to be rotated, each C(namespace/secret/key), the name of a component, or V(all).
      - V(all) and components leave out what is marked with C(only_by_name), such as keys that data is encrypted with.
    type: list
    elements: str
    default: []
  show:
    description: Print the list.
    type: bool
    default: false
seealso:
  - module: openmlops.platform.converge
  - module: openmlops.platform.secret_bootstrap
"""

EXAMPLES = r"""
- name: What can be rotated
  openmlops.platform.rotation:
    plan: "{{ ansible_facts['platform_plan'] }}"
    show: true
"""

RETURN = r"""
rotatable:
  description: What can be rotated, each with C(component), C(ref), C(kind), C(by_name) and C(rotated) (UTC, empty for never).
  returned: always
  type: list
  elements: dict
rotate:
  description: What O(rotate) means, as references.
  returned: always
  type: list
  elements: str
"""
