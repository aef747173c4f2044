# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a backup whole: takes the dumps that the containers before this one wrote, packs the buckets, adds the sealed Secrets, reads
everything back, and writes the manifest. Then removes backups that are too many. Runs as the last container of a backup's pod.

Reads NAME (empty: the time), KEEP, GUARDED (JSON: the parts that this platform has, as kind/name), WORK (folder of the dumps), DATABASES and
BUCKETS (JSON: name and component), ABOUT (JSON, goes into the manifest), SEALED (path of the sealed Secrets, may be missing), for each
bucket i BUCKET_i_ENDPOINT, _REGION, _NAME, _ACCESS_KEY_ID, _SECRET_ACCESS_KEY, and what destination.py reads. The last line of its log is
the manifest, with `remarks` on what else was done.
"""

import datetime
import json
import os
import shutil
import sys
from pathlib import Path

import bucket_archive
from destination import BLOCK, Hashed, destination, digest, read, s3


def bucket_client(index, env):
    """Returns a client for the i-th bucket, and the bucket's name."""
    prefix = f"BUCKET_{index}_"
    return s3(*(env.get(prefix + key, "") for key in ("ENDPOINT", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))), env[prefix + "NAME"]


def make(place, name, env, client_of=bucket_client):
    """Writes all parts and the manifest; returns it."""
    started, parts = now(), []
    place.forget(name)
    for entry in json.loads(env["DATABASES"]):
        dump = Path(env["WORK"]) / f"{entry['name']}.dump"
        part = {"kind": "database", **entry, "file": f"databases/{entry['name']}.dump",
                "server": dump.with_suffix(".version").read_text().strip()}
        with open(dump, "rb") as stream:
            part["bytes"], part["sha256"] = digest(stream)
        place.take(name, part["file"], dump)
        parts.append(part)
    for index, entry in enumerate(json.loads(env["BUCKETS"]), 1):
        client, bucket = client_of(index, env)
        part = {"kind": "bucket", **entry, "file": f"buckets/{entry['name']}.tar"}
        with place.writing(name, part["file"]) as stream:
            passed = Hashed(stream)
            part["objects"] = bucket_archive.pack(client, bucket, passed)
        parts.append({**part, "bytes": passed.bytes, "sha256": passed.sha256})
        print(f"bucket {entry['name']}: {part['objects']} objects, {passed.bytes} bytes", flush=True)
    sealed = Path(env.get("SEALED") or "/nothing")
    if sealed.is_file():
        part = {"kind": "secrets", "name": "secrets", "file": "secrets.sealed"}
        with open(sealed, "rb") as source, place.writing(name, part["file"]) as stream:
            passed = Hashed(stream)
            while block := source.read(BLOCK):
                passed.write(block)
        parts.append({**part, "bytes": passed.bytes, "sha256": passed.sha256})
    for part in parts:
        with place.reading_back(name, part["file"]) as stream:
            if digest(stream) != (part["bytes"], part["sha256"]):
                sys.exit(f"{part['file']} does not read back as it was written: is the storage sound?")
    manifest = {"schema": 1, "name": name, "started": started, "finished": now(), **json.loads(env["ABOUT"]), "parts": parts}
    place.publish(name, json.dumps(manifest, indent=1, sort_keys=True))
    shutil.rmtree(env["WORK"], ignore_errors=True)
    return manifest


def retain(place, keep, name, guarded):
    """Deletes each backup of which ``keep`` newer ones hold all that it holds, never the one just made; returns their names.

    So backups of one component, or without buckets or Secrets, take nothing away from those that hold more.

    Args:
        guarded: parts that this platform has, as ``kind/name``; nothing else keeps a backup.
    """
    order = [*(other for other in place.names() if other != name), name]
    holds = {other: held(place, other) & set(guarded) for other in order}
    doomed = [other for number, other in enumerate(order)
              if sum(holds[other] <= holds[newer] for newer in order[number + 1:]) >= keep]
    for other in doomed:
        place.delete(other)
    return doomed


def held(place, name):
    """Returns the parts of a backup, as ``kind/name``; none when its manifest is none. That it is not to be had is an error."""
    text = place.manifest_text(name)
    try:
        return {f"{part.get('kind')}/{part.get('name')}" for part in read(text, name)["parts"]}
    except ValueError:
        return set()


def tidy(place, name, env):
    """Deletes what is not kept; returns what was done, and what could not be. The backup is whole whatever happens here."""
    said = []
    try:
        for other in retain(place, int(env["KEEP"]), name, json.loads(env["GUARDED"])):
            said.append(f"backup {other} is deleted: {env['KEEP']} newer ones hold the same")
        left = place.sweep()
        if left:
            said.append(f"the remains of {left} interrupted backups are deleted")
    except Exception as error:  # a key that may not delete is a good one for backups
        said.append(f"older backups could not be deleted: {type(error).__name__}: {error}")
    return said


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main(env):
    place = destination(env)
    name = env.get("NAME") or datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S")
    if name in place.names():
        manifest = json.loads(place.manifest_text(name))  # an earlier attempt had got so far
    else:
        manifest = make(place, name, env)
    print(json.dumps({**manifest, "remarks": tidy(place, name, env)}, sort_keys=True), flush=True)


if __name__ == "__main__":
    main(os.environ)
