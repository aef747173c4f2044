# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.charts import manifest

MANIFEST = """\
# A comment before the first object
apiVersion: v1
kind: Namespace
metadata:
  name: system
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: one
spec:
  names:
    kind: One
--- # a comment after the separator

---
kind: "CustomResourceDefinition"
metadata:
  name: two
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: text
data:
  inner: |
    ---
    kind: CustomResourceDefinition
"""


def names(text):
    return [document["metadata"]["name"] for document in yaml.safe_load_all(text)]


def test_crds():
    assert names(manifest.crds(MANIFEST)) == ["one", "two"]


def test_without_crds():
    assert names(manifest.without_crds(MANIFEST)) == ["system", "text"]
    assert list(yaml.safe_load_all(manifest.without_crds(MANIFEST)))[1]["data"]["inner"].startswith("---\n")


def test_nothing():
    assert manifest.crds("") == manifest.without_crds("---\n# only a comment\n") == ""


def test_no_newline_at_the_end():
    assert names(manifest.without_crds("kind: A\nmetadata: {name: a}\n---\nkind: B\nmetadata: {name: b}")) == ["a", "b"]
