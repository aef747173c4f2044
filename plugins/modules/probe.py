# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/probe.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Ask the running platform whether it lets in whom the service catalogue lets in, and nobody else
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Derives from the recorded service catalogue which decision is meant for each service, method and visitor, and asks the
    running Oathkeeper for each of them as a gateway would. No such question reaches a service.
  - The visitors are nobody, a user and a machine in no group, and a member of each group that a service names. Their identities
    are made for this probe with sessions of their own, two by cookie and one by token, and are gone after it. Passwords and
    tokens of theirs are never written anywhere.
  - Compares the rules in the cluster, and those that each pod of Oathkeeper has loaded, with what follows from the catalogue.
  - Then sends through the gateway what must be refused, and of what is allowed only V(GET). Methods that could change something
    are sent last, and only when all others got the right answer.
  - Fails on a deviation and names service, method, visitor, what is meant and what is.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  gateway:
    description:
      - Whether the gateway is asked too. V(auto) asks when its name can be reached from the controller and its certificate is
        trusted there (the platform's own authority always is), and says so when not; V(always) fails then.
    type: str
    choices: [always, auto, never]
    default: auto
  dest:
    description: File on the controller that the whole result is written to, as JSON.
    type: path
  show:
    description: Print the decisions as a table.
    type: bool
    default: false
  timeout:
    description: Seconds until Oathkeeper must have loaded its rules. The gateway gets up to 30 of them for its routes.
    type: float
    default: 120.0
attributes:
  check_mode:
    description: Does nothing in check mode.
    support: none
  diff_mode:
    description: There is nothing to show.
    support: none
requirements:
  - kubernetes >= 24.2
  - bcrypt
notes:
  - Runs on the controller. Needs the rights to C(create) C(pods/portforward), and C(get), C(create), C(update) and C(delete) on
    C(services/proxy) in the namespace of Kratos, Oathkeeper and Keto.
seealso:
  - module: openmlops.platform.people
  - module: openmlops.platform.status
"""

EXAMPLES = r"""
- name: Every decision is as the catalogue means it
  openmlops.platform.probe:
    dest: /tmp/probe.json
    show: true
"""

RETURN = r"""
probe:
  description: What was found.
  returned: success
  type: dict
  contains:
    result: {description: V(passed) or V(failed)., type: str, returned: always}
    url: {description: Address of the platform., type: str, returned: always}
    seconds: {description: How long it took., type: float, returned: always}
    gateway: {description: "Whether the gateway was asked (C(asked)), and the C(reason) when not.", type: dict, returned: always}
    rules: {description: "Rules that are not the catalogue's, by id.", type: dict, returned: always}
    unjudged: {description: "Access rules of the user whose decisions cannot be foretold, by id.", type: list, elements: str, returned: always}
    lines:
      description: Each decision, when O(dest) or O(show) asks for them.
      type: list
      elements: dict
      returned: always
    deviations: {description: Those that are not as intended., type: list, elements: dict, returned: always}
"""
