# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller may ask for."""

from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.request import request
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import parse, read
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest
from ansible_collections.openmlops.platform.tests.unit.serving.world import DOCUMENT, settings

URI = {"name": "wine", "model_uri": "models:/wine/1"}


def test_defaults_are_the_platforms():
    found = request(URI, settings())
    assert (found.namespace, found.engine, found.traffic, found.replicas, found.wait) == ("models", "kserve", 100, 1, True)
    assert request({**URI, "namespace": "other", "engine": "seldon"}, settings()).namespace == "other"


def test_quantities_are_texts():
    found = request({**URI, "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}, "env": {"DEBUG": True, "N": 3}}, settings())
    assert found.resources == {"limits": {"cpu": "1", "memory": "1Gi"}} and found.env == {"DEBUG": "true", "N": "3"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Wine"}, "^name: 'Wine' must have lower-case"), ({"name": "w" * 39}, "at most 38"), ({"name": "1a"}, "^name"),
        ({"name": "deployment"}, "is taken"),
        ({"name": "a-"}, "^name"), ({"namespace": "no/where"}, "^namespace"), ({"engine": "other"}, "^engine: 'other' is none of kserve, seldon"),
        ({"framework": "spark"}, "^framework"), ({"protocol": "grpc"}, "^protocol"), ({"state": "gone"}, "^state"),
        ({"model_uri": " "}, "^model_uri: say which model"), ({"traffic": 0}, "^traffic: 0 must be from 1 to 100"), ({"traffic": 101}, "^traffic"),
        ({"traffic": 10, "shadow": True}, "^traffic: leave it out with shadow"), ({"replicas": 0}, "^replicas"),
        ({"wait_timeout": 0}, "^wait_timeout"), ({"protocol": "seldon"}, "engine seldon only"),
        ({"engine": "seldon", "framework": "tensorflow", "protocol": "v2"}, "set protocol: seldon"),
        ({"resources": {"cpu": "1"}}, "'cpu' must be requests or limits"), ({"resources": {"limits": {"cpu": "lots"}}}, "not a quantity"),
        ({"env": {"a-b": "c"}}, "cannot be the name"), ({"env": {"A": {"name": "s"}}}, "secret: name of a Secret"),
        ({"env": {"MLSERVER_MODEL_NAME": "x"}}, "set by the platform"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(ModelError, match=message):
        request({**URI, **change}, settings())


def test_all_problems_at_once():
    with pytest.raises(ModelError) as error:
        request({"name": "W", "traffic": 0}, settings())
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize("change", [{"traffic": 10}, {"shadow": True}])
def test_without_a_gateway_nothing_splits(change):
    with pytest.raises(ModelError, match="no gateway that could split"):
        request({**URI, **change}, settings(gateway="none"))


# -- settings -------------------------------------------------------------------------------------------------------


def test_settings_in_their_forms():
    found = parse({**DOCUMENT, "prefix": "seldon", "image_pull_secrets": [{"name": "a"}, "b"], "public_url": "https://h:8443/", "new": 1,
                   "artifact_root": "s3://b/x/"})
    assert (found.prefix, found.image_pull_secrets, found.public_url, found.artifact_root) == ("/seldon/", ("a", "b"), "https://h:8443", "s3://b/x")
    assert found.tls and found.public_port == 8443 and found.tracking_path == "/mlflow"
    assert settings(public_url="http://h").public_port == 80


@pytest.mark.parametrize(("change", "message"), [({"engine": "x"}, "engine is 'x'"), ({"gateway": "nginx"}, "gateway is 'nginx'")])
def test_settings_of_another_platform(change, message):
    with pytest.raises(ModelError, match=message):
        settings(**change)


def test_settings_of_the_cluster(world):
    assert read(world, "models").engine == "kserve"
    with pytest.raises(ModelError, match="no ConfigMap gw/model-deployment: nothing serves models here"):
        read(world, "gw")
    world.put(manifest("ConfigMap", "model-deployment", "gw", data={"settings.json": "{"}))
    with pytest.raises(ModelError, match="settings.json is no JSON"):
        read(world, "gw")
