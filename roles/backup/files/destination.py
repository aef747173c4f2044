# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where backups lie: a volume (Claim) or a bucket (Bucket). Runs in the cluster, in Jobs of the role `backup`.

Each backup has a folder of its own: its parts, and `manifest.json`, which is written last. What has no manifest is no backup.

Reads DESTINATION (claim or s3), and for claim DATA, the folder of the volume; for s3 S3_ENDPOINT, S3_REGION, S3_BUCKET, S3_PREFIX,
S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import threading
import time
from pathlib import Path

MANIFEST = "manifest.json"
NAME = re.compile(r"[0-9]{8}-[0-9]{6}")
PART = re.compile(r"(databases|buckets)/[a-z0-9][a-z0-9._-]*|secrets\.sealed")
BLOCK = 1 << 20
# A stream of unknown length goes up in pieces; S3 takes 10,000 of them, so a part of a backup may have 640 GB.
PIECE = 64 << 20
# Seconds after which what has no manifest was left by a run that ended too soon.
ABANDONED = 24 * 3600


def s3(endpoint, region, access, secret):
    """Returns a client for any S3."""
    import boto3
    from botocore.config import Config

    # Stores other than Amazon's do not all know the checksums that boto3 adds since 1.36.
    config = Config(signature_version="s3v4", s3={"addressing_style": "path" if endpoint else "auto"}, retries={"max_attempts": 5},
                    request_checksum_calculation="when_required", response_checksum_validation="when_required")
    return boto3.client("s3", endpoint_url=endpoint or None, region_name=region, config=config,
                        aws_access_key_id=access or None, aws_secret_access_key=secret or None)


def send(client, stream, bucket, key, extra=None):
    """Sends a stream, piece by piece, so that memory does not grow with it."""
    from boto3.s3.transfer import TransferConfig

    settings = TransferConfig(multipart_threshold=PIECE, multipart_chunksize=PIECE, use_threads=False)
    client.upload_fileobj(ReadOnly(stream), bucket, key, ExtraArgs=extra or None, Config=settings)


class ReadOnly:
    """Only `read`: nobody may think that the stream can be read twice."""

    def __init__(self, stream):
        self.read = stream.read


class Hashed:
    """Counts and hashes what passes; stands before a writer."""

    def __init__(self, stream):
        self._stream, self._hash, self.bytes = stream, hashlib.sha256(), 0

    def write(self, data):
        self._stream.write(data)
        self._hash.update(data)
        self.bytes += len(data)
        return len(data)

    @property
    def sha256(self):
        return self._hash.hexdigest()


def digest(stream):
    """Returns size and SHA-256 of what a stream holds."""
    with open(os.devnull, "wb") as nothing:
        found = Hashed(nothing)
        while block := stream.read(BLOCK):
            found.write(block)
    return found.bytes, found.sha256


class Claim:
    """A folder on a volume. What is under way lies in a hidden folder, which gets its name when it is whole."""

    def __init__(self, data):
        self._data = Path(data)

    def names(self):
        return sorted(path.parent.name for path in self._data.glob(f"*/{MANIFEST}") if NAME.fullmatch(path.parent.name))

    def manifest_text(self, name):
        return (self._data / name / MANIFEST).read_text(encoding="utf-8")

    @contextlib.contextmanager
    def reading(self, name, part, start=0):
        with open(self._data / name / part, "rb") as stream:
            stream.seek(start)
            yield stream

    @contextlib.contextmanager
    def writing(self, name, part):
        path = self._partial(name) / part
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())

    @contextlib.contextmanager
    def reading_back(self, name, part):
        with open(self._partial(name) / part, "rb") as stream:
            yield stream

    def append(self, name, part, start, data):
        """Writes a piece of a part that is brought here, from where an interrupted one got to."""
        path = self._partial(name) / part
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "r+b" if path.exists() else "wb") as stream:
            stream.seek(start)
            stream.write(data)
            stream.truncate()

    def take(self, name, part, path):
        """Makes a file that is on the volume already a part, without copying it."""
        target = self._partial(name) / part
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        with open(target, "rb+") as stream:
            os.fsync(stream.fileno())

    def publish(self, name, manifest):
        with self.writing(name, MANIFEST) as stream:
            stream.write(manifest.encode())
        os.rename(self._partial(name), self._data / name)
        folder = os.open(self._data, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def delete(self, name):
        # Under another name first: what is half deleted is no backup. Another Job may be at the same.
        doomed = self._data / f".deleted-{name}"
        shutil.rmtree(doomed, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._data / name, doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def forget(self, name):
        """Removes what an earlier attempt of this very backup left."""
        shutil.rmtree(self._partial(name), ignore_errors=True)

    def sweep(self):
        """Removes what runs that were killed left behind; returns how many."""
        old = [path for path in self._data.glob(".*-*") if path.is_dir() and time.time() - _newest(path) > ABANDONED]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    def _partial(self, name):
        return self._data / f".partial-{name}"


def _newest(folder):
    return max((path.stat().st_mtime for path in [folder, *folder.rglob("*")]), default=0.0)


class Bucket:
    """A bucket, or the objects of a bucket below a prefix."""

    def __init__(self, client, bucket, prefix=""):
        self._client, self._bucket, self._prefix = client, bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def names(self):
        return sorted(name for name, keys in self._all().items() if any(key.endswith(f"{name}/{MANIFEST}") for key, _when in keys))

    def manifest_text(self, name):
        return self._client.get_object(Bucket=self._bucket, Key=self._key(name, MANIFEST))["Body"].read().decode()

    @contextlib.contextmanager
    def reading(self, name, part, start=0):
        wanted = {"Range": f"bytes={start}-"} if start else {}
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(name, part), **wanted)["Body"]
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in ("InvalidRange", "416"):
                raise
            body = io.BytesIO()  # it goes on at the very end
        try:
            yield body
        finally:
            body.close()

    reading_back = reading

    @contextlib.contextmanager
    def writing(self, name, part):
        """Hands what is written to a thread that sends it: an archive is never whole in memory or on a disk."""
        read_end, write_end = os.pipe()
        failed = []

        def work():
            with open(read_end, "rb") as stream:
                try:
                    send(self._client, stream, self._bucket, self._key(name, part))
                except BaseException as error:  # told by the writer below
                    failed.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            with open(write_end, "wb") as stream:
                yield stream
        except BrokenPipeError:
            pass  # the other end tells why
        thread.join()
        if failed:
            raise failed[0]

    def take(self, name, part, path):
        with open(path, "rb") as stream:
            send(self._client, stream, self._bucket, self._key(name, part))
        os.unlink(path)

    def publish(self, name, manifest):
        self._client.put_object(Bucket=self._bucket, Key=self._key(name, MANIFEST), Body=manifest.encode())

    def delete(self, name):
        # The manifest first: what is half deleted is no backup.
        keys = [key for key, _when in self._all().get(name, [])]
        for key in sorted(keys, key=lambda key: not key.endswith(f"/{MANIFEST}")):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def forget(self, name):
        self.delete(name)

    def sweep(self):
        whole, count = set(self.names()), 0
        for name, keys in self._all().items():
            if name not in whole and all(time.time() - when > ABANDONED for _key, when in keys):
                self.delete(name)
                count += 1
        return count

    def _key(self, name, part):
        return f"{self._prefix}{name}/{part}"

    def _all(self):
        """Returns by backup its keys, each with the time of its last change."""
        found = {}
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix):
            for entry in page.get("Contents") or []:
                name = entry["Key"][len(self._prefix):].split("/")[0]
                if NAME.fullmatch(name):
                    found.setdefault(name, []).append((entry["Key"], entry["LastModified"].timestamp()))
        return found


def destination(env):
    """Returns the destination that the environment names."""
    if env["DESTINATION"] == "claim":
        return Claim(env["DATA"])
    client = s3(env.get("S3_ENDPOINT", ""), env["S3_REGION"], env.get("S3_ACCESS_KEY_ID", ""), env.get("S3_SECRET_ACCESS_KEY", ""))
    return Bucket(client, env["S3_BUCKET"], env.get("S3_PREFIX", ""))


def read(text, name):
    """Returns the manifest that a text is.

    Raises:
        ValueError: when it is none, or that of another backup.
    """
    try:
        manifest = json.loads(text)
        if manifest["name"] != name or not all(PART.fullmatch(part["file"]) for part in manifest["parts"]):
            raise ValueError("it names something else")
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    return manifest


def problems(place, name):
    """Returns what is wrong with a backup, one sentence for each; empty when every part is as it was written."""
    try:
        parts = read(place.manifest_text(name), name)["parts"]
    except ValueError as error:
        return [f"its manifest cannot be read: {error}"]
    found = []
    for part in parts:
        try:
            with place.reading(name, part["file"]) as stream:
                size, sha256 = digest(stream)
        except Exception as error:  # each kind of destination has errors of its own
            found.append(f"{part['file']} cannot be read: {type(error).__name__}: {error}")
            continue
        if size != part["bytes"]:
            found.append(f"{part['file']} has {size} bytes, and had {part['bytes']} when it was written")
        elif sha256 != part["sha256"]:
            found.append(f"{part['file']} is not what was written: its SHA-256 differs")
    return found
