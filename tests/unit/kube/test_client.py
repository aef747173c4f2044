# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import concurrent.futures
import json
import socket

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.kube import client
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Resource, connect
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import (
    Conflict,
    Forbidden,
    KubeError,
    NotFound,
    UnknownKind,
    Unreachable,
)

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ml"}, "data": {"a": "1"}}
PATH = "/api/v1/namespaces/ml/configmaps"


def kubeconfig(url="http://127.0.0.1:1", **context):
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "default",
        "clusters": [{"name": "k", "cluster": {"server": url}}], "users": [{"name": "u", "user": {"token": "kubeconfig-token"}}],
        "contexts": [{"name": "default", "context": {"cluster": "k", "user": "u"}},
                     {"name": "chosen", "context": {"cluster": "k", "user": "u", **context}}],
    }


# -- which cluster --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [{}, {"kubeconfig": "~/.kube/config"}, {"context": "chosen"}, {"host": "https://example.org"}, {"api_key": "x"},
     {"kubeconfig": "", "context": ""}, {"kubeconfig": "x", "context": None}, {"host": "https://example.org", "api_key": ""}],
)
def test_never_a_default_cluster(args, monkeypatch, tmp_path):
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig()))
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(Unreachable) as error:
        connect(args)
    for part in ("No cluster is chosen", "platform_kubeconfig", "platform_context", "platform_api_host", "never used"):
        assert part in str(error.value)


def test_missing_kubeconfig(tmp_path):
    with pytest.raises(Unreachable, match="platform_kubeconfig: there is no file .*none"):
        connect({"kubeconfig": str(tmp_path / "none"), "context": "x"})


@pytest.mark.parametrize("text", ["", "a: b: c", "just text", "[1, 2]", "apiVersion: v1\nkind: Config\n", "\x00"])
def test_broken_kubeconfig(tmp_path, text):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Unreachable, match="platform_context: context 'x' of .*config cannot be used"):
        connect({"kubeconfig": str(path), "context": "x"})


def test_context_that_is_not_there(tmp_path):
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig()))
    with pytest.raises(Unreachable, match="context 'missing'.*cannot be used"):
        connect({"kubeconfig": str(path), "context": "missing"})


def test_kubeconfig(server, tmp_path, monkeypatch):
    (tmp_path / "config").write_text(yaml.safe_dump(kubeconfig(server.url)))
    monkeypatch.setenv("HOME", str(tmp_path))
    server.answers["GET", "/version"] = (200, {"gitVersion": "v1.35.4"})
    cluster = connect({"kubeconfig": "~/config", "context": "chosen"})
    assert (cluster.server, cluster.context, cluster.version()) == (server.url, "chosen", "v1.35.4")
    headers = {key.lower(): value for key, value in server.requests[0]["headers"].items()}
    assert headers["authorization"] == "Bearer kubeconfig-token"


def test_host_and_token(server, cluster):
    server.answers["GET", "/version"] = (200, {"gitVersion": "v1"})
    cluster.version()
    headers = {key.lower(): value for key, value in server.requests[0]["headers"].items()}
    assert headers["authorization"] == "Bearer the-token"
    assert cluster.server == server.url


def test_library_that_is_missing(monkeypatch):
    monkeypatch.setattr(client, "IMPORT_ERROR", "No module named 'kubernetes'")
    with pytest.raises(Unreachable, match="Python package kubernetes is needed on the controller"):
        connect({"host": "x", "api_key": "y"})


# -- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Forbidden), (404, NotFound), (409, Conflict), (422, KubeError), (500, KubeError), (401, Unreachable)],
)
def test_errors_by_status(server, cluster, status, kind):
    server.answers["POST", PATH] = (status, {"kind": "Status", "reason": "Why", "message": "the server's sentence"})
    with pytest.raises(KubeError) as error:
        cluster.create(CONFIG)
    assert error.type is kind and error.value.status == status
    if status != 401:
        assert error.value.reason == "Why" and str(error.value) == "the server's sentence"
    assert len(server.sent()) == 1


@pytest.mark.parametrize("body", ["", "<html>Bad Gateway</html>", "{broken", "[]"])
def test_error_without_a_status_object(server, cluster, body):
    server.answers["POST", PATH] = (502, body)
    with pytest.raises(KubeError) as error:
        cluster.create(CONFIG)
    assert str(error.value) == (body or "502")


def test_credentials_that_are_refused(server, cluster):
    server.answers["GET", "/version"] = (401, {"message": "Unauthorized"})
    with pytest.raises(Unreachable, match="refuses the credentials") as error:
        cluster.version()
    assert "the-token" not in str(error.value)


def test_server_that_is_not_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match=rf"No answer from http://127.0.0.1:{port} \(context \(token\)\).*refused"):
        connect({"host": f"http://127.0.0.1:{port}", "api_key": "t"}).version()


@pytest.mark.parametrize("status", [429, 503])
def test_server_that_is_busy_is_asked_again(server, cluster, status):
    answers = [(status, {}), (status, {}), (200, {"gitVersion": "v1"})]
    server.answers["GET", "/version"] = lambda request: answers.pop(0)
    assert cluster.version() == "v1"


def test_server_that_stays_busy(server, cluster):
    server.answers["GET", "/version"] = (503, {"message": "starting"})
    with pytest.raises(KubeError, match="starting") as error:
        cluster.version()
    assert error.value.status == 503


@pytest.mark.parametrize("call", [lambda cluster: cluster.version(), lambda cluster: cluster.get("v1", "ConfigMap", "c", "ml")],
                         ids=["version", "get"])
def test_server_that_is_something_else(server, cluster, call):
    for path in ("/api", "/apis", "/version"):
        server.answers["GET", path] = (200, "<html>Welcome</html>")
    with pytest.raises(Unreachable, match="no Kubernetes API"):
        call(cluster)


# -- discovery ------------------------------------------------------------------------------------------------------


def test_discovery(server, cluster):
    assert cluster.resource("v1", "ConfigMap") == Resource("v1", "configmaps", True)
    assert cluster.resource("v1", "Namespace") == Resource("v1", "namespaces", False)
    assert cluster.resource("apps/v1", "Deployment") == Resource("apps/v1", "deployments", True)
    assert [request["path"] for request in server.requests] == ["/api", "/apis"]
    assert all("apidiscovery.k8s.io" in request["headers"]["Accept"] for request in server.requests)


def test_kind_that_is_not_served(server, cluster):
    assert not cluster.serves("example.org/v1", "Widget")
    with pytest.raises(UnknownKind, match="does not serve Widget of example.org/v1: its CRD is not installed"):
        cluster.resource("example.org/v1", "Widget")
    assert cluster.get("example.org/v1", "Widget", "w", "ml") is None
    # it may come: the server is asked again
    server.answers["GET", "/apis"] = (200, {"items": [{"metadata": {"name": "example.org"}, "versions": [
        {"version": "v1", "resources": [{"resource": "widgets", "scope": "Namespaced", "responseKind": {"kind": "Widget"}}]}]}]})
    assert cluster.path("example.org/v1", "Widget", "w", "ml") == "/apis/example.org/v1/namespaces/ml/widgets/w"


def test_discovery_of_older_servers(server, cluster):
    server.answers["GET", "/api"] = (200, {"kind": "APIVersions", "versions": ["v1"]})
    server.answers["GET", "/apis"] = (200, {"kind": "APIGroupList", "groups": [
        {"name": "apps", "versions": [{"groupVersion": "apps/v1"}]}, {"name": "down", "versions": [{"groupVersion": "down/v1"}]}]})
    server.answers["GET", "/api/v1"] = (200, {"resources": [
        {"name": "pods", "kind": "Pod", "namespaced": True}, {"name": "pods/log", "kind": "Pod", "namespaced": True},
        {"name": "namespaces", "kind": "Namespace", "namespaced": False}]})
    server.answers["GET", "/apis/apps/v1"] = (200, {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]})
    server.answers["GET", "/apis/down/v1"] = (500, {"message": "down"})
    assert cluster.resource("v1", "Pod") == Resource("v1", "pods", True)
    assert cluster.resource("v1", "Namespace") == Resource("v1", "namespaces", False)
    assert cluster.resource("apps/v1", "Deployment") == Resource("apps/v1", "deployments", True)
    assert not cluster.serves("down/v1", "X")


@pytest.mark.parametrize(
    ("args", "path"),
    [(("v1", "ConfigMap", "c", "ml"), f"{PATH}/c"), (("v1", "ConfigMap", None, "ml"), PATH), (("v1", "ConfigMap"), "/api/v1/configmaps"),
     (("v1", "Namespace", "ml"), "/api/v1/namespaces/ml"), (("v1", "Namespace", "ml", "ignored"), "/api/v1/namespaces/ml"),
     (("apps/v1", "Deployment", "d", "ml"), "/apis/apps/v1/namespaces/ml/deployments/d")],
)
def test_paths(cluster, args, path):
    assert cluster.path(*args) == path


def test_object_without_its_namespace(cluster):
    with pytest.raises(KubeError, match=r"ConfigMap c: metadata\.namespace is missing"):
        cluster.apply({**CONFIG, "metadata": {"name": "c"}})


def test_several_threads(server, cluster):
    server.answers["GET", f"{PATH}/c"] = (200, CONFIG)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(map(str, pool.map(lambda _n: cluster.get("v1", "ConfigMap", "c", "ml"), range(40)))) == {str(CONFIG)}


# -- verbs ----------------------------------------------------------------------------------------------------------


def test_get(server, cluster):
    server.answers["GET", f"{PATH}/c"] = (200, CONFIG)
    assert cluster.get("v1", "ConfigMap", "c", "ml") == CONFIG
    assert cluster.get("v1", "ConfigMap", "none", "ml") is None
    server.answers["GET", f"{PATH}/c"] = (403, {"message": "no right"})
    with pytest.raises(Forbidden, match="no right"):
        cluster.get("v1", "ConfigMap", "c", "ml")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("call", "method", "path", "content_type", "query"),
    [
        (lambda c, dry: c.create(CONFIG, dry_run=dry), "POST", PATH, "application/json", {}),
        (lambda c, dry: c.replace(CONFIG, dry_run=dry), "PUT", f"{PATH}/c", "application/json", {}),
        (lambda c, dry: c.apply(CONFIG, dry_run=dry), "PATCH", f"{PATH}/c", "application/apply-patch+yaml", {"force": "true"}),
        (lambda c, dry: c.apply(CONFIG, "helm", force=False, dry_run=dry), "PATCH", f"{PATH}/c", "application/apply-patch+yaml",
         {"force": "false", "fieldManager": "helm"}),
        (lambda c, dry: c.patch_merge(CONFIG, CONFIG, dry_run=dry), "PATCH", f"{PATH}/c", "application/merge-patch+json", {}),
    ],
    ids=["create", "replace", "apply", "apply as helm", "merge"],
)
def test_writes(server, cluster, call, method, path, content_type, query, dry_run):
    server.answers[method, path] = (200, {**CONFIG, "stored": True})
    assert call(cluster, dry_run)["stored"]
    (request,) = server.sent()
    assert request["body"] == CONFIG and request["headers"]["Content-Type"] == content_type
    assert request["query"] == {"fieldManager": "openmlops", **query, **({"dryRun": "All"} if dry_run else {})}


def test_delete(server, cluster):
    assert not cluster.delete(CONFIG)
    server.answers["DELETE", f"{PATH}/c"] = (200, {})
    assert cluster.delete(CONFIG, propagation="Foreground", dry_run=True, uid="u")
    assert server.sent()[0]["body"] == {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    assert server.sent()[1]["body"] == {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground",
                                        "dryRun": ["All"], "preconditions": {"uid": "u"}}


def test_list_over_several_pages(server, cluster):
    pages = [{"items": [{"metadata": {"name": "a"}}], "metadata": {"continue": "next"}}, {"items": [{"metadata": {"name": "b"}}], "metadata": {}}]
    server.answers["GET", PATH] = lambda request: (200, pages.pop(0))
    found = cluster.list("v1", "ConfigMap", "ml", label_selector="a=b,c", field_selector="metadata.name=x")
    assert found == [{"metadata": {"name": name}, "apiVersion": "v1", "kind": "ConfigMap"} for name in "ab"]
    first, second = server.sent()
    assert first["query"] == {"limit": "500", "labelSelector": "a=b,c", "fieldSelector": "metadata.name=x"}
    assert second["query"] == {**first["query"], "continue": "next"}


def test_empty_list(server, cluster):
    server.answers["GET", "/api/v1/configmaps"] = (200, {"items": None, "metadata": {}})
    assert cluster.list("v1", "ConfigMap") == []


@pytest.mark.parametrize("text", ["a\nb\n", '{"a":1.50}', '{"a": 1}\n{"b": 2}\n', "[1, 2]", "{x", ""])
def test_logs(server, cluster, text):
    server.answers["GET", "/api/v1/namespaces/ml/pods/p/log"] = (200, text)
    assert cluster.logs("ml", "p", "main", 5, previous=True) == text
    assert server.sent()[0]["query"] == {"tailLines": "5", "container": "main", "previous": "true"}


def test_logs_that_are_not_there(server, cluster):
    server.answers["GET", "/api/v1/namespaces/ml/pods/p/log"] = (400, {"message": "previous terminated container not found"})
    assert cluster.logs("ml", "p", previous=True) == ""


def test_text_in_other_alphabets(server, cluster):
    server.answers["GET", f"{PATH}/c"] = (200, json.dumps({**CONFIG, "data": {"a": "žluťoučký 机器"}}, ensure_ascii=False))
    assert cluster.get("v1", "ConfigMap", "c", "ml")["data"]["a"] == "žluťoučký 机器"
