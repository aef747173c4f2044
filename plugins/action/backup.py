# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``backup``: makes backups, lists and fetches them. Documented in plugins/modules/backup.py."""

from __future__ import annotations

import base64
import datetime
import json
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.backup import jobs, manifests, platform_secrets, sealing, stopping
from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError, Manifest
from ansible_collections.openmlops.platform.plugins.module_utils.backup.reading import Reader, lacking
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable
from ansible_collections.openmlops.platform.plugins.plugin_utils.backup_action import BackupAction

_SEALED, _KEY = "backup-sealed", "secrets.sealed"
_MOST = 1000 * 1024  # bytes that a Secret takes
_WHEN = "openmlops.io/sealed-at"


class ActionModule(BackupAction):
    """Makes a backup, or says what there is."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "state": {"type": "str", "choices": ["sealed", "made", "listed", "fetched"], "required": True},
        "namespace": {"type": "str", "required": True},
        "job": {"type": "dict"},
        "reader": {"type": "dict"},
        "name": {"type": "str", "default": "latest"},
        "folder": {"type": "path"},
        "dest": {"type": "path"},
        "timeout": {"type": "float", "default": 21600.0},
    }
    CONSTRAINTS: t.ClassVar[dict[str, t.Any]] = {"required_if": [
        ("state", "made", ["job"]), ("state", "listed", ["reader"]), ("state", "fetched", ["reader", "folder"])]}

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Does what the task asks for."""
        given = json.loads(json.dumps({key: args[key] for key in ("job", "reader")}))  # without Ansible's tags
        if args["state"] == "made":
            return self._make(args, given["job"], variables)
        if args["state"] == "sealed":
            return self._keep_sealed(args, variables)
        cluster = self.connect(args)
        self._refuse_without(lacking(cluster, args["namespace"], given["reader"].get("spec") or {}))
        with Reader(cluster, given["reader"], self.say, float(self.setting(variables, "platform_wait_timeout", 900))) as reader:
            found = reader.manifests()
            if args["state"] == "fetched":
                found = [manifests.choose(found, args["name"])]
                if not self.check:
                    reader.fetch(found[0], Path(args["folder"]).expanduser())
        for line in manifests.table(found).splitlines():
            self.say(line)
        self._write(args, found)
        return {"changed": args["state"] == "fetched", "backups": found}

    def _make(self, args: dict[str, t.Any], job: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        passphrase = self.passphrase(variables)
        if self.check:
            self.say(f"a backup would be made by Job {args['namespace']}/{job['metadata']['name']}")
            return {"changed": True}
        cluster = self.connect(args)
        with self.lock(cluster, variables):
            unfinished = stopping.under_way(cluster, self.space(variables))
            if unfinished:
                raise BackupError(f"the restore of {unfinished} did not come to its end, so the data are between before and after: restore it "
                                  "again, or run site.yml to go on with what there is; then make a backup")
            self._refuse_without(lacking(cluster, args["namespace"], ((job.get("spec") or {}).get("template") or {}).get("spec") or {}))
            if passphrase:
                self._seal(cluster, args["namespace"], variables, passphrase)
            else:
                self._tell_unsealed(cluster, args["namespace"])
            lines = jobs.run(cluster, job, self.waiter(cluster, variables, args["timeout"] + 60.0))
        for line in lines[:-1]:
            self.say(line)
        try:
            manifest = json.loads(lines[-1])
            parts, remarks = manifest["parts"], manifest.pop("remarks", [])
        except (IndexError, ValueError, KeyError, TypeError):
            raise BackupError("the backup's Job ended well, but its last words are not its manifest: was its pod deleted? "
                              "`playbooks/restore.yml` lists what there is") from None
        for line in manifests.table([manifest]).splitlines():
            self.say(line)
        missing = [*manifest.get("not_in_it", []), *([] if any(part["kind"] == "secrets" for part in parts) else ["Secrets"])]
        self.say(f"not in it: {', '.join(missing)}")
        for remark in remarks:
            self.say(str(remark))
        self._write(args, [manifest])
        return {"changed": True, "backups": [manifest]}

    def _keep_sealed(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        passphrase = self.passphrase(variables)
        try:
            cluster = self.connect(args)
            if passphrase:
                return {"changed": self._seal(cluster, args["namespace"], variables, passphrase)}
            self._tell_unsealed(cluster, args["namespace"])
        except Unreachable:
            if not self.check:
                raise
            return {"changed": bool(passphrase)}  # a cluster that is not there yet
        return {"changed": False}

    def _tell_unsealed(self, cluster: Cluster, namespace: str) -> None:
        """Says which Secrets a backup has without a passphrase: those that were sealed last, if any."""
        live = cluster.get("v1", "Secret", _SEALED, namespace)
        when = ((live or {}).get("metadata", {}).get("annotations") or {}).get(_WHEN, "an unknown time")
        self.say(f"without backup_passphrase or backup_passphrase_file, the Secrets in backups stay those sealed at {when}" if live else
                 "without backup_passphrase or backup_passphrase_file the Secrets are NOT in the backup")

    def _refuse_without(self, missing: list[str]) -> None:
        if missing:
            raise BackupError(f"backups need {', '.join(missing)}; see docs/backup.md, «Where it goes»")

    def _seal(self, cluster: Cluster, namespace: str, variables: dict[str, t.Any], passphrase: str) -> bool:
        """Puts the sealed Secrets where the backup's Job finds them; nothing changes when they are the same. Returns whether it did.

        In check mode, whether it would.
        """
        live = cluster.get("v1", "Secret", _SEALED, namespace)
        content = platform_secrets.collect(cluster, self.space(variables), namespace)
        if live and _opened(live, passphrase) == content:
            return False
        if self.check:
            return True
        sealed = sealing.seal(content, passphrase)
        if len(sealed) > _MOST:
            raise BackupError(f"the Secrets are {manifests.size(len(sealed))} when sealed, which is more than a Secret takes")
        data = {_KEY: base64.b64encode(sealed).decode()}
        note = {_WHEN: datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        if live:
            meta = live["metadata"]
            cluster.replace({**live, "data": data, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **note}}})
        else:
            cluster.create({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data, "metadata": {
                "name": _SEALED, "namespace": namespace, "labels": {**LABELS, "openmlops.io/component": "backup"}, "annotations": note}})
        return True

    def _write(self, args: dict[str, t.Any], found: list[Manifest]) -> None:
        if args["dest"]:
            Path(args["dest"]).write_text(json.dumps({"backups": found}, indent=2) + "\n", encoding="utf-8")


def _opened(secret: dict[str, t.Any], passphrase: str) -> t.Any:
    try:
        return sealing.unseal(base64.b64decode((secret.get("data") or {}).get(_KEY, "")), passphrase)
    except sealing.SealError:
        return None
