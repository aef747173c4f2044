# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action in plugins/action/model_deployment.py, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_deployment
short_description: Serve a model, a share of the requests by it, or stop serving it
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Serves a model of MLflow's registry, of a run, or of the object store, by KServe or Seldon Core, at the platform's gateway and
    behind its login.
  - No request fails when a model is replaced. The new one is up and has loaded its model before requests go to it; the one before
    goes on until the gateway has taken up the change, and for a while after that.
  - A model that cannot come up is told with the reason (a pod's image, the last words of the container that fetches the
    model or of the server), and requests go where they went before.
  - What answers, and what answered before, is kept in the ConfigMap C(model-NAME) in the model's namespace.
  - Notebooks and flows do the same with C(from openmlops import model_deployment), which is the same code.
extends_documentation_fragment:
  - openmlops.platform.connection
options:
  name:
    description:
      - Name of the deployed model, part of its address. Lower-case letters, digits and V(-), at most 38 characters.
    type: str
    required: true
  namespace:
    description: Where the model runs. By default the platform's namespace for models (C(models_namespace)).
    type: str
  engine:
    description: What runs the model. By default what the platform says.
    type: str
    choices: [kserve, seldon]
  model_uri:
    description:
      - Which model. C(models:/NAME/VERSION), C(models:/NAME/latest), C(models:/NAME@ALIAS), C(models:/m-ID), C(runs:/RUN/PATH),
        C(s3://BUCKET/PATH), C(gs://BUCKET/PATH) or C(pvc://CLAIM/PATH).
      - What an alias means is asked on each call; an alias that has moved is a change.
      - Required with O(state=present).
    type: str
  framework:
    description:
      - What can load the model. By default told by the file MLmodel, which MLflow writes beside a model.
      - V(mlflow) is MLflow's own loader, for every flavor and for code of one's own (pyfunc). V(sklearn) and V(xgboost) need less
        memory, and read files that these libraries wrote themselves.
    type: str
    choices: [sklearn, xgboost, tensorflow, mlflow]
  protocol:
    description:
      - V(v2) is the open inference protocol, V(seldon) that of Seldon Core's own servers, with O(engine=seldon) only.
      - By default V(v2), but V(seldon) for TensorFlow by Seldon Core.
    type: str
    choices: [v2, seldon]
  replicas:
    description: Number of pods.
    type: int
    default: 1
  resources:
    description: C(requests) and C(limits) of the container, as Kubernetes has them. By default those of the platform's runtime.
    type: dict
    default: {}
  env:
    description: "Environment variables by name, each a text or C({secret: name of a Secret, key: its key})."
    type: dict
    default: {}
  traffic:
    description:
      - Percent of the requests that this model answers, from V(1) to V(100); the model that was deployed before answers the others.
      - With V(100) nothing else answers any more. The first model of a name answers everything.
    type: int
    default: 100
  shadow:
    description: Send this model a copy of each request, and its answers nowhere.
    type: bool
    default: false
  state:
    description:
      - V(present) deploys O(model_uri).
      - V(rolled_back) undoes the last deployment. A canary, a shadow or a model that never came up is taken away; otherwise the
        model before answers again. Asked again, nothing changes.
      - V(absent) removes the model with all that belongs to it, never its artifacts.
    type: str
    choices: [present, rolled_back, absent]
    default: present
  wait:
    description:
      - Wait until the model is loaded. Without it, requests go to a model that is not ready only after the same call is made again.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait, in seconds.
    type: float
    default: 600.0
attributes:
  check_mode:
    description: Finds the model and asks the API server for a dry run of all objects; changes nothing.
    support: full
  diff_mode:
    description: Shows the revisions and their shares before and after. Values of variables whose names tell of secrets are hidden.
    support: full
requirements:
  - kubernetes >= 24.2
notes:
  - Runs on the controller. MLflow and the model servers are asked by forwarded ports, so that the controller needs no way into the
    cluster's network.
  - Needs, in the namespace, the rights C(create), C(delete), C(get), C(list), C(patch) and C(update) on the engine's objects, on
    routes and on C(configmaps), C(get) and C(list) on C(pods), C(pods/log), C(events), and C(create) on C(pods/portforward), there
    and in MLflow's namespace.
seealso:
  - module: openmlops.platform.people
"""

EXAMPLES = r"""
- name: The champion answers
  openmlops.platform.model_deployment:
    name: wine
    model_uri: models:/wine@champion

- name: One request of ten goes to the challenger
  openmlops.platform.model_deployment:
    name: wine
    model_uri: models:/wine@challenger
    traffic: 10

- name: It did not do well
  openmlops.platform.model_deployment:
    name: wine
    state: rolled_back

- name: Files that MLflow does not know
  openmlops.platform.model_deployment:
    name: iris
    model_uri: gs://models/sklearn/iris
    framework: sklearn
    resources:
      requests: {cpu: 100m, memory: 256Mi}
      limits: {memory: 1Gi}
"""

RETURN = r"""
url:
  description: Address at the platform's gateway; empty without one.
  returned: always
  type: str
  sample: https://ml.example.org/models/models/wine/
predict_url:
  description: Where predictions are asked for with POST.
  returned: always
  type: str
  sample: https://ml.example.org/models/models/wine/v2/models/wine/infer
cluster_url:
  description: Address inside the cluster of the revision that answers most. It changes with the revision.
  returned: always
  type: str
  sample: http://wine-1f2e3d4c-predictor.models.svc.cluster.local/
revision:
  description: Name of the revision that was asked for, or that answers after a rollback.
  returned: always
  type: str
  sample: 1f2e3d4c
uri:
  description: Where its artifacts are.
  returned: always
  type: str
  sample: s3://mlflow-1a2b3c/1/models/m-0123456789abcdef/artifacts
framework:
  description: What loads it.
  returned: always
  type: str
protocol:
  description: What it speaks.
  returned: always
  type: str
engine:
  description: What runs it.
  returned: always
  type: str
weights:
  description: Percent of the requests by revision.
  returned: always
  type: dict
  sample: {1f2e3d4c: 90, 5a6b7c8d: 10}
shadow:
  description: The revision that gets copies, or empty.
  returned: always
  type: str
previous:
  description: The revision that was replaced last, to which a rollback returns; or empty.
  returned: always
  type: str
ready:
  description: Whether requests go where the call says. False only with O(wait=false), while the model is being loaded.
  returned: always
  type: bool
"""
