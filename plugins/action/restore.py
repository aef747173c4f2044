# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``restore``: looks at backups, and restores one. Documented in plugins/modules/restore.py."""

from __future__ import annotations

import contextlib
import json
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.backup import jobs, manifests, platform_secrets, sealing, stopping
from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError, Manifest
from ansible_collections.openmlops.platform.plugins.module_utils.backup.reading import Reader, lacking
from ansible_collections.openmlops.platform.plugins.module_utils.converge import record
from ansible_collections.openmlops.platform.plugins.module_utils.converge.apply import ApplyError, delete_objects
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import ref
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import Releases
from ansible_collections.openmlops.platform.plugins.module_utils.converge.wait import WaitError
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError, Unreachable
from ansible_collections.openmlops.platform.plugins.plugin_utils.backup_action import BackupAction


class ActionModule(BackupAction):
    """Checks a backup without changing anything, restores it, starts what was stopped."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "state": {"type": "str", "choices": ["checked", "restored", "awaited", "started"], "required": True},
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "default": ""},
        "folder": {"type": "path"},
        "components": {"type": "list", "elements": "str", "default": []},
        "users": {"type": "dict", "default": {}},
        "versions": {"type": "dict", "default": {}},
        "reader": {"type": "dict"},
        "job": {"type": "dict"},
        "parts": {"type": "list", "elements": "str", "default": []},
        "plan": {"type": "list", "elements": "dict", "default": []},
        "secrets": {"type": "bool", "default": False, "no_log": False},
        "timeout": {"type": "float", "default": 21600.0},
    }
    CONSTRAINTS: t.ClassVar[dict[str, t.Any]] = {"required_if": [
        ("state", "checked", ["reader"]), ("state", "restored", ["name", "job", "parts", "reader"])]}

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does what the task asks for."""
        args = {**args, **json.loads(json.dumps({key: args[key] for key in ("users", "versions", "reader", "job", "parts", "plan")}))}
        if args["state"] == "awaited":
            return self._await(args, variables)
        cluster = self.connect(args)
        if args["state"] == "checked":
            return self._check(cluster, args, variables)
        if args["state"] == "restored":
            return self._restore(cluster, args, variables)
        return self._start(cluster, args, variables)

    def _check(self, cluster: Cluster, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        missing = lacking(cluster, args["namespace"], args["reader"].get("spec") or {})
        if missing and self.check:
            self.say(f"a run would make what reads backups ({', '.join(missing)}); until it is there they cannot be looked at")
            return {"changed": False, "backups": [], "name": "", "parts": [], "components": []}
        if missing:
            raise BackupError(f"what reads backups needs {', '.join(missing)}; see docs/backup.md, «Where it goes»")
        with self._reader(cluster, args, variables) as reader:
            name = args["name"]
            if args["folder"] and not self.check:
                name = reader.bring(Path(args["folder"]).expanduser()) if not name else name
            found = reader.manifests()
            for line in manifests.table(found).splitlines():
                self.say(line)
            unfinished = stopping.under_way(cluster, self.space(variables))
            if unfinished:
                self.say(f"the restore of {unfinished} did not come to its end: restore it again, or run site.yml to go on with what there is")
            if not name:
                return {"changed": False, "backups": found, "name": "", "parts": [], "components": []}
            chosen = manifests.choose(found, name)
            parts = manifests.parts(chosen, args["components"])
            wrong = manifests.obstacles(chosen, parts, args["versions"], args["users"])
            if wrong:
                raise BackupError(f"backup {chosen['name']} cannot be restored here: " + "; ".join(wrong))
            damage = reader.problems(chosen["name"])
            if damage:
                raise BackupError(f"backup {chosen['name']} is damaged, and nothing was changed: " + "; ".join(damage))
            self._tell_secrets(cluster, reader, chosen, args, variables)
        components = sorted({user for part in parts for user in args["users"][part["file"]]})
        self.say(f"backup {chosen['name']} is whole; restoring it replaces {', '.join(part['file'] for part in parts)}, "
                 f"while these are stopped: {', '.join(components)}")
        return {"changed": False, "backups": found, "name": chosen["name"], "parts": [part["file"] for part in parts],
                "components": components}

    def _restore(self, cluster: Cluster, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        space, name = self.space(variables), args["name"]
        releases = Releases(cluster, _no_helm, self.say)
        # No schedule makes a backup of data that are half restored.
        running = stopping.workloads(cluster, space, releases, [*args["components"], "backup"])
        if self.check:
            self.say(f"would stop {len(running)} workloads and restore {', '.join(args['parts'])}")
            return {"changed": True}
        with self.lock(cluster, variables):
            patience = float(self.setting(variables, "platform_lock_timeout", 600))
            jobs.await_others(cluster, args["namespace"], self.say, patience, but=args["job"]["metadata"]["name"])
            content = self._secrets_of(cluster, args, variables) if args["secrets"] else {}
            again = stopping.under_way(cluster, space) == name
            with _told_what_now():
                stopped = stopping.stop(cluster, space, name, running, self.say)
                self.say(f"{stopped} workloads of {', '.join(args['components'])} are stopped")
                self._bring_data(cluster, args, variables, afresh=bool(stopped) or not again)
                if content:
                    platform_secrets.put_back(cluster, content)
                    self.say(f"put back: {', '.join(sorted(content))}")
                # Migrations and proofs are made anew: the data may be of an older version.
                known = record.read_all(cluster, space)
                delete_objects(cluster, [member.as_object() for component in args["components"] if component in known
                                         for member in known[component].members if member.kind == "Job"])
        return {"changed": True}

    def _bring_data(self, cluster: Cluster, args: dict[str, t.Any], variables: dict[str, t.Any], afresh: bool) -> None:
        """Runs the Job, unless a run that was killed had got further and nothing has used the data since.

        That one may have put Secrets back already, which the pods of the Job do not have yet.
        """
        space = self.space(variables)
        if not afresh and set(args["parts"]) <= set(stopping.restored(cluster, space)):
            self.say("the data are in place already, by a run that did not come to its end")
            return
        for line in jobs.run(cluster, args["job"], self.waiter(cluster, variables, args["timeout"] + 60.0), afresh):
            self.say(line)
        stopping.note_restored(cluster, space, args["parts"])

    def _await(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Looks for a restore that did not come to its end; waits while its Job still works on the data."""
        space = self.space(variables)
        try:
            cluster = self.connect(args)
            name = stopping.under_way(cluster, space)
        except Unreachable:
            if not self.check:
                raise
            name = ""  # a cluster that is not there yet
        if name and not self.check:
            patience = float(self.setting(variables, "platform_lock_timeout", 600))
            with self.lock(cluster, variables):  # a restore that is alive has it
                jobs.await_others(cluster, args["namespace"], self.say, patience, prefix="restore-")
                name = stopping.under_way(cluster, space)
        if name and not stopping.restored(cluster, space):
            self.say(f"the restore of {name} did not come to its end. This run goes on with the data as they are and starts what was stopped: "
                     f"each database is as before or as in the backup, buckets may be between. playbooks/restore.yml with {name} does it again")
        return {"changed": False, "under_way": name}

    def _start(self, cluster: Cluster, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        if self.check:
            return {"changed": bool(stopping.under_way(cluster, self.space(variables)))}
        with self.lock(cluster, variables):
            started = stopping.start(cluster, self.space(variables))
        for obj in started:
            self.say(f"{ref(obj)} is started again")
        if started:
            self.waiter(cluster, variables, float(self.setting(variables, "platform_wait_timeout", 900))).wait(started)
        return {"changed": bool(started)}

    def _reader(self, cluster: Cluster, args: dict[str, t.Any], variables: dict[str, t.Any]) -> Reader:
        return Reader(cluster, args["reader"], self.say, float(self.setting(variables, "platform_wait_timeout", 900)))

    def _secrets_of(self, cluster: Cluster, args: dict[str, t.Any], variables: dict[str, t.Any]) -> platform_secrets.Content:
        """Returns what a backup's Secrets would change."""
        with self._reader(cluster, args, variables) as reader:
            chosen = manifests.choose(reader.manifests(), args["name"])
            return self._open(cluster, reader, chosen, args, variables)[0]

    def _open(
        self, cluster: Cluster, reader: Reader, manifest: Manifest, args: dict[str, t.Any], variables: dict[str, t.Any]
    ) -> tuple[platform_secrets.Content, list[str]]:
        passphrase = self.passphrase(variables)
        if not any(part["kind"] == "secrets" for part in manifest["parts"]):
            raise BackupError(f"platform_restore_secrets: backup {manifest['name']} was made without a passphrase, so no Secrets are in it")
        if not passphrase:
            raise BackupError("platform_restore_secrets: give backup_passphrase or backup_passphrase_file")
        content = sealing.unseal(reader.part(manifest["name"], "secrets.sealed"), passphrase)
        return platform_secrets.differing(cluster, platform_secrets.to_put_back(content, _specs(args["plan"])))

    def _tell_secrets(
        self, cluster: Cluster, reader: Reader, manifest: Manifest, args: dict[str, t.Any], variables: dict[str, t.Any]
    ) -> None:
        """Says which Secrets differ; fails before anything is changed when they are wanted and do not open."""
        held = any(part["kind"] == "secrets" for part in manifest["parts"])
        if not args["secrets"] and not (held and self.passphrase(variables)):
            return
        other, homeless = self._open(cluster, reader, manifest, args, variables)
        if other:
            self.say(f"other in the backup than here, {'and put back' if args['secrets'] else 'and left as they are'}: {', '.join(other)}")
        if other and not args["secrets"]:
            self.say("-e platform_restore_secrets=true puts them back: needed on a new platform, where data is encrypted under new keys")
        if homeless:
            self.say(f"their namespace is not there: {', '.join(homeless)}")


@contextlib.contextmanager
def _told_what_now() -> t.Iterator[None]:
    """Adds to an error how things stand and what to do."""
    try:
        yield
    except (ApplyError, BackupError, KubeError, WaitError) as error:
        raise BackupError(f"{error}. The restore did not come to its end, and what uses the data stays stopped. Mend the cause and run the same "
                          "again; or run site.yml, which starts everything with the data as they are") from error


def _specs(plan: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Returns the declared Secrets of plans, each with its namespace."""
    entries = [json.loads(entry["packed"]) if "packed" in entry else entry for entry in plan]
    return [{"namespace": entry.get("namespace"), **spec} for entry in entries for spec in entry.get("secrets") or []]


def _no_helm(_module: str, _args: dict[str, t.Any]) -> dict[str, t.Any]:
    raise AssertionError("a restore never starts Helm")
