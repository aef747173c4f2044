# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a bucket as one tar stream, and back. Runs in the cluster, in Jobs of the role `backup`.

An object's key stands in a header of its own (tar drops a final `/`), beside its content type and its metadata.
"""

import json
import tarfile

KEY, TYPE, METADATA = "OPENMLOPS.key", "OPENMLOPS.type", "OPENMLOPS.metadata"


def keys(client, bucket):
    """Yields the key of each object."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents") or []:
            yield entry["Key"]


def pack(client, bucket, stream):
    """Writes all objects of a bucket to a stream; returns how many. What is deleted meanwhile is left out."""
    count = 0
    with tarfile.open(mode="w|", fileobj=stream, format=tarfile.PAX_FORMAT) as archive:
        for key in keys(client, bucket):
            try:
                answer = client.get_object(Bucket=bucket, Key=key)
            except client.exceptions.NoSuchKey:
                continue
            count += 1
            entry = tarfile.TarInfo(f"{count:012d}")
            entry.size = answer["ContentLength"]
            entry.mtime = int(answer["LastModified"].timestamp())
            entry.pax_headers = {KEY: key, TYPE: answer.get("ContentType") or "", METADATA: json.dumps(answer.get("Metadata") or {})}
            archive.addfile(entry, answer["Body"])
            answer["Body"].close()
    return count


def unpack(client, bucket, stream, send):
    """Makes a bucket hold what was packed, and nothing else; returns how many objects were written and deleted.

    What is too much goes last: a restore that is killed has deleted nothing, and does it all again when it is repeated.
    """
    written = set()
    with tarfile.open(mode="r|", fileobj=stream) as archive:
        for entry in archive:
            key = entry.pax_headers[KEY]
            extra = {"Metadata": json.loads(entry.pax_headers[METADATA])}
            if entry.pax_headers.get(TYPE):
                extra["ContentType"] = entry.pax_headers[TYPE]
            send(client, archive.extractfile(entry), bucket, key, {name: value for name, value in extra.items() if value})
            written.add(key)
    surplus = [key for key in keys(client, bucket) if key not in written]
    for key in surplus:
        client.delete_object(Bucket=bucket, Key=key)
    return len(written), len(surplus)
