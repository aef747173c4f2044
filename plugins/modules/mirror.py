# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/mirror.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mirror
short_description: List the images and charts that a platform needs, and copy them to a mirror
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Lists every image and every chart of plans, with source, target and digest, and copies those that the mirror lacks.
  - Charts are rendered with Helm, so that images which only a chart names are found too.
  - The layout is what C(platform_image_registry) and C(platform_chart_source) read. No cluster is asked.
  - Logins come from the inventory's C(platform_registries), by a file in memory, never on a command line. Without it skopeo and Helm
    use their own.
attributes:
  check_mode:
    description: Tells what would be copied, and writes nothing. Fails where copying would, so inside it proves that the mirror is complete.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - Runs on the controller.
requirements:
  - skopeo (to copy images, and to know digests of upstream's)
  - Helm (to copy and render charts)
options:
  plan:
    description: The plans of all components, as M(openmlops.platform.converge) collects them with C(defer).
    type: list
    elements: dict
    required: true
  modes:
    description: By component, the value of its C(<name>_mode), or a list of all that hold. Images for other modes are left out.
    type: dict
    default: {}
  registry:
    description: Mirror of images, as C(HOST/PATH). Empty to list them only.
    type: str
    default: ""
  charts:
    description: Mirror of charts, a folder or C(oci://HOST/PATH). Empty to list them only.
    type: str
    default: ""
  copy:
    description: Copy what is missing. Otherwise it is only listed.
    type: bool
    default: true
  architecture:
    description: Of images for several architectures copy only this one, such as V(amd64). Empty for all, with their list.
    type: str
    default: ""
  validate_registry:
    description: Whether the mirror's certificate is checked when images are copied. V(false) allows plain HTTP too.
    type: bool
    default: true
  plain_http:
    description: Whether charts are pushed by plain HTTP.
    type: bool
    default: false
  dest:
    description: File on the controller for the list, without a suffix; C(.json) and C(.txt) are written.
    type: path
  show:
    description: Print the list.
    type: bool
    default: false
seealso:
  - module: openmlops.platform.converge
"""

EXAMPLES = r"""
- name: The mirror has all that the platform needs
  openmlops.platform.mirror:
    plan: "{{ ansible_facts['platform_plan'] }}"
    registry: registry.example.org/ml
    charts: oci://registry.example.org/ml/charts
    dest: /srv/mirror/list
"""

RETURN = r"""
mirror:
  description: The list.
  returned: success
  type: dict
  contains:
    images:
      description: >-
        Each with C(name), C(source), C(origin) (registry or built), C(target), C(digest), C(state) (present, missing, unknown or failed),
        C(redirected) and C(note).
      type: list
      elements: dict
      returned: always
    charts:
      description: Each with C(name), C(version), C(repository), C(target), C(state) and C(note).
      type: list
      elements: dict
      returned: always
    notes:
      description: What could not be found out or done.
      type: list
      elements: str
      returned: always
copied:
  description: Targets that were filled by this run.
  returned: success
  type: list
  elements: str
missing:
  description: In check mode, targets that would be filled.
  returned: success
  type: list
  elements: str
"""
