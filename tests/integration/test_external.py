# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server and an S3 store that were there before: real ones, in a namespace that the platform does not know.

A second platform with records of its own uses them, on the same cluster, as on a cluster of somebody else (no local_cluster).
"""

from __future__ import annotations

import base64
import datetime
import json
import os
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CACHE = Path(os.environ.get("OPENMLOPS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmlops")
OUTSIDE = "outside"
SPACES = {kind: f"second-{kind}" for kind in ("platform", "postgresql", "store", "mlflow", "app")}
# An account as a database in a public cloud hands it out: it may make roles and databases, and is no superuser.
ADMIN, ADMIN_PASSWORD, S3_KEY, S3_SECRET = "provider", "of-the-provider-1", "provider", "of-the-provider-2"
POSTGRESQL = f"""
set -e
initdb -D /data/db -U postgres --auth-local=trust --auth-host=reject >/dev/null
echo 'hostssl all all all scram-sha-256' >> /data/db/pg_hba.conf
install -m 600 /tls/tls.key /data/tls.key
pg_ctl -D /data/db -o '-h "" -k /data' -w start >/dev/null
psql -h /data -U postgres -qc "CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{ADMIN_PASSWORD}'"
pg_ctl -D /data/db -w stop >/dev/null
exec postgres -D /data/db -h 0.0.0.0 -k /data -c ssl=on -c ssl_cert_file=/tls/tls.crt -c ssl_key_file=/data/tls.key
"""
# What an application does with the two Secrets that it is given.
USE = """
import json, os, boto3, psycopg2
from botocore.config import Config
from botocore.exceptions import ClientError
db = psycopg2.connect(os.environ["db_uri"])
with db, db.cursor() as cursor:
    cursor.execute("create table if not exists seen (what text)")
    cursor.execute("insert into seen values ('here')")
    cursor.execute("select current_user, current_database(), (select ssl from pg_stat_ssl where pid = pg_backend_pid())")
    found = list(cursor.fetchone())
s3 = boto3.client("s3", endpoint_url=os.environ["s3_endpoint"], region_name=os.environ["s3_region"],
                  aws_access_key_id=os.environ["s3_access_key_id"], aws_secret_access_key=os.environ["s3_secret_access_key"],
                  config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"))
s3.put_object(Bucket=os.environ["s3_bucket"], Key="model", Body=b"weights")
found.append(s3.get_object(Bucket=os.environ["s3_bucket"], Key="model")["Body"].read().decode())
print(json.dumps(found))
"""


def tls_secret():
    """A key and a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "database.outside.svc")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
                   .sign(key, hashes.SHA256()))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"tls.crt": certificate.public_bytes(serialization.Encoding.PEM).decode(), "tls.key": pem.decode()}


def server(name, image, port, **container):
    """A pod that serves and its Service."""
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "tls", "secret": {"secretName": "tls"}}]
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "tls", "mountPath": "/tls"}]
    main = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts,
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1}, **container}
    meta = {"name": name, "namespace": OUTSIDE, "labels": {"app": name}}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {
            "containers": [main], "volumes": volumes, "enableServiceLinks": False, "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsUser": 26, "runAsGroup": 26, "fsGroup": 26}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": {"app": name}, "ports": [{"port": port}]}},
    ]


def image_of(cluster, part):
    """The name of an image that the node has."""
    names = [name for item in cluster.get("nodes")["items"][0]["status"]["images"] for name in item["names"]]
    return next(name for name in names if name.startswith("localhost/openmlops/") and f"/{part}:" in name)


class Second:
    """A second platform on the cluster, with an inventory of its own."""

    def __init__(self, cluster, folder, **variables):
        self.cluster, self.inventory = cluster, folder / "hosts.yml"
        helm = max((CACHE / "bin").glob("helm-*"), key=lambda path: path.stat().st_mtime)
        given = {
            "platform_kubeconfig": str(cluster.kubeconfig), "platform_context": cluster.context, "platform_gateway": "none",
            "platform_namespace": SPACES["platform"], "platform_chart_source": "bundled", "platform_image_source": "built",
            "platform_helm_binary": str(helm),
            "postgresql_mode": "external", "postgresql_namespace": SPACES["postgresql"],
            "postgresql_external_host": f"database.{OUTSIDE}.svc", "postgresql_external_admin_secret": "provider",
            "object_store_mode": "external", "object_store_namespace": SPACES["store"],
            "object_store_external_endpoint": f"http://s3.{OUTSIDE}.svc:7070", "object_store_bucket_prefix": "second-",
            "object_store_external_access_key_id": S3_KEY, "object_store_external_secret_access_key": S3_SECRET,
            "object_store_external_create_buckets": True, "mlflow_namespace": SPACES["mlflow"],
            "ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}", **variables,
        }
        self.inventory.write_text(yaml.safe_dump({"all": {"children": {"clusters": {"hosts": {"second": given}}}}}))

    def up(self, *arguments, **environment):
        return self.cluster.run("up", *arguments, CLUSTER="", INVENTORY=str(self.inventory), **environment)


@pytest.fixture(scope="module")
def outside(cluster):
    """The two servers; in the end they go, and all that the second platform made."""
    for name in (OUTSIDE, SPACES["postgresql"]):
        cluster.kubectl("delete", "namespace", name, "--ignore-not-found", timeout=180)
        cluster.kubectl("create", "namespace", name)
    keys = [{"name": "ROOT_ACCESS_KEY_ID", "value": S3_KEY}, {"name": "ROOT_SECRET_ACCESS_KEY", "value": S3_SECRET},
            {"name": "VGW_PORT", "value": ":7070"}]
    objects = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls", "namespace": OUTSIDE}, "stringData": tls_secret()},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "provider", "namespace": SPACES["postgresql"]},
         "stringData": {"username": ADMIN, "password": ADMIN_PASSWORD}},
        *server("database", image_of(cluster, "postgresql"), 5432, command=["sh", "-c", POSTGRESQL]),
        *server("s3", image_of(cluster, "versitygw"), 7070, args=["posix", "/data"], env=keys),
    ]
    cluster.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    cluster.kubectl("wait", "-n", OUTSIDE, "--for=condition=Ready", "pod", "--all", "--timeout=240s", timeout=300)
    yield OUTSIDE
    cluster.kubectl("delete", "namespace", OUTSIDE, *SPACES.values(), "--ignore-not-found", "--wait=false")


def used_by(cluster, space):
    """What an application of that namespace gets from its database and its bucket."""
    env = [{"name": f"{prefix}_{key}", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
           for prefix, name, keys in (("db", "app-database", ["uri"]), ("s3", "app-bucket", [
               "bucket", "endpoint", "region", "access_key_id", "secret_access_key"])) for key in keys]
    pod = {"spec": {"containers": [{"name": "app", "image": image_of(cluster, "mlflow"), "imagePullPolicy": "IfNotPresent",
                                    "env": env, "command": ["python", "-c", USE]}], "enableServiceLinks": False}}
    answer = cluster.kubectl("run", "app", "-n", space, "--image=none", "--restart=Never", "--rm", "-i", "--quiet",
                             f"--overrides={json.dumps({'apiVersion': 'v1', **pod})}")
    return json.loads(answer.strip().splitlines()[-1])


@pytest.mark.slow
def test_an_application_gets_the_same_as_with_servers_of_ours(cluster, outside, tmp_path):
    wanted = [{"name": "app", "namespace": SPACES["app"]}]
    second = Second(cluster, tmp_path, postgresql_databases=wanted, object_store_buckets=wanted,
                    platform_components=["postgresql", "object_store"])
    second.up().ok()
    for name, keys in (("app-database", {"host", "port", "dbname", "sslmode", "username", "password", "uri"}),
                       ("app-bucket", {"uri", "bucket", "endpoint", "region", "access_key_id", "secret_access_key"})):
        assert set(cluster.get("secret", "-n", SPACES["app"], name)["data"]) == keys
    assert used_by(cluster, SPACES["app"]) == ["app", "app", True, "weights"]
    assert second.up().ok().changed == 0
    # A new password is learnt by the server in the same run; the old one is of no use any more.
    old = cluster.get("secret", "-n", SPACES["app"], "app-database")["data"]["uri"]
    second.up("-e", f"platform_rotate={SPACES['postgresql']}/app-owner/password").ok()
    assert cluster.get("secret", "-n", SPACES["app"], "app-database")["data"]["uri"] != old
    assert used_by(cluster, SPACES["app"]) == ["app", "app", True, "weights"]
    refused = cluster.kubectl("exec", "-n", OUTSIDE, "database", "--", "psql", base64.b64decode(old).decode(), "-c", "select 1",
                              check=False)
    assert refused == ""
    # Gone, and the data is still on the servers, which are somebody else's.
    second.up("-e", "postgresql_state=absent", "-e", "postgresql_purge=true", "-e", "object_store_state=absent",
              "-e", "object_store_purge=true").ok()
    assert cluster.kubectl("exec", "-n", OUTSIDE, "database", "--", "psql", "-h", "/data", "-U", "postgres", "-d", "app", "-tAc",
                           "select count(*) from seen").strip() == "2"
    assert cluster.kubectl("exec", "-n", OUTSIDE, "s3", "--", "cat", "/data/second-app/model") == "weights"


@pytest.mark.slow
@pytest.mark.parametrize(("variables", "words"), [
    ({"postgresql_external_host": f"nowhere.{OUTSIDE}.svc"}, ["postgresql-databases", f"nowhere.{OUTSIDE}.svc"]),
    ({"object_store_external_secret_access_key": "wrong"}, ["object-store-buckets", "SignatureDoesNotMatch"]),
], ids=["no such server", "wrong key"])
def test_a_server_that_does_not_let_us_in_is_named_with_its_words(cluster, outside, tmp_path, variables, words):
    component = "postgresql" if "postgresql_external_host" in variables else "object_store"
    wanted = [{"name": "app", "namespace": SPACES["app"]}]
    second = Second(cluster, tmp_path, postgresql_databases=wanted, object_store_buckets=wanted,
                    platform_components=[component], platform_wait_timeout=60, **variables)
    failed = second.up()
    assert failed.code != 0
    for word in words:
        assert word in failed.text, failed.text[-3000:]


@pytest.mark.slow
def test_mlflow_trains_and_reads_back_with_servers_outside(cluster, outside, tmp_path):
    """The whole proof: a model is trained in a pod, tracked and read back, with nothing of ours below MLflow."""
    second = Second(cluster, tmp_path, mlflow_node_port=0)
    second.up(COMPONENTS="mlflow").ok()
    runs = cluster.kubectl("exec", "-n", OUTSIDE, "database", "--", "psql", "-h", "/data", "-U", "postgres", "-d", "mlflow", "-tAc",
                           "select count(*) from runs where status = 'FINISHED'")
    assert int(runs) >= 1
    assert "MLmodel" in cluster.kubectl("exec", "-n", OUTSIDE, "s3", "--", "ls", "-R", "/data/second-mlflow")
    pods = cluster.get("pods", "-n", SPACES["postgresql"])["items"] + cluster.get("pods", "-n", SPACES["store"])["items"]
    assert [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"] == []
    assert second.up(COMPONENTS="mlflow").ok().changed == 0
    second.up("-e", "mlflow_state=absent", "-e", "mlflow_purge=true", "-e", "postgresql_state=absent", "-e", "postgresql_purge=true",
              "-e", "object_store_state=absent", "-e", "object_store_purge=true", COMPONENTS="mlflow").ok()


@pytest.mark.slow
def test_the_store_becomes_seaweedfs_and_versitygw_again(cluster):
    """MLflow goes on with another kind of store; what the first one held is there when it comes back."""
    run = ["exec", "-n", "mlflow", "deploy/mlflow", "--", "python", "-c", (
        "import boto3, os; s3 = boto3.client('s3', endpoint_url=os.environ['MLFLOW_S3_ENDPOINT_URL']); "
        "print(len(s3.list_objects_v2(Bucket=os.environ['MLFLOW_ARTIFACTS_DESTINATION'].removeprefix('s3://')).get('Contents', [])))")]
    before = int(cluster.kubectl(*run))
    assert before > 0
    cluster.run("up", "-e", "object_store_mode=seaweedfs").ok()
    assert cluster.run("up", "-e", "object_store_mode=seaweedfs").ok().changed == 0
    # The proof ran again: a model is in the new store, and was read back from it.
    assert "all-in-one" in cluster.kubectl("get", "pods", "-n", "object-store")
    assert int(cluster.kubectl(*run)) > 0
    # Pods of others reach S3 and nothing else of it: the filer would answer without a key.
    address = cluster.get("pods", "-n", "object-store", "-l", "app.kubernetes.io/component=seaweedfs-all-in-one")["items"][0]["status"]["podIP"]
    probe = ("import socket\nfor port in (8333, 8888, 9333, 8080):\n  try: socket.create_connection((%r, port), 3); print(port, 'open')\n"
             "  except OSError: print(port, 'closed')" % address)
    answers = cluster.kubectl("exec", "-n", "mlflow", "deploy/mlflow", "--", "python", "-c", probe).splitlines()
    assert answers == ["8333 open", "8888 closed", "9333 closed", "8080 closed"]
    cluster.run("up").ok()
    assert int(cluster.kubectl(*run)) >= before
    assert cluster.run("up").ok().changed == 0
