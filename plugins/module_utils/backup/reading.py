# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads backups where they are: by a pod that mounts the volume or has the keys, and a forwarded port to it."""

from __future__ import annotations

import hashlib
import json
import os
import time
import typing as t
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.backup.manifests import BackupError, Manifest, flaw, size
from ansible_collections.openmlops.platform.plugins.module_utils.converge import pods
from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object
from ansible_collections.openmlops.platform.plugins.module_utils.converge.readiness import condition
from ansible_collections.openmlops.platform.plugins.module_utils.kube.client import Cluster
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import Unreachable
from ansible_collections.openmlops.platform.plugins.module_utils.kube.forward import PodClient

PORT = 8765  # roles/backup/files/reader.py
MANIFEST = "manifest.json"
_PIECE = 8 << 20  # bytes that one request carries
_SAY_SECONDS = 10.0


def lacking(cluster: Cluster, namespace: str, spec: Object) -> list[str]:
    """Returns what a pod needs and what is not there, so that it would wait for it.

    Args:
        spec: of the pod.
    """
    if cluster.get("v1", "Namespace", namespace) is None:
        return [f"namespace {namespace}"]
    wanted: dict[tuple[str, str], None] = {}
    for volume in spec.get("volumes") or []:
        for field, key, kind in (("configMap", "name", "ConfigMap"), ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim"),
                                 ("secret", "secretName", "Secret")):
            if field in volume and not volume[field].get("optional"):
                wanted[(kind, volume[field][key])] = None
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for variable in container.get("env") or []:
            secret = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if secret and not secret.get("optional"):
                wanted[("Secret", secret["name"])] = None
    return [f"{kind} {namespace}/{name}" for kind, name in wanted if cluster.get("v1", kind, name, namespace) is None]


class Reader:
    """The backups of a destination; a context manager, which makes the pod and removes it.

    Args:
        pod: manifest of the pod, as the role renders it.
        patience: seconds until the pod must run.
    """

    def __init__(self, cluster: Cluster, pod: Object, say: t.Callable[[str], None], patience: float) -> None:
        self._cluster, self._pod, self._say, self._patience = cluster, pod, say, patience
        meta = pod["metadata"]
        self._client = PodClient(cluster, meta["namespace"], meta["name"], PORT, 120.0)

    def __enter__(self) -> Reader:
        self._remove()  # what a run that was killed left
        self._cluster.create(self._pod)
        try:
            self._await_running()
            self._await_answer()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()
        # Gone for good: a volume for one node at a time is free again for the Job that comes next.
        self._remove()

    def manifests(self) -> list[Manifest]:
        """Returns the manifests of all whole backups, the oldest first; of one that is none, its name and why (``damaged``)."""
        found = []
        for entry in self._json("GET", "/backups"):
            known = entry if isinstance(entry, dict) else {}
            wrong = "" if known.get("name") and known.get("damaged") else flaw(entry)
            found.append({"name": str(known.get("name", "?")), "damaged": f"its manifest cannot be read: {wrong}"} if wrong else entry)
        return found

    def problems(self, name: str) -> list[str]:
        """Reads a whole backup and returns what is wrong with it."""
        return self._awaited(lambda: self._json("GET", f"/backups/{name}/check"), f"backup {name} is read and compared with its manifest")["problems"]

    def _awaited(self, ask: t.Callable[[], t.Any], what: str) -> t.Any:
        """Asks until the answer is no longer that the work is under way."""
        started = said = time.monotonic()
        while (found := ask())["state"] == "running":
            if time.monotonic() - said >= _SAY_SECONDS:
                said = time.monotonic()
                self._say(f"{said - started:4.0f} s  {what}")
            time.sleep(0.3)
        return found

    def part(self, name: str, file: str) -> bytes:
        """Returns a small part."""
        return b"".join(self._pieces(name, file))

    def fetch(self, manifest: Manifest, folder: Path) -> None:
        """Copies a backup to the controller; its manifest comes last, so that half a copy is known as such.

        Raises:
            BackupError: when a part does not arrive as it was written.
        """
        name = manifest["name"]
        target = folder / name
        folder.mkdir(parents=True, exist_ok=True)
        _private(target)
        # While parts come, an older copy of the same backup is none.
        (target / MANIFEST).unlink(missing_ok=True)
        for part in manifest["parts"]:
            path, found = target / part["file"], hashlib.sha256()
            _private(path.parent)
            with _opened(path) as stream:
                for piece in self._pieces(name, part["file"]):
                    stream.write(piece)
                    found.update(piece)
                stream.flush()
                os.fsync(stream.fileno())
            if found.hexdigest() != part["sha256"]:
                raise BackupError(f"{part['file']} of backup {name} did not arrive as it was written; run again")
            self._say(f"{path}: {size(part['bytes'])}")
        unfinished = target / f".{MANIFEST}"
        with _opened(unfinished) as stream:
            stream.write(self.part(name, MANIFEST))
        unfinished.replace(target / MANIFEST)

    def bring(self, folder: Path) -> str:
        """Copies a backup from the controller to the volume and returns its name; one that is there already stays.

        Raises:
            BackupError: when the folder holds no whole backup.
        """
        try:
            text = (folder / MANIFEST).read_text(encoding="utf-8")
            manifest = json.loads(text)
            if wrong := flaw(manifest):
                raise ValueError(f"{MANIFEST} cannot be read: {wrong}")
            name, parts = manifest["name"], manifest["parts"]
        except (OSError, ValueError) as error:
            raise BackupError(f"platform_restore_folder: {folder} holds no whole backup: {error}") from error
        absent = [part["file"] for part in parts if not (folder / part["file"]).is_file()]
        if absent:
            raise BackupError(f"platform_restore_folder: {folder} holds no whole backup: {', '.join(absent)} are missing")
        if name in [entry["name"] for entry in self.manifests()]:
            return name
        for part in parts:
            with (folder / part["file"]).open("rb") as stream:
                start = 0
                while piece := stream.read(_PIECE):
                    self._json("PUT", f"/backups/{name}/{part['file']}", {"Range": f"bytes={start}-"}, piece)
                    start += len(piece)
            self._say(f"{part['file']}: {size(part['bytes'])} brought to the cluster")
        found = self._awaited(lambda: self._json("POST", f"/backups/{name}", {}, text.encode()), f"backup {name} is compared with its manifest")
        if found["problems"]:
            raise BackupError(f"platform_restore_folder: {folder} is damaged: {', '.join(found['problems'])} differ from the manifest")
        return name

    def _pieces(self, name: str, file: str) -> t.Iterator[bytes]:
        start = 0
        while True:
            headers = {"Range": f"bytes={start}-{start + _PIECE - 1}"}
            status, piece = self._client.ask("GET", f"/backups/{name}/{file}", headers)
            if status != 206:
                raise BackupError(f"{file} of backup {name} cannot be read: {piece[:300].decode(errors='replace')}")
            yield piece
            if len(piece) < _PIECE:
                return
            start += len(piece)

    def _json(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> t.Any:
        status, answer = self._client.ask(method, path, headers or {}, body)
        if status != 200:
            raise BackupError(f"{method} {path}: {answer[:300].decode(errors='replace') or status}")
        return json.loads(answer)

    def _await_running(self) -> None:
        started = time.monotonic()
        while True:
            live = self._cluster.live(self._pod) or {"metadata": self._pod["metadata"]}
            if condition(live, "Ready").get("status") == "True":
                return
            found, spent = pods.trouble(live), time.monotonic() - started
            hopeless = found and (found.crashed or (found.patience is not None and spent >= found.patience))
            if hopeless or spent > self._patience:
                words = self._cluster.logs(found.namespace, found.pod, None, 5).strip() if found and found.crashed else ""
                raise BackupError(f"the pod that reads backups does not run: {found.reason if found else 'not ready'}"
                                  + (f"; its last words: {words.splitlines()[-1]}" if words else ""))
            time.sleep(0.3)

    def _await_answer(self) -> None:
        """Waits until the program listens, which is a moment after its container runs."""
        deadline = time.monotonic() + 60.0
        while True:
            try:
                self._client.ask("GET", "/backups", {})
                return
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def _remove(self) -> None:
        self._cluster.delete(self._pod)
        deadline = time.monotonic() + 60.0
        while self._cluster.live(self._pod) is not None and time.monotonic() < deadline:
            time.sleep(0.2)


def _private(folder: Path) -> None:
    """Makes a folder that nobody else may enter; one that is there keeps its mode."""
    folder.mkdir(mode=0o700, exist_ok=True)


def _opened(path: Path) -> t.BinaryIO:
    """Opens a file for writing that nobody else may read, also when it was there with another mode."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
