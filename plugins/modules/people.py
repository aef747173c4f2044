# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/people.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: people
short_description: Make people, groups and machines of the inventory able to log in
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Creates, changes, disables and forgets identities in Ory Kratos, and writes to Ory Keto who belongs to which group and which
    group may enter which service.
  - Talks to both through the API server, so that the controller needs no way into the cluster's network.
  - Who is disabled or absent loses all sessions, tokens and rights at once; the action looks afterwards that none is left.
    Who is let in again starts without any.
  - A first password comes from a variable, or is generated and lies in a Secret C(user-<name>), key C(password). One that
    somebody changed later is never touched.
  - Each machine has one token, in a Secret C(machine-<name>), key C(token). It lives as long as a session
    (C(ory_session_lifespan)) and is prolonged by each run once half of that is over.
  - Somebody who registered without being listed is left alone. Whoever registered with an address that is listed later, and
    never proved that it is theirs, is deleted, and the listed person made anew.
  - Runs of the platform and of this action wait for each other.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  users:
    description:
      - C(email), C(schema) (V(person) or V(admin)), C(groups), C(state) (V(present), V(disabled) or V(absent)) and
        C(password_variable), the name of a variable with the first password.
      - By default the variable C(platform_users).
    type: list
    elements: dict
  machines:
    description: C(name), C(groups) and C(state). By default the variable C(platform_machines).
    type: list
    elements: dict
  groups:
    description:
      - C(name) and C(description). When given, other names are refused. By default the variable C(platform_groups).
    type: list
    elements: dict
  namespace:
    description: Namespace of Kratos and Keto. By default the variable C(ory_namespace), or V(ory).
    type: str
  unlisted:
    description: What becomes of those whom an earlier run made and whom nobody lists any more.
    type: str
    choices: [keep, disable]
    default: keep
  rotate:
    description: Names of machines that get a new token; their old one ends.
    type: list
    elements: str
    default: []
  show:
    description: Print everybody as a table, with groups, state, number of sessions, and when a machine's token ends.
    type: bool
    default: false
  dest:
    description: File to write the same to, as JSON.
    type: path
  validate_only:
    description: Only check what is given; ask nobody.
    type: bool
    default: false
attributes:
  check_mode:
    description: Asks Kratos and Keto, and changes nothing.
    support: full
  diff_mode:
    description: Shows who changes, never a password or token.
    support: full
requirements:
  - kubernetes >= 24.2
notes:
  - Runs on the controller. Needs the rights C(create), C(delete), C(get), C(patch) and C(update) on C(services/proxy) and on
    C(secrets) in the namespace.
seealso:
  - module: openmlops.platform.secret_bootstrap
"""

EXAMPLES = r"""
- name: Two people and a pipeline
  openmlops.platform.people:
    users:
      - {email: ada@example.org, groups: [data-scientists]}
      - {email: left@example.org, state: disabled}
    machines:
      - {name: nightly-training, groups: [pipelines]}

- name: A new token for the pipeline, and a list of everybody
  openmlops.platform.people:
    rotate: [nightly-training]
    show: true
"""

RETURN = r"""
people:
  description: What became of each.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: "E-mail address or machine's name.", type: str, returned: always}
    action:
      description: One of created, updated, disabled, deleted, issued, rotated, prolonged, unchanged.
      type: str
      returned: always
    about: {description: "Groups, or what changed.", type: str, returned: always}
"""
