# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``people``: who can log in, and what their groups may enter. Documented in plugins/modules/people.py."""

from __future__ import annotations

import base64
import contextlib
import json
import typing as t
from pathlib import Path

from ansible.utils.display import Display

from ansible_collections.openmlops.platform.plugins.module_utils.converge.lease import Busy, RunLock
from ansible_collections.openmlops.platform.plugins.module_utils.converge.routes import CATALOGUE
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError, NotFound, Unreachable
from ansible_collections.openmlops.platform.plugins.module_utils.people import listing
from ansible_collections.openmlops.platform.plugins.module_utils.people.declare import Member, PeopleError, members, rotations
from ansible_collections.openmlops.platform.plugins.module_utils.people.keto import Keto
from ansible_collections.openmlops.platform.plugins.module_utils.people.kratos import Kratos, ServiceError
from ansible_collections.openmlops.platform.plugins.module_utils.people.running import Outcome, People
from ansible_collections.openmlops.platform.plugins.module_utils.people.tokens import Tokens, seconds
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.bootstrap import SecretError, bootstrap
from ansible_collections.openmlops.platform.plugins.plugin_utils.platform_action import PlatformAction

display = Display()


class ActionModule(PlatformAction):
    """Brings identities, groups and machines' tokens to what the inventory says."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "users": {"type": "list", "elements": "dict"},
        "machines": {"type": "list", "elements": "dict"},
        "groups": {"type": "list", "elements": "dict"},
        "namespace": {"type": "str"},
        "unlisted": {"type": "str", "choices": ["keep", "disable"], "default": "keep"},
        "rotate": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "show": {"type": "bool", "default": False},
        "dest": {"type": "path"},
        "validate_only": {"type": "bool", "default": False},
    }
    EXPECTED = (Busy, OSError, PeopleError, SecretError, ServiceError)

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does what the task asks for."""
        self._variables = variables
        self._secrets_changed = False
        wanted = members(*(self._given(args, name) for name in ("users", "machines", "groups")))
        rotate = rotations(args["rotate"], wanted)
        self._passwords = self._given_passwords(wanted)
        if args["validate_only"]:
            return {"changed": False}
        space = args["namespace"] or str(self.variable(variables, "ory_namespace", "ory"))
        try:
            cluster = self.connect(args)
            with self._lock(cluster):
                return self._run(cluster, space, wanted, rotate, args)
        except (NotFound, Unreachable, KubeError) as error:
            gone = isinstance(error, NotFound) or error.status == 503
            if self.check and (gone or isinstance(error, Unreachable)):
                self.say(f"nobody answers in namespace {space}: this is what would be made where nobody is yet")
                return self._result([Outcome(member.key, "created") for member in wanted if member.state != "absent"])
            if gone:
                raise PeopleError(
                    f"Kratos and Keto do not answer in namespace {space} ({error}). Is the platform installed, with a "
                    "gateway (platform_gateway), and is ory_namespace right? What runs is shown by playbooks/status.yml."
                ) from None
            raise

    def _given(self, args: dict[str, t.Any], name: str) -> t.Any:
        found = args[name] if args[name] is not None else self.variable(self._variables, f"platform_{name}", [])
        return json.loads(json.dumps(found))  # plain values, without Ansible's tags

    def _given_passwords(self, wanted: list[Member]) -> dict[str, str]:
        """Returns the first passwords that variables hold."""
        found, problems = {}, []
        for member in wanted:
            if member.password_variable and member.state != "absent":
                value = self.variable(self._variables, member.password_variable)
                if not isinstance(value, str) or len(value) < 8:
                    problems.append(
                        f"platform_users, '{member.key}': password_variable: the variable '{member.password_variable}' must hold "
                        "a text of 8 characters or more; without password_variable a password is generated"
                    )
                else:
                    found[member.key] = str(value)
        if problems:
            raise PeopleError("\n".join(problems))
        return found

    def _lock(self, cluster: Cluster) -> t.ContextManager[t.Any]:
        if self.check:
            return contextlib.nullcontext()
        space = str(self.variable(self._variables, "platform_namespace", "openmlops"))
        return RunLock(cluster, space, self.say, float(self.variable(self._variables, "platform_lock_timeout", 600)))

    def _run(
        self, cluster: Cluster, space: str, wanted: list[Member], rotate: set[str], args: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        kratos, keto = Kratos(cluster, space), Keto(cluster, space)
        people, services = People(kratos, keto, self.check), self._services(cluster)
        tokens = Tokens(
            kratos, seconds(str(self.variable(self._variables, "ory_session_lifespan", "720h"))),
            lambda machine: _value(cluster, space, machine.secret, "token"),
            lambda machine, token: self._keep(cluster, [_secret(space, machine, {"token": {"value": token}})]), self.check,
        )
        outcomes = self._converge(cluster, space, people, services, wanted, args["unlisted"])
        outcomes += tokens.converge(wanted, people.live, rotate)
        # Last: while somebody is still known, what they had must not be forgotten.
        self._forget(cluster, space, wanted)
        result = self._result(outcomes)
        groups = keto.tuples("Group")
        for group, names in sorted(({} if self.check else listing.empty_groups(services, groups)).items()):
            display.warning(f"nobody is in group {group}, which may enter {', '.join(names)}: is the name right?")
        if args["show"] or args["dest"]:
            self._report(listing.rows(people.live, kratos.all_sessions(), groups, wanted), args)
        return result

    def _converge(
        self, cluster: Cluster, space: str, people: People, services: list[dict[str, t.Any]], wanted: list[Member], unlisted: str
    ) -> list[Outcome]:
        """Makes people; a generated first password lies in its Secret before its owner is made."""
        fresh = [m for m in people.missing(wanted) if m.schema != "machine" and m.key not in self._passwords]
        self._keep(cluster, [_secret(space, m, {"password": {"generate": "password", "length": 20}}) for m in fresh])

        def password(member: Member) -> str:
            return self._passwords.get(member.key) or _value(cluster, space, member.secret, "password")

        outcomes = people.converge(wanted, services, password, unlisted)
        for member in [] if self.check else fresh:
            self.say(f"the first password of {member.key} is in the Secret {space}/{member.secret}, key password")
        return outcomes

    def _forget(self, cluster: Cluster, space: str, wanted: list[Member]) -> None:
        """Deletes the Secrets of those who are gone, and the tokens of machines that are disabled."""
        gone = [m for m in wanted if m.state == "absent" or (m.schema == "machine" and m.state == "disabled")]
        self._keep(cluster, [{"name": m.secret, "namespace": space, "state": "absent"} for m in gone])

    def _keep(self, cluster: Cluster, specs: list[dict[str, t.Any]]) -> None:
        if specs:
            self._secrets_changed |= bool(bootstrap(cluster, specs, purge=True, check=self.check).result["changed"])

    def _services(self, cluster: Cluster) -> list[dict[str, t.Any]]:
        space = str(self.variable(self._variables, "platform_namespace", "openmlops"))
        found = cluster.get("v1", "ConfigMap", CATALOGUE, space)
        return json.loads(found["data"]["catalogue.json"])["services"] if found else []

    def _report(self, rows: list[listing.Row], args: dict[str, t.Any]) -> None:
        if args["show"]:
            for line in listing.table(rows).splitlines():
                self.say(line)
        if args["dest"]:
            Path(args["dest"]).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")

    def _result(self, outcomes: list[Outcome]) -> dict[str, t.Any]:
        changed = [one for one in outcomes if one.action != "unchanged"]
        for one in changed:
            self.say(f"{one.key}: {one.action}{f' ({one.about})' if one.about else ''}")
        result: dict[str, t.Any] = {
            "changed": bool(changed) or self._secrets_changed,
            "people": [{"name": one.key, "action": one.action, "about": one.about} for one in outcomes],
        }
        if self._task.diff and changed:
            result["diff"] = [{"before": "", "after": "".join(f"{one.key}: {one.action} {one.about}\n" for one in changed)}]
        return result


def _secret(space: str, member: Member, data: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"name": member.secret, "namespace": space, "data": data}


def _value(cluster: Cluster, space: str, name: str, key: str) -> str:
    found = cluster.get("v1", "Secret", name, space)
    return base64.b64decode((found or {}).get("data", {}).get(key, "")).decode()
