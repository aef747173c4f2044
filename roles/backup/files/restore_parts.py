# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches what is to be restored, and restores buckets. Runs as the first container of a restore's pod.

Reads NAME, WORK (folder for the dumps), RESTORE (JSON: the files of the parts), for each bucket of them, in that order,
BUCKET_i_*, and what destination.py reads. Each part is compared with the manifest once more while it is read.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import bucket_archive
from destination import Hashed, destination, digest, send
from make_backup import bucket_client


def fetch(place, name, part, folder):
    """Copies a dump to the work folder, and refuses one that is not as it was written."""
    folder.mkdir(parents=True, exist_ok=True)
    with place.reading(name, part["file"]) as source, open(folder / Path(part["file"]).name, "wb") as target:
        passed = Hashed(target)
        shutil.copyfileobj(source, passed, 1 << 20)
    if (passed.bytes, passed.sha256) != (part["bytes"], part["sha256"]):
        sys.exit(f"{part['file']} of backup {name} is not what was written. Nothing of it was restored.")


def main(env, place=None, client_of=bucket_client):
    place = place or destination(env)
    name = env["NAME"]
    parts = {part["file"]: part for part in json.loads(place.manifest_text(name))["parts"]}
    chosen = [parts[file] for file in json.loads(env["RESTORE"])]
    for part in chosen:
        if part["kind"] == "database":
            fetch(place, name, part, Path(env["WORK"]))
            print(f"{part['file']} is fetched", flush=True)
    for index, part in enumerate((part for part in chosen if part["kind"] == "bucket"), 1):
        # Read twice: an archive that is damaged must not be half in the bucket before that is known.
        with place.reading(name, part["file"]) as stream:
            if digest(stream) != (part["bytes"], part["sha256"]):
                sys.exit(f"{part['file']} of backup {name} is not what was written. The bucket is as it was.")
        client, bucket = client_of(index, env)
        with place.reading(name, part["file"]) as stream:
            written, deleted = bucket_archive.unpack(client, bucket, stream, send)
        print(f"bucket {part['name']}: {written} objects written, {deleted} that were not in the backup deleted", flush=True)


if __name__ == "__main__":
    main(os.environ)
