# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans and charts want together."""

from __future__ import annotations

from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import parse
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Release
from ansible_collections.openmlops.platform.plugins.module_utils.preflight import needs
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

CRDS = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.example.org
spec:
  group: example.org
  names:
    plural: widgets
    kind: Widget
  scope: Cluster
"""


def test_everything_is_collected():
    offspring = {"api_version": "example.org/v1", "kind": "Widget", "namespace": ""}
    raw = {"component": "web", "namespace": "ml", "offspring": [offspring], "secrets": [{"name": "key", "data": {}}], "phases": {
        "definitions": {"definitions": ["x"]},
        "stores": {"objects": [manifest("ConfigMap", "c", "other")], "releases": [{"name": "r"}]},
    }}
    plan = parse(raw, lambda _entry: Release("r", "helm-space", "chart", "d", {}), lambda _name: CRDS)
    chart = [manifest("Deployment", "d", "helm-space"), manifest("ConfigMap", "c", "other")]
    found = needs.collect([plan], {"helm-space/r": chart}, "openmlops")
    assert found.namespaces == ("helm-space", "ml", "openmlops", "other")
    assert found.releases == (("helm-space", "r"),) and found.definitions == ("widgets.example.org",)
    assert found.promised == (("example.org", "Widget"),) and found.defined == {("example.org", "Widget"): ("widgets", False)}
    assert found.components == (("web", "ml"),) and found.offspring == (offspring,)
    # What the platform applies itself is not the chart's.
    assert found.release_of == {("Deployment", "helm-space", "d"): "helm-space/r"}
    assert ("Secret", "key") in {(obj["kind"], obj["metadata"]["name"]) for obj in found.objects}


def test_definitions_of_charts_promise_their_kinds():
    crd = manifest("CustomResourceDefinition", "widgets.example.org", spec={"group": "example.org", "names": {"kind": "Widget"}})
    plan = parse({"component": "web", "namespace": "ml", "phases": {"operators": {"releases": [{}]}}},
                 lambda _entry: Release("r", "ml", "chart", "d", {}), lambda _name: "")
    found = needs.collect([plan], {"ml/r": [crd]}, "openmlops")
    assert found.promised == (("example.org", "Widget"),) and found.definitions == ("widgets.example.org",)
    assert found.defined == {("example.org", "Widget"): ("widgets", True)}
