# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.mirror import references

POD = {"initContainers": [{"name": "i", "image": "a/init:1"}], "containers": [{"name": "c", "image": "a/web:1"}],
       "volumes": [{"name": "v", "image": {"reference": "a/data:1", "pullPolicy": "IfNotPresent"}}]}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({"kind": "Pod", "spec": POD}, ["a/init:1", "a/web:1", "a/data:1"]),
        ({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": POD}}}}}, ["a/init:1", "a/web:1", "a/data:1"]),
        ({"kind": "Cluster", "spec": {"imageName": "g/postgresql:17"}}, ["g/postgresql:17"]),
        ({"kind": "EnvoyProxy", "spec": {"provider": {"container": {"image": "e/envoy:v1"}}}}, ["e/envoy:v1"]),
        ({"kind": "ConfigMap", "data": {"image": "x/y:1"}}, []),
        ({"kind": "CustomResourceDefinition", "spec": {"image": "x/y:1"}}, []),
        ({"kind": "Widget", "spec": {"image": {"repository": "x/y", "tag": "1"}}}, []),
        ({"kind": "Widget", "spec": {"image": "auto"}, "status": {"image": "x/y:1"}, "metadata": {"image": "x/y:2"}}, []),
        ({"kind": "Widget", "spec": {"image": "{{ image }}:1"}}, []),
    ],
)
def test_images(obj, expected):
    assert sorted(references.images([obj])) == sorted(expected)


def test_each_once():
    assert references.images([{"kind": "Pod", "spec": POD}] * 2) == references.images([{"kind": "Pod", "spec": POD}])


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [("nginx", "nginx", ""), ("nginx:1", "nginx", "1"), ("h:5000/a/b", "h:5000/a/b", ""), ("h:5000/a/b:1.0", "h:5000/a/b", "1.0"),
     ("h/a@sha256:abc", "h/a", "sha256:abc"), ("h/a:1@sha256:abc", "h/a", "sha256:abc")],
)
def test_split(text, repository, tag):
    assert references.split(text) == (repository, tag)
    if tag and "@" not in text:
        assert references.joined(repository, tag) == text


def test_joined_with_a_digest():
    assert references.joined("h/a", "sha256:abc") == "h/a@sha256:abc"
