# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action, the function of notebooks and flows, and the package that they import it from."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.openmlops.platform.plugins.action import model_deployment
from ansible_collections.openmlops.platform.plugins.filter.components import FilterModule
from ansible_collections.openmlops.platform.plugins.module_utils.serving import client, package
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.plugin_utils import platform_action
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest

URI = {"name": "wine", "model_uri": "models:/wine/1"}


@pytest.fixture
def connected(monkeypatch, world, reach):
    """The stand-ins in the place of the cluster, for both ways in."""
    reach.close = mock.MagicMock()
    monkeypatch.setattr(platform_action, "connect", lambda args: world)
    monkeypatch.setattr(client, "connect", lambda args: world)
    for way in ("Inside", "Outside"):
        monkeypatch.setattr(client, way, lambda *_args: reach)
    return reach


def act(variables=None, check=False, diff=False, **args):
    task = mock.MagicMock(args=args, check_mode=check, diff=diff, async_val=0)
    found = model_deployment.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), Templar(DataLoader(), variables or {}),
                                          mock.MagicMock())
    found.say = mock.MagicMock()
    return found.run(task_vars=variables or {})


def test_the_action(connected, world):
    found = act(**URI)
    assert found["changed"] and "diff" not in found and world.state()
    assert not act(**URI, diff=True)["changed"]
    assert act(name="wine", state="absent", diff=True)["diff"][0]["before"]
    connected.close.assert_called()


def test_a_check_by_the_action(connected, world):
    assert act(**URI, check=True, diff=True)["changed"] and world.state() is None


def test_where_models_are_by_the_inventory(connected, world):
    with pytest.raises(AnsibleActionFail, match="no ConfigMap gw/model-deployment"):
        act({"models_namespace": "gw"}, **URI)


@pytest.mark.parametrize(("args", "message"), [
    ({"name": "wine"}, "model_uri"), ({**URI, "engine": "other"}, "engine"), ({**URI, "traffic": 0}, "traffic: 0 must be from 1 to 100")])
def test_what_the_action_refuses(connected, args, message):
    with pytest.raises(AnsibleError, match=message):
        act(**args)


def test_the_same_from_python(connected, world, monkeypatch, tmp_path):
    monkeypatch.setattr(client, "_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    (tmp_path / "token").write_text("t")
    first = client.model_deployment(**URI, say=lambda _line: None)
    action = act(**URI)
    assert first["changed"] and not action["changed"]
    assert {key: first[key] for key in first if key not in ("changed", "diff")} == {key: action[key] for key in action if key != "changed"}
    with pytest.raises(ModelError, match="percent of requests"):
        client.model_deployment(**URI, traffic=0)


def test_the_namespace_of_models_by_the_environment(connected, monkeypatch):
    monkeypatch.setenv("OPENMLOPS_MODELS_NAMESPACE", "gw")
    with pytest.raises(ModelError, match="no ConfigMap gw/"):
        client.model_deployment(**URI, kubeconfig="/c", context="x")


def test_the_rights_of_a_pod(monkeypatch, tmp_path):
    monkeypatch.setattr(client, "_ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ModelError, match="runs in no pod with a service account"):
        client.in_cluster()
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT_HTTPS", "6443")
    assert client.in_cluster() == {"host": "https://[fd00::1]:6443", "api_key": "secret", "ca_cert": str(tmp_path / "ca.crt")}


# -- the package ----------------------------------------------------------------------------------------------------


def test_the_package_is_imported_without_ansible(tmp_path):
    found = FilterModule().filters()["python_client"]("openmlops")
    for item in found["items"]:
        path = tmp_path / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["data"][item["key"]])
    code = ("import sys, openmlops; assert 'ansible' not in sys.modules; assert openmlops.__file__.startswith(sys.argv[1]);"
            "import ansible_collections.openmlops.platform.plugins.module_utils.serving.client as c; assert c.__file__.startswith(sys.argv[1]);"
            "print(openmlops.model_deployment.__doc__)")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd="/", capture_output=True, text=True, check=False,
                          env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "state asked for" in done.stdout


def test_the_package_is_the_collections_own():
    for path, text in package.files().items():
        if not path.startswith("openmlops/"):
            name = path.split("module_utils/")[1]
            assert (package._ROOT / name).read_text() == text
    found = package.python_client()
    assert found == package.python_client() and manifest("ConfigMap", "c", "ml", data=found["data"])
    assert all(len(key) <= 253 for key in found["data"])


def test_a_package_that_cannot_be(tmp_path):
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving/client.py").write_text("from ansible_collections.openmlops.platform.plugins.module_utils.kube import nothing\n")
    with pytest.raises(package.PackageError, match="kube/nothing.py"):
        package.files(tmp_path)
    (tmp_path / "serving/client.py").write_text("#" * 1_000_000)
    with pytest.raises(package.PackageError, match="more than fits"):
        package.files(tmp_path)
