# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that run in the cluster, as modules, and a stand-in for S3."""

from __future__ import annotations

import datetime
import importlib
import io
import sys
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[3] / "roles/backup/files"


class ClientError(Exception):
    """As boto3's."""

    def __init__(self, code):
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class NoSuchKey(ClientError):
    """An object that is not there."""


class Exceptions:
    """What a client of boto3 has."""

    ClientError, NoSuchKey = ClientError, NoSuchKey


class FakeS3:
    """Buckets in memory; ``before`` is called with (verb, key) ahead of each request."""

    exceptions = Exceptions

    def __init__(self, **buckets):
        self.buckets = {name: {} for name in buckets}
        self.before = lambda verb, key: None
        self.when = datetime.datetime.now(datetime.timezone.utc)
        for name, objects in buckets.items():
            for key, data in objects.items():
                self.put_object(name, key, data)

    def get_paginator(self, _name):
        return self

    def paginate(self, Bucket, Prefix=""):
        keys = sorted(key for key in self.buckets[Bucket] if key.startswith(Prefix))
        # Small pages, as a long list has them.
        for start in range(0, len(keys) or 1, 2):
            page = [{"Key": key, "LastModified": self.when} for key in keys[start:start + 2]]
            yield {"Contents": page} if page else {}

    def get_object(self, Bucket, Key, Range=""):
        self.before("get", Key)
        if Key not in self.buckets[Bucket]:
            raise NoSuchKey("NoSuchKey")
        found = self.buckets[Bucket][Key]
        start = int(Range.removeprefix("bytes=").rstrip("-") or 0)
        if start and start >= len(found["data"]):
            raise ClientError("InvalidRange")
        return {**found, "ContentLength": len(found["data"]), "Body": io.BytesIO(found["data"][start:])}

    def put_object(self, Bucket, Key, Body, **more):
        self.before("put", Key)
        self.buckets[Bucket][Key] = {"data": bytes(Body), "LastModified": self.when, **more}

    def upload_fileobj(self, stream, Bucket, Key, ExtraArgs=None, Config=None):
        assert not hasattr(stream, "seek")
        self.put_object(Bucket, Key, stream.read(), **(ExtraArgs or {}))

    def delete_object(self, Bucket, Key):
        self.before("delete", Key)
        self.buckets[Bucket].pop(Key, None)

    def data(self, bucket):
        return {key: found["data"] for key, found in self.buckets[bucket].items()}


@pytest.fixture(scope="session")
def programs():
    """name -> the module in roles/backup/files."""
    sys.path.insert(0, str(FILES))
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    yield importlib.import_module
    sys.dont_write_bytecode = written
    sys.path.remove(str(FILES))


@pytest.fixture
def s3():
    return FakeS3


@pytest.fixture
def transfer(monkeypatch, programs):
    """Sends as one piece: the real transfer needs boto3."""
    module = programs("destination")
    monkeypatch.setattr(module, "send", lambda client, stream, bucket, key, extra=None: client.upload_fileobj(
        module.ReadOnly(stream), bucket, key, ExtraArgs=extra))
    return module.send


@pytest.fixture(params=["claim", "s3"])
def place(request, programs, tmp_path, transfer, s3):
    """A destination of each kind; ``spoil`` changes a byte of a part, ``age`` makes everything old."""
    module = programs("destination")
    if request.param == "claim":
        found = module.Claim(tmp_path / "data")
        (tmp_path / "data").mkdir()

        def spoil(name, part):
            path = tmp_path / "data" / name / part
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    else:
        client = s3(safe={})
        found = module.Bucket(client, "safe", "platform")

        def spoil(name, part):
            entry = client.buckets["safe"][f"platform/{name}/{part}"]
            entry["data"] = entry["data"][:-1] + b"?"
        found.client = client
    found.spoil = spoil
    return found
