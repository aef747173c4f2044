# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a backup whole: takes the dumps that the containers before this one wrote, packs the buckets, adds the sealed Secrets, reads
everything back, and writes the manifest. Then removes backups that are too many. Runs as the last container of a backup's pod.

Reads NAME (empty: the time), KEEP, WORK (folder of the dumps), DATABASES and BUCKETS (JSON: name and component), ABOUT (JSON, goes into
the manifest), SEALED (path of the sealed Secrets, may be missing), for each bucket i BUCKET_i_ENDPOINT, _REGION, _NAME, _ACCESS_KEY_ID,
_SECRET_ACCESS_KEY, and what destination.py reads. The last line of its log is the manifest.
"""

import datetime
import json
import os
import shutil
import sys
from pathlib import Path

import bucket_archive
from destination import BLOCK, Hashed, destination, digest, s3


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


def retain(place, keep, name):
    """Deletes the oldest backups beyond ``keep``, never the one just made; returns their names."""
    others = [other for other in place.names() if other != name]
    doomed = others[:max(len(others) - (keep - 1), 0)]
    for other in doomed:
        place.delete(other)
    return doomed


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main(env=os.environ):
    place = destination(env)
    name = env.get("NAME") or datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S")
    if name in place.names():
        manifest = json.loads(place.manifest_text(name))  # an earlier attempt had got so far
    else:
        manifest = make(place, name, env)
    for other in retain(place, int(env["KEEP"]), name):
        print(f"backup {other} is deleted: {env['KEEP']} are kept", flush=True)
    left = place.sweep()
    if left:
        print(f"the remains of {left} interrupted backups are deleted", flush=True)
    print(json.dumps(manifest, sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
