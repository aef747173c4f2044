# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/demo.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: demo
short_description: Show the way from data to a model that answers, on the running platform
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Sends the flow of C(examples/story) to Prefect and runs it. It brings features into Feast, trains on a Dask cluster of its own,
    registers the model in MLflow and deploys it.
  - Asks the model through the gateway, with a token and without, and goes on asking while a better one answers a tenth of the requests,
    then all, and is rolled back. Fails when one request fails.
  - Prints each step with the address where it can be seen.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  data:
    description: A CSV file of numbers, the target in its last column. By default scikit-learn's diabetes set.
    type: path
  machine:
    description: The machine with whose token the platform is asked; M(openmlops.platform.people) makes it.
    type: str
    default: demo
  state:
    description: V(absent) takes the deployed model and the flow away. Features, runs and registered models stay.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Does nothing.
    support: none
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - Runs on the controller, which must reach the gateway.
seealso:
  - module: openmlops.platform.model_deployment
  - module: openmlops.platform.people
"""

EXAMPLES = r"""
- name: Somebody who may ask
  openmlops.platform.people:
    machines: [{name: demo}]

- name: The story, with data of our own
  openmlops.platform.demo:
    data: winequality-red.csv
"""

RETURN = r"""
demo:
  description: What came of it.
  returned: with O(state=present)
  type: dict
  contains:
    url: {description: Where the model is asked., type: str, returned: always}
    predictions: {description: How many there were while models were replaced., type: int, returned: always}
    first: {description: "Of the first model: run, version, r2, revision.", type: dict, returned: always}
    better: {description: The same of the second model., type: dict, returned: always}
"""
