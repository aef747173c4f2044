# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller asks for, checked before anything is done. Pure functions."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.names import is_namespace
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError
from ansible_collections.openmlops.platform.plugins.module_utils.serving.revisions import LONGEST_NAME
from ansible_collections.openmlops.platform.plugins.module_utils.serving.settings import ENGINES, Settings

FRAMEWORKS = ("sklearn", "xgboost", "tensorflow", "mlflow")
PROTOCOLS = ("v2", "seldon")
STATES = ("present", "rolled_back", "absent")

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# ConfigMaps of the platform are called model-<this>.
_TAKEN = ("deployment", "index")
_QUANTITY = re.compile(r"[0-9]+([.][0-9]+)?(m|[kMGTPE]i?)?")


@dataclasses.dataclass(frozen=True)
class Request:
    """A call, with the platform's defaults filled in. The options are documented in plugins/modules/model_deployment.py."""

    name: str
    namespace: str
    engine: str
    model_uri: str
    framework: str
    protocol: str
    replicas: int
    resources: dict[str, dict[str, str]]
    env: dict[str, t.Any]
    traffic: int
    shadow: bool
    state: str
    wait: bool
    wait_timeout: float


def request(args: t.Mapping[str, t.Any], settings: Settings) -> Request:
    """Returns the checked request.

    Raises:
        ModelError: naming everything that is wrong at once.
    """
    found = Request(
        name=str(args["name"]),
        namespace=str(args.get("namespace") or settings.namespace),
        engine=str(args.get("engine") or settings.engine),
        model_uri=str(args.get("model_uri") or "").strip(),
        framework=str(args.get("framework") or ""),
        protocol=str(args.get("protocol") or ""),
        replicas=int(_or(args.get("replicas"), 1)),
        resources=_plain(args.get("resources") or {}),
        env=_plain(args.get("env") or {}),
        traffic=int(_or(args.get("traffic"), 100)),
        shadow=bool(args.get("shadow")),
        state=str(args.get("state") or "present"),
        wait=bool(_or(args.get("wait"), True)),
        wait_timeout=float(_or(args.get("wait_timeout"), 600)),
    )
    problems = [text for text in (*_problems(found), *_of_gateway(found, settings)) if text]
    if problems:
        raise ModelError("\n".join(problems))
    return found


def _or(value: t.Any, default: t.Any) -> t.Any:
    return default if value is None else value


def _plain(value: t.Any) -> t.Any:
    """Returns mappings with texts as keys and leaves, as Kubernetes has them: 0.5 of a processor is "0.5"."""
    if isinstance(value, t.Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problems(found: Request) -> t.Iterator[str]:
    if not _NAME.fullmatch(found.name) or len(found.name) > LONGEST_NAME:
        yield (f"name: '{found.name}' must have lower-case letters, digits and '-', start with a letter, not end with '-', and have "
               f"at most {LONGEST_NAME} characters")
    if found.name in _TAKEN:
        yield f"name: '{found.name}' is taken: the ConfigMap model-{found.name} is the platform's own; choose another name"
    if not is_namespace(found.namespace):
        yield f"namespace: '{found.namespace}' is not the name of a namespace"
    for name, value, known in (("engine", found.engine, ENGINES), ("framework", found.framework, ("", *FRAMEWORKS)),
                               ("protocol", found.protocol, ("", *PROTOCOLS)), ("state", found.state, STATES)):
        if value not in known:
            yield f"{name}: '{value}' is none of {', '.join(filter(None, known))}"
    if found.state == "present" and not found.model_uri:
        yield "model_uri: say which model to deploy, such as models:/wine@champion, runs:/<run>/model or s3://bucket/path"
    if not 1 <= found.traffic <= 100:
        yield f"traffic: {found.traffic} must be from 1 to 100, the percent of requests that the new model answers"
    if found.shadow and found.traffic != 100:
        yield "traffic: leave it out with shadow: a shadow gets copies of all requests and answers none"
    if found.replicas < 1:
        yield f"replicas: {found.replicas} must be at least 1"
    if found.wait_timeout <= 0:
        yield f"wait_timeout: {found.wait_timeout} must be more than 0 seconds"
    yield from _of_protocol(found)
    yield from _of_resources(found.resources)
    yield from _of_env(found.env)


def _of_protocol(found: Request) -> t.Iterator[str]:
    if found.engine == "kserve" and found.protocol == "seldon":
        yield "protocol: 'seldon' is spoken by the engine seldon only; leave it out, or set engine: seldon"
    if found.engine == "seldon" and found.protocol == "v2" and found.framework == "tensorflow":
        yield "protocol: Seldon Core serves tensorflow by its own protocol only: set protocol: seldon or leave it out"


def _of_resources(resources: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for kind, entries in resources.items():
        if kind not in ("requests", "limits") or not isinstance(entries, dict):
            yield f"resources: '{kind}' must be requests or limits, each with quantities such as {{cpu: 500m, memory: 1Gi}}"
            continue
        for name, value in entries.items():
            if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
                yield f"resources.{kind}.{name}: '{value}' is not a quantity such as 500m or 1Gi"


def _of_env(env: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            yield f"env: '{name}' cannot be the name of an environment variable"
        if isinstance(value, dict) and set(value) != {"secret", "key"}:
            yield f"env.{name}: write a text, or {{secret: name of a Secret, key: its key}}"
        if name in ("MLSERVER_MODEL_NAME", "MLSERVER_MODEL_URI", "MLSERVER_HTTP_PORT"):
            yield f"env: {name} is set by the platform"


def _of_gateway(found: Request, settings: Settings) -> t.Iterator[str]:
    if settings.gateway == "none" and (found.shadow or found.traffic != 100):
        yield "traffic and shadow: there is no gateway that could split requests (platform_gateway: none)"
