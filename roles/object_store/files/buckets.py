# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make each application's user and bucket on an S3 store, and prove that the user can use it. Runs as a Job.

Reads ENDPOINT, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, USERS (versitygw or none), and for each bucket i of
BUCKETS: BUCKET_i_NAME, BUCKET_i_ACCESS_KEY_ID, BUCKET_i_SECRET_ACCESS_KEY. Keys never stand in an argument or in a log.
"""

import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from xml.sax.saxutils import escape

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

ENDPOINT, REGION = os.environ["ENDPOINT"], os.environ["REGION"]
ROOT = (os.environ["ROOT_ACCESS_KEY_ID"], os.environ["ROOT_SECRET_ACCESS_KEY"])
PATIENCE = 120  # seconds until the store must answer


def s3(keys):
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 3},
                    request_checksum_calculation="when_required", response_checksum_validation="when_required")
    return boto3.client("s3", endpoint_url=ENDPOINT, region_name=REGION, config=config,
                        aws_access_key_id=keys[0], aws_secret_access_key=keys[1])


def admin(path, query, body):
    """One call of VersityGW's admin API: a PATCH, signed like an S3 request. Returns status and text."""
    url = f"{ENDPOINT}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    request = AWSRequest(method="PATCH", url=url, data=body)
    S3SigV4Auth(Credentials(*ROOT), "s3", REGION).add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(prepared.url, data=body, headers=dict(prepared.headers), method="PATCH")
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ensure_user(access, secret):
    account = f"<Account><Access>{escape(access)}</Access><Secret>{escape(secret)}</Secret><Role>user</Role></Account>"
    status, text = admin("create-user", {}, account.encode())
    if status == 409:
        props = f"<MutableProps><Secret>{escape(secret)}</Secret></MutableProps>"
        status, text = admin("update-user", {"access": access}, props.encode())
    if status >= 300:
        sys.exit(f"user for the bucket cannot be made: {status} {text[:300]}")


def ensure_bucket(root, name, owner):
    try:
        root.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        root.create_bucket(Bucket=name)
    if owner:
        status, text = admin("change-bucket-owner", {"bucket": name, "owner": owner}, b"")
        if status >= 300:
            sys.exit(f"bucket {name} cannot be given to its user: {status} {text[:300]}")


def prove(keys, name):
    """Write, read and delete one object as the application will."""
    client, key = s3(keys), ".platform-check"
    client.put_object(Bucket=name, Key=key, Body=b"ok")
    assert client.get_object(Bucket=name, Key=key)["Body"].read() == b"ok"
    client.delete_object(Bucket=name, Key=key)


def main():
    root = s3(ROOT)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            root.list_buckets()
            break
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"the store at {ENDPOINT} does not answer: {error}")
            time.sleep(1)
    for index in range(1, int(os.environ["BUCKETS"]) + 1):
        name = os.environ[f"BUCKET_{index}_NAME"]
        keys = (os.environ[f"BUCKET_{index}_ACCESS_KEY_ID"], os.environ[f"BUCKET_{index}_SECRET_ACCESS_KEY"])
        own_user = os.environ["USERS"] == "versitygw"
        if own_user:
            ensure_user(*keys)
        ensure_bucket(root, name, keys[0] if own_user else None)
        prove(keys, name)
        print(f"bucket {name} is ready")


main()
