# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the API server with the rules that matter here: 409 for a second POST and an old resourceVersion."""

from __future__ import annotations

import base64
import copy
import itertools

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Conflict, Forbidden, NotFound
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.bootstrap import bootstrap


class FakeCluster:
    """Secrets in memory. ``before(verb, namespace, name)`` is called ahead of each request: a place for a rival."""

    def __init__(self, namespaces):
        self.namespaces = set(namespaces)
        self.objects = {}
        self.requests = []
        self.forbidden = set()
        self.before = lambda verb, namespace, name: None
        self._count = itertools.count(1)

    def _request(self, verb, namespace, name):
        self.requests.append((verb, namespace, name))
        self.before(verb, namespace, name)
        if (verb, namespace) in self.forbidden:
            raise Forbidden(403, "Forbidden", f'secrets "{name}" is forbidden')

    def get(self, api_version, kind, name, namespace=None):
        assert (api_version, kind) == ("v1", "Secret")
        self._request("get", namespace, name)
        return copy.deepcopy(self.objects.get((namespace, name)))

    def create(self, obj, dry_run=False):
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        self._request("create", *key)
        if key[0] not in self.namespaces:
            raise NotFound(404, "NotFound", "namespaces not found")
        if key in self.objects:
            raise Conflict(409, "AlreadyExists", "already exists")
        return self._store(key, obj, uid=f"uid-{next(self._count)}")

    def replace(self, obj, dry_run=False):
        key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
        self._request("update", *key)
        if key not in self.objects:
            raise NotFound(404, "NotFound", "not found")
        if self.objects[key]["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "the object has been modified")
        return self._store(key, obj)

    def delete(self, ref, uid=None):
        key = (ref["metadata"]["namespace"], ref["metadata"]["name"])
        self._request("delete", *key)
        assert uid == self.objects[key]["metadata"]["uid"]
        del self.objects[key]
        return True

    def _store(self, key, obj, **meta):
        obj = copy.deepcopy(obj)
        obj["metadata"].update(resourceVersion=str(next(self._count)), **meta)
        self.objects[key] = obj
        return copy.deepcopy(obj)

    # -- for tests ----------------------------------------------------------------------------------------------

    def put(self, namespace, name, data, **fields):
        """Writes a Secret as somebody else would."""
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        old = self.objects.get((namespace, name), {}).get("metadata", {"uid": f"uid-{next(self._count)}"})
        self._store(
            (namespace, name),
            {
                "type": "Opaque",
                "data": encoded,
                "metadata": {"name": name, "namespace": namespace, **old, **fields.pop("metadata", {})},
                **fields,
            },
        )

    def data(self, namespace, name):
        """Returns the decoded values of a Secret."""
        return {k: base64.b64decode(v) for k, v in self.objects[(namespace, name)]["data"].items()}

    def writes(self):
        """Returns the requests that change something."""
        return [request for request in self.requests if request[0] != "get"]


@pytest.fixture
def cluster():
    return FakeCluster(["a", "b"])


@pytest.fixture
def run(cluster):
    """Calls the action's work on the stand-in and returns its report."""

    def call(*secrets, **options):
        return bootstrap(cluster, list(secrets), options.pop("rotate", []), **options)

    return call
