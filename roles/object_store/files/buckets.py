# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make each application's user and bucket on an S3 store, and prove that the user can use it. Runs as a Job.

Reads ENDPOINT, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, USERS (versitygw, seaweedfs or none), and for each bucket
i of BUCKETS: BUCKET_i_NAME, BUCKET_i_ACCESS_KEY_ID, BUCKET_i_SECRET_ACCESS_KEY. Keys never stand in an argument or in a log.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from xml.sax.saxutils import escape

import boto3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

ENDPOINT, REGION = os.environ["ENDPOINT"], os.environ["REGION"]
ROOT = (os.environ["ROOT_ACCESS_KEY_ID"], os.environ["ROOT_SECRET_ACCESS_KEY"])
PATIENCE = 120  # seconds until the store must answer
REFUSED = 42  # the exit code that ends the Job at once: trying again would not help


def s3(keys):
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 3},
                    request_checksum_calculation="when_required", response_checksum_validation="when_required")
    return boto3.client("s3", endpoint_url=ENDPOINT, region_name=REGION, config=config,
                        aws_access_key_id=keys[0], aws_secret_access_key=keys[1])


def send(request, signer):
    """Sends a request that is signed like one to S3. Returns status and text."""
    signer.add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(prepared.url, data=request.data, headers=dict(prepared.headers), method=request.method)
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class VersityGW:
    """Users by VersityGW's admin API: an application owns its bucket."""

    def call(self, path, query, body):
        url = f"{ENDPOINT}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        return send(AWSRequest(method="PATCH", url=url, data=body), S3SigV4Auth(Credentials(*ROOT), "s3", REGION))

    def ensure_user(self, name, access, secret):
        account = f"<Account><Access>{escape(access)}</Access><Secret>{escape(secret)}</Secret><Role>user</Role></Account>"
        status, text = self.call("create-user", {}, account.encode())
        if status == 409:
            props = f"<MutableProps><Secret>{escape(secret)}</Secret></MutableProps>"
            status, text = self.call("update-user", {"access": access}, props.encode())
        if status >= 300:
            sys.exit(f"user for the bucket cannot be made: {status} {text[:300]}")

    def admit(self, name, access):
        status, text = self.call("change-bucket-owner", {"bucket": name, "owner": access}, b"")
        if status >= 300:
            sys.exit(f"bucket {name} cannot be given to its user: {status} {text[:300]}")


class SeaweedFS:
    """Users by the IAM API on the S3 port, with keys that we choose; the store keeps them."""

    def call(self, action, *harmless, **fields):
        body = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", **fields}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, text = send(AWSRequest(method="POST", url=f"{ENDPOINT}/", data=body, headers=headers),
                            SigV4Auth(Credentials(*ROOT), "iam", REGION))
        if status >= 300 and status not in harmless:
            sys.exit(f"{action} for {fields['UserName']}: {status} {text[:300]}")
        return status

    def ensure_user(self, name, access, secret):
        self.call("CreateUser", 409, UserName=name)
        keys = {"UserName": name, "AccessKeyId": access, "SecretAccessKey": secret}
        if self.call("CreateAccessKey", 409, **keys) == 409 and not works(access, secret, name):
            self.call("DeleteAccessKey", UserName=name, AccessKeyId=access)
            self.call("CreateAccessKey", **keys)

    def admit(self, name, access):
        statement = {"Effect": "Allow", "Action": ["s3:Get*", "s3:Put*", "s3:List*", "s3:Tagging*"],
                     "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}
        self.call("PutUserPolicy", UserName=name, PolicyName="bucket",
                  PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def works(access, secret, name):
    """Whether the store takes these keys."""
    try:
        s3((access, secret)).list_objects_v2(Bucket=name, MaxKeys=1)
    except ClientError:
        return False
    return True


def ensure_bucket(root, name):
    try:
        root.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        root.create_bucket(Bucket=name)


def prove(keys, name):
    """Write, read and delete one object as the application will; a new user may not be known at once everywhere."""
    client, key = s3(keys), ".platform-check"
    deadline = time.monotonic() + PATIENCE / 4
    while True:
        try:
            client.put_object(Bucket=name, Key=key, Body=b"ok")
            break
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
    assert client.get_object(Bucket=name, Key=key)["Body"].read() == b"ok"
    client.delete_object(Bucket=name, Key=key)


def main():
    root = s3(ROOT)
    users = {"versitygw": VersityGW, "seaweedfs": SeaweedFS, "none": lambda: None}[os.environ["USERS"]]()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            root.list_buckets()
            break
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] in (401, 403):
                print(f"the store at {ENDPOINT} refuses the keys: {error}", file=sys.stderr)
                sys.exit(REFUSED)
            if time.monotonic() > deadline:
                sys.exit(f"the store at {ENDPOINT} does not answer: {error}")
            time.sleep(1)
    for index in range(1, int(os.environ["BUCKETS"]) + 1):
        name = os.environ[f"BUCKET_{index}_NAME"]
        keys = (os.environ[f"BUCKET_{index}_ACCESS_KEY_ID"], os.environ[f"BUCKET_{index}_SECRET_ACCESS_KEY"])
        if users:
            users.ensure_user(name, *keys)
        ensure_bucket(root, name)
        if users:
            users.admit(name, keys[0])
        prove(keys, name)
        print(f"bucket {name} is ready")


main()
