# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Needs and a stand-in of the API server that also judges rights."""

from __future__ import annotations

import copy
import datetime

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import ref
from ansible_collections.openmlops.platform.plugins.module_utils.preflight.needs import Needs
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import FakeCluster


class JudgingCluster(FakeCluster):
    """Knows what an account may do: ``may`` is asked with the attributes of each review."""

    def __init__(self, *namespaces):
        super().__init__(*namespaces)
        self.may = lambda attributes: True
        self.asked = []
        self.openshift = False
        self.now = datetime.datetime.now(datetime.UTC)

    def request(self, method, path, **options):
        if path.endswith("/selfsubjectaccessreviews"):
            assert method == "POST"
            spec = options["body"]["spec"]
            attributes = spec.get("resourceAttributes") or spec["nonResourceAttributes"]
            self.asked.append(attributes)
            return {"status": {"allowed": self.may(attributes)}}
        if path.endswith("/subjectaccessreviews"):
            self.asked.append(options["body"]["spec"])
            return {"status": {"allowed": self.may(options["body"]["spec"]["resourceAttributes"])}}
        if path.endswith("/selfsubjectreviews"):
            return {"status": {"userInfo": {"username": "system:serviceaccount:ci:installer"}}}
        return super().request(method, path, **options)

    def serves(self, api_version, kind):
        return super().serves(api_version, kind) and (kind != "SecurityContextConstraints" or self.openshift)

    def version(self):
        return "v1.35.4"

    def date(self):
        return self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.fixture
def judge():
    return JudgingCluster("openmlops", "ml")


@pytest.fixture
def wants():
    """Returns a function that makes Needs of objects."""

    def make(*objects, **fields):
        spaces = {obj["metadata"]["namespace"] for obj in objects if obj["metadata"].get("namespace")}
        fields.setdefault("namespaces", tuple(sorted(spaces)))
        return Needs(tuple({ref(obj): copy.deepcopy(obj) for obj in objects}.values()), **fields)

    return make
