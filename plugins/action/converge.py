# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``converge``: brings components to their plans. Documented in plugins/modules/converge.py."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile
import typing as t
from pathlib import Path

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.lock import CatalogueError
from ansible_collections.openmlops.platform.plugins.module_utils.charts.source import ChartSourceError
from ansible_collections.openmlops.platform.plugins.module_utils.converge import charts, masking, plan, routes
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import ApplyError, Outcome
from ansible_collections.openmlops.platform.plugins.module_utils.converge.engine import Engine, Report
from ansible_collections.openmlops.platform.plugins.module_utils.converge.lease import Busy, RunLock
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Ref, ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.plan import PlanError
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError, Releases, values_diff
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import Waiter, WaitError
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable
from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins, pull_secrets
from ansible_collections.openmlops.platform.plugins.module_utils.registries.logins import LoginError
from ansible_collections.openmlops.platform.plugins.module_utils.secrets import rotatable
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.bootstrap import SecretError, bootstrap
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction

_PLAN_ARGUMENTS = ("component", "namespace", "about", "secrets", "phases", "namespace_labels", "offspring", *plan.CATALOGUE_KEYS)
_REMOVAL_ARGUMENTS = ("component", "state", "purge")


class ActionModule(PlatformAction):
    """Converges one component, all deferred ones, or removes some."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "component": {"type": "str"},
        "namespace": {"type": "str"},
        "namespace_labels": {"type": "dict", "default": {}},
        "offspring": {"type": "list", "elements": "dict", "default": []},
        "about": {"type": "dict", "default": {}},
        "secrets": {"type": "list", "elements": "dict", "default": [], "no_log": True},
        "phases": {"type": "dict", "default": {}},
        "services": {"type": "list", "elements": "dict", "default": []},
        "gateway": {"type": "dict", "default": {}},
        "access": {"type": "dict", "default": {}},
        "shared": {"type": "dict", "default": {}},
        "plan": {"type": "list", "elements": "dict"},
        "defer": {"type": "bool", "default": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "components": {"type": "list", "elements": "str", "default": []},
        "purge": {"type": "bool", "default": False},
        "rotate": {"type": "list", "elements": "str", "default": []},
    }
    EXPECTED = (
        AccessError, ApplyError, Busy, CatalogueError, ChartSourceError, tarfile.TarError, OSError, HelmError, LoginError, PlanError,
        SecretError, rotatable.RotationError, TimeoutError, WaitError,
    )

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Takes what Ansible gives to every action."""
        super().__init__(*args, **kwargs)
        self._passwords: dict[str, t.Any] = {}

    def connects(self, args: dict[str, t.Any]) -> bool:
        """Whether the cluster is asked now: a plan that is put off is only kept."""
        return not boolean(args.get("defer", False), strict=False)

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does what the task asks for."""
        absent = args["state"] == "absent"
        own = {key: args[key] for key in (_REMOVAL_ARGUMENTS if absent else _PLAN_ARGUMENTS) if args[key]}
        self._variables = variables
        if args["defer"]:
            known = (variables.get("ansible_facts") or {}).get("platform_plan") or []
            if not known:  # before anything is built or changed, and once for all components
                logins.check(self._logins(), self._lookup)
            earlier = [entry for entry in known if entry["component"] != args["component"]]
            return {"changed": False, "ansible_facts": {"platform_plan": [*earlier, own if absent else _packed(own)]}}
        try:
            cluster = self.connect(args)
            if self.check and "local_cluster_provider" in variables:
                cluster.version()
        except Unreachable:
            if not self.check or "local_cluster_provider" not in variables:
                raise
            return self._imagine(args, own)
        space = str(self.variable(variables, "platform_namespace", "openmlops"))
        self.say(f"cluster {cluster.server} (context {cluster.context})")
        if absent:
            return self._remove(cluster, space, args)
        return self._converge(cluster, space, args, own)

    def _converge(
        self, cluster: Cluster, space: str, args: dict[str, t.Any], own: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        wanted, removals = self._plans(args, own)
        args = {**args, "rotate": self._rotations(args["rotate"], wanted)}
        engine = self._engine(cluster, space, args)
        if args["plan"] is not None:
            self._tell_unchosen(engine, [*(entry.component for entry in wanted), *(entry["component"] for entry in removals)])
        if self.check:
            return self._result(_both(engine, removals, wanted))
        engine.make_space()
        with self._lock(cluster, space) as lock:
            return self._result(_both(self._engine(cluster, space, args, lock.check), removals, wanted))

    def _rotations(self, words: list[str], wanted: list[plan.Plan]) -> list[str]:
        """Returns the keys that are meant by names of components or ``all``; what is named itself stays as it is."""
        refs = [word for word in words if "/" in word]
        specs = [(entry.component, {"namespace": entry.namespace, **spec}) for entry in wanted for spec in entry.secrets]
        known = rotatable.listed(specs, lambda name: self._setting(name, "") not in (None, ""))
        return [*refs, *rotatable.expand([word for word in words if "/" not in word], known)]

    def _tell_unchosen(self, engine: Engine, names: list[str]) -> None:
        others = engine.unchosen(names)
        if others:
            self.say(f"installed but not chosen: {', '.join(others)}. They are left as they are, but databases, buckets and network rules "
                     f"are those of the chosen only. Name them in platform_components, or remove them: {others[0]}_state: absent")

    def _plans(
        self, args: dict[str, t.Any], own: dict[str, t.Any]
    ) -> tuple[list[plan.Plan], list[dict[str, t.Any]]]:
        """Returns the plans of what shall be there, and the entries of what shall go."""
        source = str(self._setting("platform_chart_source", "upstream"))
        cache = Path(os.path.expanduser(str(self._setting("platform_cache_dir", "~/.cache/openmlops"))))
        # Plain values from here on: Ansible's own kinds of text and list carry marks that YAML cannot write.
        given = args["plan"] if args["plan"] is not None else [own]
        raw = [json.loads(entry["packed"]) if "packed" in entry else entry for entry in json.loads(json.dumps(given))]
        removals = [entry for entry in raw if entry.get("state") == "absent"]
        wanted = [
            plan.parse(
                entry, lambda release: charts.resolve(release, source, cache, self.check),
                lambda name: charts.manifest_text(name, cache, self.check),
            )
            for entry in raw if entry not in removals
        ]
        found = self._logins()
        logins.check(found, self._lookup)
        return pull_secrets.with_secrets(wanted, found), removals

    def _logins(self) -> list[logins.Login]:
        """Returns the logins of platform_registries; the first who asks is told what is wrong with them."""
        return logins.parse(self._setting("platform_registries", []))

    def _lookup(self, name: str) -> t.Any:
        """Returns the password of a login: asked for once, since a program may give it, slowly and each time another."""
        if name not in self._passwords:
            self._passwords[name] = self._setting(name, None)
        return self._passwords[name]

    def _imagine(self, args: dict[str, t.Any], own: dict[str, t.Any]) -> dict[str, t.Any]:
        """Returns what a run would make on a local cluster that does not run yet, as far as nobody can be asked."""
        self.say("the local cluster does not run: this is what would be made on an empty one")
        report = Report()
        for entry in routes.derived(self._plans(args, own)[0], {}):
            for phase in (entry.phases[name] for name in plan.PHASES if name in entry.phases):
                report.outcomes += [Outcome(ref(obj), "created", masking.diff(None, obj)) for obj in phase.objects]
                report.outcomes += [Outcome(rel.ref, "created", values_diff(rel, None)) for rel in phase.releases]
        return self._result(report)

    def _remove(self, cluster: Cluster, space: str, args: dict[str, t.Any]) -> dict[str, t.Any]:
        engine = self._engine(cluster, space, args)
        names = args["components"] or [args["component"]]
        if self.check or cluster.get("v1", "Namespace", space) is None:
            return self._result(_without(engine, names, args["purge"]))
        with self._lock(cluster, space):
            report = _without(engine, names, args["purge"])
        if args["purge"]:
            # Last, without the lock, which stands in it.
            report.outcomes += engine.drop_space()
        return self._result(report)

    def _lock(self, cluster: Cluster, space: str) -> RunLock:
        return RunLock(cluster, space, self.say, float(self._setting("platform_lock_timeout", 600)))

    def _engine(
        self, cluster: Cluster, space: str, args: dict[str, t.Any], guard: t.Callable[[], None] = lambda: None
    ) -> Engine:
        releases = Releases(cluster, lambda module, wanted: self._run_helm(module, wanted, args), self.say, self.check,
                            bool(self._task.diff))
        waiter = Waiter(
            cluster, self.say, float(self._setting("platform_wait_timeout", 900)),
            float(self._setting("platform_schedule_grace", 300)),
        )
        return Engine(
            cluster, space, releases, waiter, lambda specs: self._bootstrap(cluster, specs, args["rotate"]), self.say, self.check,
            guard,
        )

    def _bootstrap(
        self, cluster: Cluster, specs: list[dict[str, t.Any]], rotate: list[str]
    ) -> tuple[list[Outcome], dict[str, str]]:
        given = [self._with_variables(spec) for spec in specs]
        report = bootstrap(cluster, given, rotate, strict=False, check=self.check)
        for warning in report.warnings:
            self.say(f"warning: {warning}")
        diffs = {entry.get("after_header", ""): entry for entry in report.diff}
        outcomes = [
            Outcome(Ref("Secret", entry["namespace"], entry["name"]), entry["action"],
                    diffs.get(f"Secret {entry['namespace']}/{entry['name']}"))
            for entry in report.result["secrets"]
        ]
        return outcomes, report.result["fingerprints"]

    def _with_variables(self, spec: dict[str, t.Any]) -> dict[str, t.Any]:
        """Puts in the values that the inventory gives; a plan holds only the names of their variables.

        So no value of a user's ever stands in a fact, which Ansible would show at -vvv.
        """
        data = {}
        for key, entry in (spec.get("data") or {}).items():
            entry = dict(entry)
            name = entry.pop("variable", None)
            if name is not None:
                value = self._setting(name, None)
                if value not in (None, ""):
                    entry["value"] = value
            if isinstance(entry.get("dockerconfigjson"), list):
                entry["dockerconfigjson"] = [logins.with_password(login, self._lookup) for login in entry["dockerconfigjson"]]
            data[key] = entry
        return {**spec, "data": data}

    def _run_helm(self, module: str, wanted: dict[str, t.Any], args: dict[str, t.Any]) -> dict[str, t.Any]:
        """Runs a Helm module of kubernetes.core with this action's connection."""
        connection: dict[str, t.Any] = {}
        if module == "helm" and args.get("kubeconfig"):
            connection = {"kubeconfig": args["kubeconfig"], "context": args["context"]}
        elif module == "helm":
            names = ("host", "api_key", "ca_cert", "validate_certs")
            connection = {key: args[key] for key in names if args.get(key) is not None}
        binary = str(self._setting("platform_helm_binary", "") or "")
        full = {**wanted, **connection, **({"binary_path": binary} if binary else {})}
        check, self._task.check_mode = self._task.check_mode, False  # rendering changes nothing; helm never runs in check mode
        try:
            with self._helm_logins(str(wanted.get("chart_ref", ""))):
                result = self._execute_module(f"kubernetes.core.{module}", module_args=full, task_vars=self._variables)
        finally:
            self._task.check_mode = check
        if result.get("failed"):
            reason = result.get("stderr") or result.get("msg") or "no reason given"
            raise HelmError(f"release {wanted['release_namespace']}/{wanted['release_name']}: {str(reason).strip()[:1500]}")
        return result

    @contextlib.contextmanager
    def _helm_logins(self, chart: str) -> t.Iterator[None]:
        """Lets Helm log in to the registry that a chart is in, by a file in memory: no password is in a command line."""
        found = self._logins() if chart.startswith("oci://") else []
        if not found:
            yield
            return
        before = self._task.environment
        with logins.file(logins.auths(found, self._lookup)) as path:
            self._task.environment = [*(before or []), {"HELM_REGISTRY_CONFIG": path}]
            try:
                yield
            finally:
                self._task.environment = before

    def _setting(self, name: str, default: t.Any) -> t.Any:
        return self.variable(self._variables, name, default)

    def _result(self, report: Report) -> dict[str, t.Any]:
        changed = [outcome for outcome in report.outcomes if outcome.changed]
        result: dict[str, t.Any] = {
            "changed": report.changed,
            "objects": [_described(outcome) for outcome in changed],
            "unchanged": len(report.outcomes) - len(changed),
            "seconds": report.seconds,
        }
        if self._task.diff:
            result["diff"] = [outcome.diff for outcome in changed if outcome.diff]
        return result


def _packed(entry: dict[str, t.Any]) -> dict[str, t.Any]:
    """Returns a plan as one text: each use of the lookup `template` copies all facts, and a text costs nothing to copy."""
    return {"component": entry["component"], "packed": json.dumps(entry)}


def _both(engine: Engine, removals: list[dict[str, t.Any]], wanted: list[plan.Plan]) -> Report:
    """Removes what shall go, the last component first, and converges what shall stay."""
    report = Report()
    for entry in reversed(removals):
        done = engine.remove([entry["component"]], bool(entry.get("purge")))
        report.outcomes += done.outcomes
        report.seconds.update(done.seconds)
    done = engine.converge(wanted, {entry["component"] for entry in removals})
    return Report(report.outcomes + done.outcomes, {**report.seconds, **done.seconds})


def _without(engine: Engine, names: list[str], purge: bool) -> Report:
    """Removes components, then the ways that led to them."""
    report = engine.remove(names, purge)
    done = engine.converge([], names)
    return Report(report.outcomes + done.outcomes, {**report.seconds, **done.seconds})


def _described(outcome: Outcome) -> dict[str, str]:
    target: Ref = outcome.ref
    return {"kind": target.kind, "namespace": target.namespace, "name": target.name, "action": outcome.action}
