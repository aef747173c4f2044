# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to one Kubernetes API server, with the few verbs that the shared actions need.

The ``kubernetes`` package reads the kubeconfig, keeps tokens fresh and does the TLS. Its typed and dynamic clients are
not used: discovery through them costs one request for each API group, while the aggregated discovery of
Kubernetes 1.30 and later needs two in all (https://kubernetes.io/docs/concepts/overview/kubernetes-api/).
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path
from urllib.parse import urlencode

from ansible_collections.openmlops.platform.plugins.module_utils import yaml_text
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import (
    KubeError,
    NotFound,
    UnknownKind,
    Unreachable,
    error_for,
)

try:
    from kubernetes import client as kubernetes_client
    from kubernetes import config as kubernetes_config
    from kubernetes.config.config_exception import ConfigException
    from urllib3.exceptions import HTTPError
    from urllib3.util import Retry, Timeout

    IMPORT_ERROR: str | None = None
except ImportError as error:  # pragma: no cover
    IMPORT_ERROR = str(error)

# The one field manager of everything this collection applies, so that fields which leave a manifest leave the cluster.
FIELD_MANAGER = "openmlops"

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0


class Answer(t.NamedTuple):
    """What a service behind the API server answered.

    Args:
        status: HTTP status.
        headers: by name, whatever the case.
        body: decoded when it is JSON, else text.
    """

    status: int
    headers: t.Mapping[str, str]
    body: t.Any


class Resource(t.NamedTuple):
    """How the server serves one kind."""

    group_version: str
    plural: str
    namespaced: bool


def connection_spec() -> dict[str, dict[str, t.Any]]:
    """Returns the argument spec of the connection options that every API action has."""
    return {
        "kubeconfig": {"type": "path"},
        "context": {"type": "str"},
        "host": {"type": "str"},
        "api_key": {"type": "str", "no_log": True},
        "ca_cert": {"type": "path"},
        "validate_certs": {"type": "bool", "default": True},
    }


def connect(args: dict[str, t.Any]) -> Cluster:
    """Opens the connection that the arguments name; never a default one.

    Args:
        args: ``kubeconfig`` and ``context``, or ``host`` and ``api_key`` (with ``ca_cert`` or ``validate_certs: false``).

    Raises:
        Unreachable: when neither pair is complete, or the kubeconfig cannot be used.
    """
    if IMPORT_ERROR is not None:
        raise Unreachable(0, "MissingLibrary", f"The Python package kubernetes is needed on the controller: {IMPORT_ERROR}")
    configuration = kubernetes_client.Configuration()
    context = args.get("context") or ""
    if args.get("host") and args.get("api_key"):
        configuration.host = args["host"].rstrip("/")
        configuration.api_key = {"authorization": args["api_key"]}
        configuration.api_key_prefix = {"authorization": "Bearer"}
        configuration.verify_ssl = args.get("validate_certs", True) is not False
        if args.get("ca_cert"):
            configuration.ssl_ca_cert = args["ca_cert"]
        context = context or "(token)"
    elif args.get("kubeconfig") and context:
        _load_kubeconfig(os.path.expanduser(str(args["kubeconfig"])), context, configuration)
    else:
        raise Unreachable(
            0,
            "NoCluster",
            "No cluster is chosen: set platform_kubeconfig and platform_context, or platform_api_host and "
            "platform_api_key. A default context is never used.",
        )
    return Cluster(configuration, context)


def _load_kubeconfig(path: str, context: str, configuration: t.Any) -> None:
    if not Path(path).is_file():
        raise Unreachable(
            0, "NoKubeconfig", f"platform_kubeconfig: there is no file {path}. Is the cluster up, and the path right?"
        )
    try:
        kubernetes_config.load_kube_config(
            config_file=path, context=context, client_configuration=configuration, persist_config=False
        )
    except (ConfigException, yaml_text.ParseError, TypeError, KeyError, ValueError, OSError) as error:
        raise Unreachable(
            0, "BadKubeconfig", f"platform_context: context '{context}' of {path} cannot be used: {error}"
        ) from error


class Cluster:
    """One API server. Safe for use by several threads at once."""

    def __init__(self, configuration: t.Any, context: str) -> None:
        self.context = context
        self.server: str = configuration.host
        self._configuration = configuration
        self._pool = kubernetes_client.ApiClient(configuration).rest_client.pool_manager
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._groups_seen = False

    @property
    def configuration(self) -> t.Any:
        """The connection's settings, as the ``kubernetes`` package has them."""
        return self._configuration

    # -- requests ------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, t.Any] | None = None,
        body: t.Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        read_seconds: float = _READ_SECONDS,
    ) -> t.Any:
        """Sends one request and returns the decoded answer; text, as it is, when ``accept`` takes anything.

        Raises:
            KubeError: of the class that fits the status; ``Unreachable`` without an answer.
        """
        answer = self._send(
            method, path, query, {"Accept": accept, **({"Content-Type": content_type} if body is not None else {})}, body,
            read_seconds,
            Retry(total=4, connect=2, read=0, redirect=0, status=3, backoff_factor=0.3, status_forcelist=(429, 503),
                  allowed_methods=None, raise_on_status=False),
        )
        text = answer.data.decode("utf-8", errors="replace")
        decoded = _decoded(text) if accept != "*/*" or answer.status >= 400 else text
        if answer.status >= 400:
            status = decoded if isinstance(decoded, dict) else {}
            raise self._refusal(
                answer.status, str(status.get("reason", "")), str(status.get("message") or text[:500] or answer.status)
            )
        if accept != "*/*" and not isinstance(decoded, (dict, list)):
            raise Unreachable(0, "NotKubernetes", f"{self.server} is no Kubernetes API server (context {self.context})")
        return decoded

    def proxy(
        self,
        namespace: str,
        service: str,
        port: int | str,
        method: str,
        path: str,
        *,
        query: dict[str, t.Any] | None = None,
        body: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        read_seconds: float = _READ_SECONDS,
    ) -> Answer:
        """Sends one request to a service in the cluster, through the API server, and returns whatever it answers.

        The API server takes ``Authorization`` away and sets ``X-Forwarded-Host``, ``-Proto`` and ``-Uri`` itself, so
        neither can be sent to a service in this way (k8s.io/apimachinery, pkg/util/proxy/transport.go).

        Args:
            path: of the service, from its own root; query parameters apart.
            body: sent as JSON.
            headers: in place of ``Accept: application/json``, or beside it.

        Raises:
            NotFound: when there is no such service.
            KubeError: status 503 while none of its pods takes the request; or another refusal of the API server.
            Unreachable: without an answer from the API server.
        """
        full = f"/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/{path.lstrip('/')}"
        sent = {"Accept": "application/json", **({"Content-Type": "application/json"} if body is not None else {})}
        # No request is sent twice: a service need not take a repetition well, and its 429 and 503 are answers.
        answer = self._send(
            method, full, query, {**sent, **(headers or {})}, body, read_seconds,
            Retry(total=2, connect=2, read=0, redirect=0, status=0, backoff_factor=0.3, raise_on_status=False),
        )
        decoded = _decoded(answer.data.decode("utf-8", errors="replace"))
        if isinstance(decoded, dict) and decoded.get("kind") == "Status" and decoded.get("apiVersion") == "v1":
            status = int(decoded.get("code") or answer.status)
            raise self._refusal(status, str(decoded.get("reason", "")), str(decoded.get("message") or status))
        return Answer(answer.status, answer.headers, decoded)

    def _send(
        self, method: str, path: str, query: dict[str, t.Any] | None, headers: dict[str, str], body: t.Any,
        read_seconds: float, retries: t.Any,
    ) -> t.Any:
        """Sends one request with this connection's credentials.

        Raises:
            Unreachable: without an answer.
        """
        headers = {"User-Agent": "openmlops-platform", **headers}
        for setting in self._configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                headers[setting["key"]] = setting["value"]
        try:
            return self._pool.request(
                method,
                self.server + path + (f"?{urlencode(query, doseq=True)}" if query else ""),
                body=json.dumps(body).encode() if body is not None else None,
                headers=headers,
                timeout=Timeout(connect=_CONNECT_SECONDS, read=read_seconds),
                retries=retries,
            )
        except HTTPError as error:
            raise Unreachable(
                0, "Unreachable",
                f"No answer from {self.server} (context {self.context}): {_root_cause(error)}. "
                "Is the cluster running, and is platform_kubeconfig current?",
            ) from error

    def _refusal(self, status: int, reason: str, message: str) -> KubeError:
        if status == 401:
            return Unreachable(
                401, "Unauthorized",
                f"{self.server} refuses the credentials of context {self.context}: they are wrong or have expired.",
            )
        return error_for(status, reason, message)

    def version(self) -> str:
        """Returns the server's version, such as ``v1.35.4``."""
        return str(self.request("GET", "/version", read_seconds=10.0)["gitVersion"])

    def date(self) -> str:
        """Returns what time it is by the server's clock, as the header ``Date`` says it; empty when it does not."""
        retries = Retry(total=2, connect=2, read=0, redirect=0, status=0, raise_on_status=False)
        return str(self._send("GET", "/version", None, {"Accept": "application/json"}, None, 10.0, retries).headers.get("Date") or "")

    # -- discovery -----------------------------------------------------------------------------------------------

    def resource(self, api_version: str, kind: str) -> Resource:
        """Returns how the server serves a kind.

        Raises:
            UnknownKind: when it does not, also after asking it again.
        """
        key = (api_version, kind)
        if key not in self._kinds:
            self._discover()
        if key not in self._kinds:
            raise UnknownKind(
                404, "UnknownKind", f"{self.server} does not serve {kind} of {api_version}: its CRD is not installed"
            )
        return self._kinds[key]

    def serves(self, api_version: str, kind: str) -> bool:
        """Tells whether the server serves a kind."""
        try:
            self.resource(api_version, kind)
        except UnknownKind:
            return False
        return True

    def _discover(self) -> None:
        for path in ("/api", "/apis"):
            answer = self.request("GET", path, accept=_DISCOVERY)
            for group in (answer.get("items") or []):
                name = group.get("metadata", {}).get("name", "")
                for version in (group.get("versions") or []):
                    api_version = f"{name}/{version['version']}" if name else version["version"]
                    for served in (version.get("resources") or []):
                        kind = served.get("responseKind", {}).get("kind")
                        if kind:
                            self._kinds[(api_version, kind)] = Resource(
                                api_version, served["resource"], served.get("scope") == "Namespaced"
                            )
            if not answer.get("items"):
                self._discover_plainly(path, answer)

    def _discover_plainly(self, path: str, answer: dict[str, t.Any]) -> None:
        """Reads the older form of discovery, for servers before Kubernetes 1.30."""
        if path == "/api":
            versions = answer.get("versions", [])
        else:
            versions = [v["groupVersion"] for g in answer.get("groups", []) for v in g.get("versions", [])]
        for api_version in versions:
            try:
                listed = self.request("GET", f"{path}/{api_version}")
            except KubeError:
                continue  # an aggregated API that is down must not hide the others
            for served in listed.get("resources", []):
                if "/" not in served["name"]:
                    self._kinds[(api_version, served["kind"])] = Resource(
                        api_version, served["name"], bool(served.get("namespaced"))
                    )

    def path(self, api_version: str, kind: str, name: str | None = None, namespace: str | None = None) -> str:
        """Returns the request path of an object, or of the collection when there is no name."""
        served = self.resource(api_version, kind)
        if served.namespaced and name and not namespace:
            raise KubeError(422, "NoNamespace", f"{kind} {name}: metadata.namespace is missing")
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        middle = f"/namespaces/{namespace}" if served.namespaced and namespace else ""
        return f"{root}{middle}/{served.plural}" + (f"/{name}" if name else "")

    def _path_of(self, obj: dict[str, t.Any], collection: bool = False) -> str:
        meta = obj["metadata"]
        return self.path(obj["apiVersion"], obj["kind"], None if collection else meta["name"], meta.get("namespace"))

    # -- objects -------------------------------------------------------------------------------------------------

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, t.Any] | None:
        """Returns an object, or None when it (or its kind) does not exist."""
        try:
            return self.request("GET", self.path(api_version, kind, name, namespace))
        except NotFound:
            return None

    def live(self, obj: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """Returns the object of the same kind and name as it is on the server, or None."""
        meta = obj["metadata"]
        return self.get(obj["apiVersion"], obj["kind"], meta["name"], meta.get("namespace") or None)

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[dict[str, t.Any]]:
        """Returns the objects of a kind, of one namespace or of all, each with apiVersion and kind filled in."""
        query: dict[str, t.Any] = {"limit": 500}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        found: list[dict[str, t.Any]] = []
        path = self.path(api_version, kind, None, namespace)
        while True:
            answer = self.request("GET", path, query=query)
            found += [{**entry, "apiVersion": api_version, "kind": kind} for entry in (answer.get("items") or [])]
            token = answer.get("metadata", {}).get("continue")
            if not token:
                return found
            query["continue"] = token

    def create(self, obj: dict[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Creates an object. Raises Conflict when it exists already."""
        return self.request(
            "POST", self._path_of(obj, collection=True), body=obj, query=_write_query(dry_run)
        )

    def replace(self, obj: dict[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Replaces an object. With a resourceVersion in it, raises Conflict when somebody else changed it meanwhile."""
        return self.request("PUT", self._path_of(obj), body=obj, query=_write_query(dry_run))

    def patch_merge(self, ref: dict[str, t.Any], patch: dict[str, t.Any], dry_run: bool = False) -> dict[str, t.Any]:
        """Applies a JSON merge patch to the object that ``ref`` names by apiVersion, kind and metadata."""
        return self.request(
            "PATCH", self._path_of(ref), body=patch, content_type="application/merge-patch+json",
            query=_write_query(dry_run),
        )

    def apply(
        self, obj: dict[str, t.Any], manager: str = FIELD_MANAGER, force: bool = True, dry_run: bool = False
    ) -> dict[str, t.Any]:
        """Applies an object by server-side apply and returns what the server made of it."""
        query = {**_write_query(dry_run), "fieldManager": manager, "force": "true" if force else "false"}
        return self.request(
            "PATCH", self._path_of(obj), body=obj, content_type="application/apply-patch+yaml", query=query
        )

    def delete(
        self, ref: dict[str, t.Any], propagation: str = "Background", dry_run: bool = False, uid: str | None = None
    ) -> bool:
        """Deletes an object; returns False when it was not there."""
        body: dict[str, t.Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if dry_run:
            body["dryRun"] = ["All"]
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", self._path_of(ref), body=body)
        except NotFound:
            return False
        return True

    def logs(
        self, namespace: str, pod: str, container: str | None = None, lines: int = 20, previous: bool = False
    ) -> str:
        """Returns the last lines of a container's log, or an empty text when there is none."""
        query: dict[str, t.Any] = {"tailLines": lines}
        if container:
            query["container"] = container
        if previous:
            query["previous"] = "true"
        try:
            return self.request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log", query=query, accept="*/*")
        except KubeError:
            return ""


def _write_query(dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": FIELD_MANAGER}
    if dry_run:
        query["dryRun"] = "All"
    return query


def _decoded(text: str) -> t.Any:
    if text[:1] in "{[":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _root_cause(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).split(": ", 1)[-1].strip()
