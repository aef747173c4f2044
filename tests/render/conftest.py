# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render our charts with the real Helm, and read what comes out."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.charts import bundle, manifest

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
CACHE = Path(
    os.environ.get("OPENMLOPS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmlops"
)

# What each chart cannot do without.
MINIMAL: dict[str, dict[str, Any]] = {
    "mlflow": {"mlflow": {"backendStoreUri": "postgresql+psycopg2://mlflow@db/mlflow"}},
    "versitygw": {"auth": {"existingSecret": "s3-root"}},
    "seaweedfs": {"allInOne": {"s3": {"existingConfigSecret": "s3-identities"}, "data": {"claimName": "s3-data"}}},
    "cloudnative-pg": {},
    "envoy-gateway": {},
    "keto": {},
    "kratos": {},
    "oathkeeper": {"oathkeeper": {"accessRulesOverride": {"nameOverride": "rules"}}},
    "jupyterhub": {"hub": {"existingSecret": "jupyterhub"}},
    "prefect-server": {"externalDatabase": {"existingSecret": "db", "connectionStringSecretKey": "uri"}},
    "prefect-worker": {"worker": {
        "selfHostedServerApiConfig": {"apiUrl": "http://prefect-server:4200/api"}, "config": {"workPool": "default"}}},
    "dask-kubernetes-operator": {},
    "feast-feature-server": {"feature_store_yaml_base64": "e30="},
    "kserve-resources": {},
    "polyaxon": {"platformSecret": "keys", "externalServices": {"postgresql": {"host": "db"}}, "artifactsStore": {
        "name": "artifacts", "kind": "s3", "schema": {"bucket": "s3://polyaxon"}}},
}


class RenderError(Exception):
    """Helm refused; the text is its message."""


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error: the API server would silently take the last one."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _value in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {', '.join(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Rendered:
    """The objects of a rendered chart."""

    objects: list[dict[str, Any]]

    def one(self, kind: str, name: str | None = None) -> dict[str, Any]:
        """The only object of a kind (and name); fails when there is none or more than one."""
        found = [o for o in self.objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} objects of kind {kind}"
        return found[0]

    def has(self, kind: str) -> bool:
        """Whether there is an object of that kind."""
        return any(o["kind"] == kind for o in self.objects)

    @property
    def pod(self) -> dict[str, Any]:
        """The Deployment's pod template."""
        return self.one("Deployment")["spec"]["template"]

    @property
    def container(self) -> dict[str, Any]:
        """The Deployment's only container."""
        (container,) = self.pod["spec"]["containers"]
        return container

    @property
    def env(self) -> dict[str, Any]:
        """The container's variables: name -> value, or the reference it comes from."""
        env = self.container["env"]
        assert len({variable["name"] for variable in env}) == len(env), "a variable is there twice"
        return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in env}


def upstream_values(folder: Path) -> dict[str, Any]:
    """The default values of an upstream chart in shared/upstream; Envoy Gateway's have two placeholders for the image."""
    (path,) = [path for path in (folder / "values.yaml", folder / "values.tmpl.yaml") if path.is_file()]
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def newest(folder: Path, pattern: str) -> Path | None:
    """What was made last of all that a pattern finds."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime, default=None)


@pytest.fixture(scope="session")
def helm() -> str:
    """The Helm program: OPENMLOPS_HELM, what `make up` built, or one on PATH."""
    found = os.environ.get("OPENMLOPS_HELM") or newest(CACHE / "bin", "helm-*") or shutil.which("helm")
    if not found:
        pytest.skip(f"no helm: OPENMLOPS_HELM is not set, {CACHE}/bin has none ('make up' builds it), PATH neither")
    return str(found)


@pytest.fixture(scope="session")
def chart_dir(tmp_path_factory) -> Callable[[str], Path]:
    """name -> the folder of a chart that can be installed: CloudNativePG's needs its release manifest."""

    def find(name: str) -> Path:
        if name != "cloudnative-pg":
            return CHARTS / name
        release = newest(CACHE / "files", "cloudnative-pg-*/cnpg-*.yaml")
        if not release:
            pytest.skip(f"no release manifest of CloudNativePG below {CACHE}/files ('make up' puts it there)")
        files = {"files/manifest.yaml": manifest.without_crds(release.read_text(encoding="utf-8"))}
        return bundle.assemble(CHARTS / name, files, tmp_path_factory.getbasetemp() / "charts")

    return find


@pytest.fixture(scope="session")
def render(helm, chart_dir) -> Callable[..., Rendered]:
    """render(chart, values, release="demo") -> Rendered; the namespace is "lab". The chart's minimum is added."""

    def run(chart: str, values: dict[str, Any] | None = None, release: str = "demo", minimal: bool = True) -> Rendered:
        command = [helm, "template", release, str(chart_dir(chart)), "--namespace", "lab", "--kube-version", "1.35.4"]
        given = merged(MINIMAL[chart] if minimal else {}, values or {})
        done = subprocess.run(
            [*command, "--values", "-"], input=yaml.safe_dump(given), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RenderError(done.stderr)
        return Rendered([document for document in yaml.load_all(done.stdout, Loader=_Loader) if document])

    run.error = RenderError
    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the upstream charts' values: OPENMLOPS_SHARED, or shared/ beside the checkout."""
    folder = Path(os.environ.get("OPENMLOPS_SHARED") or ROOT.parent / "shared")
    if not (folder / "upstream").is_dir():
        pytest.skip(f"no upstream values to compare with: no folder {folder}/upstream (OPENMLOPS_SHARED names its parent)")
    return folder


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Values laid over others, key by key, as Helm does it."""
    both = {key: merged(base[key], over[key]) for key in base.keys() & over.keys()
            if isinstance(base[key], dict) and isinstance(over[key], dict)}
    return {**base, **over, **both}
