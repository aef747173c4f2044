# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/converge.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: converge
short_description: Bring components of the platform to their plans
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Applies what a component consists of, phase by phase, and waits once for everything in a phase.
  - Objects are applied on the server's side with one field manager, so that fields which leave a manifest leave the cluster.
  - Helm is started only for a release whose chart or values changed. One that an interrupted run left pending is made again.
    What somebody changed by hand in a release is put back without Helm.
  - Waiting names what is missing and why, and ends at once when it cannot succeed.
  - What a component had and no longer has is removed. What holds data is kept.
  - Only one run works on a cluster at a time. Another one waits and names the first.
  - In C(--check) the server is asked what would happen. In C(--diff) no value of a Secret is shown.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  component:
    description: Name of the component.
    type: str
  namespace:
    description: Its namespace, which is made.
    type: str
  namespace_labels:
    description: More labels for the namespaces that are made.
    type: dict
    default: {}
  offspring:
    description:
      - What the component's programs or users make, such as servers of JupyterHub's and clusters of Dask's users, by C(api_version),
        C(kind), C(namespace) (empty for all) and, unless it is all of these, C(selector) (labels, null for any value).
      - It goes before the component goes; with C(data=true) after it, on a purge only. With C(finalizer), the name of a finalizer
        of the component's program, it goes before, too.
    type: list
    elements: dict
    default: []
  about:
    description: Facts that M(openmlops.platform.status) shows, C(version), C(url), C(cluster_url) and C(notes), sentences for people.
    type: dict
    default: {}
  secrets:
    description:
      - Secrets as for M(openmlops.platform.secret_bootstrap), made in the first phase.
      - A key may be given as C(variable), the name of a variable of the inventory, so that its value stands in no fact.
    type: list
    elements: dict
    default: []
  phases:
    description:
      - What the component wants in each phase, in this order C(foundation), C(definitions), C(operators), C(stores),
        C(provisioning), C(preparation), C(applications), C(routes), C(verification).
      - Each may have C(objects) (manifests), C(releases) (C(name), C(namespace), C(values), and C(chart), a C(component/chart)
        that C(platform.lock.yml) pins) and C(definitions) (manifests with custom resource definitions, as C(program/file) of a built program).
      - In manifests and values C(<fingerprint NAMESPACE/SECRET>) stands for a mark that changes with the Secret's values.
    type: dict
    default: {}
  services:
    description:
      - Entries for the service catalogue, by which the component is reached through the gateway; their keys are in
        docs/access.md.
      - They are recorded in the cluster. With the role P(openmlops.platform.access#role) installed, routes, Oathkeeper's rules,
        network policies and the landing page follow from the entries of all components.
    type: list
    elements: dict
    default: []
  gateway:
    description: What the gateway's component tells about itself, C(gateway_namespace), C(proxy_namespace), C(proxy_labels),
      C(tls_secret), C(options).
    type: dict
    default: {}
  access:
    description: How people get in, from the role P(openmlops.platform.access#role).
    type: dict
    default: {}
  shared:
    description:
      - A way that people make below a service's prefix themselves, C(namespaces) in which their routes are, and C(prefix). The
        gateway takes routes from there.
    type: dict
    default: {}
  plan:
    description: Several components at once, each with the keys above, or as roles leave them in C(platform_plan).
    type: list
    elements: dict
  defer:
    description: Add the component to the fact C(platform_plan) and do nothing else.
    type: bool
    default: false
  state:
    description: V(absent) removes O(component) or O(components).
    type: str
    choices: [present, absent]
    default: present
  components:
    description: Components to remove, in this order, with O(state=absent).
    type: list
    elements: str
    default: []
  purge:
    description: With O(state=absent), remove Secrets, volumes, definitions and namespaces too.
    type: bool
    default: false
  rotate:
    description:
      - Keys of Secrets to make anew, as C(namespace/secret/key), all of a component by its name, or V(all).
      - The last two leave out what M(openmlops.platform.secret_bootstrap) is told to rotate C(only_by_name).
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Asks the server what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows what changes, object by object, without any Secret's value.
    support: full
requirements:
  - kubernetes >= 24.2
notes:
  - Runs on the controller. Settings come from the role P(openmlops.platform.platform#role).
seealso:
  - module: openmlops.platform.secret_bootstrap
  - module: openmlops.platform.status
"""

EXAMPLES = r"""
- name: A component of your own
  openmlops.platform.converge:
    component: greeter
    namespace: greeter
    about: {version: 1.0.0}
    secrets:
      - name: greeter
        namespace: greeter
        data:
          token: {generate: hex}
    phases:
      applications:
        objects: "{{ lookup('ansible.builtin.template', 'greeter.yaml.j2') | from_yaml_all | list }}"

- name: Remove it, with all its data
  openmlops.platform.converge:
    component: greeter
    state: absent
    purge: true
"""

RETURN = r"""
objects:
  description: What was changed.
  returned: always
  type: list
  elements: dict
  contains:
    kind: {description: "Kind of the object, or Release.", type: str, returned: always}
    namespace: {description: "Its namespace, empty for cluster-wide kinds.", type: str, returned: always}
    name: {description: "Its name.", type: str, returned: always}
    action: {description: "One of created, updated, deleted.", type: str, returned: always}
unchanged:
  description: How many objects were as planned.
  returned: always
  type: int
seconds:
  description: Seconds of each phase, by its name.
  returned: always
  type: dict
"""
