# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/migrate-from-openmlops.md names every variable of the originals, and targets that exist."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROW = re.compile(r"^\| `(?P<name>\w+)`[^|]*\| (?P<target>[^|]*?) \| *(?P<remark>[^|]*?) ?\|$")
# Variables of the two documents, in their order; some names are those of several modules.
DOCUMENTED = """
jupyterhub_namespace jhub_proxy_https_enabled jhub_proxy_https_hosts jhub_proxy_secret_token jhub_proxy_https_letsencrypt_contact_email
oauth_github_enable oauth_github_client_id oauth_github_client_secret oauth_github_admin_users oauth_github_callback_url
oauth_github_allowed_organizations singleuser_profile_list singleuser_image_pull_secrets singleuser_image_pull_policy
singleuser_memory_guarantee singleuser_storage_capacity singleuser_storage_mount_path
namespace prefect_version_tag agent_enabled agent_prefect_labels agent_image_name agent_image_tag agent_image_pull_policy
postgresql_database postgresql_username postgresql_existing_secret postgresql_service_port postgresql_external_hostname
postgresql_use_subchart postgresql_persistence_enabled postgresql_persistence_size postgresql_init_user
worker_name worker_replicas worker_image_repository worker_image_tag worker_image_pull_policy worker_image_dask_worker_command
worker_image_pull_secret worker_environment_variables
feast_core_enabled feast_online_serving_enabled feast_jupyter_enabled feast_jobservice_enabled feast_posgresql_enabled
feast_postgresql_password feast_kafka_enabled feast_redis_enabled feast_redis_use_password feast_prometheus_enabled
feast_prometheus_statsd_exporter_enabled feast_grafana_enabled
db_host db_username db_password database_name db_port default_artifact_root image_pull_policy image_repository image_tag service_type
docker_registry_server docker_auth_key docker_private_repo
istio_enabled usage_metrics_enabled
""".split()
# In how many modules there is a variable `namespace`.
NAMESPACES = 5


@pytest.fixture(scope="module")
def rows(root):
    lines = (root / "docs/migrate-from-openmlops.md").read_text(encoding="utf-8").splitlines()
    found = [ROW.match(line) for line in lines if line.startswith("| `")]
    assert found and None not in found, "a row has another form"
    return [match.groupdict() for match in found]


def test_no_documented_variable_is_missing(rows):
    names = [row["name"] for row in rows]
    assert [name for name in DOCUMENTED if name not in names] == []
    assert names.count("namespace") == NAMESPACES


def test_each_variable_has_a_target_or_a_word_on_it(rows):
    assert [row["name"] for row in rows if row["target"] == "–" and not row["remark"]] == []


def test_every_target_exists(rows, root, load):
    """A target of a role that is not there yet must say so; once the role is there, so must the target be."""
    known = set()
    for specs in root.glob("roles/*/meta/argument_specs.yml"):
        known |= set(load(specs)["argument_specs"]["main"].get("options", {}))
    roles = {path.name for path in root.glob("roles/*")}
    problems = []
    for row in rows:
        early = row["target"].startswith("not yet")
        named = re.findall(r"`(\w+)`", row["target"])
        if early and named and set(named) <= known:
            problems.append(f"{row['name']}: {', '.join(named)} is there by now")
        for name in named:
            there = any(name.startswith(f"{role}_") for role in roles)
            if name not in known and (there or not early):
                problems.append(f"{row['name']}: there is no {name}")
        if row["target"] != "–" and not early and "`" not in row["target"]:
            problems.append(f"{row['name']}: names no target")
        for role in re.findall(r"^not yet \(role (\w+)\)", row["target"]):
            if role in roles:
                problems.append(f"{row['name']}: role {role} is there by now; name what the variable became")
    assert problems == []


def test_the_list_above_is_the_documents(root):
    folder = Path(os.environ.get("OPENMLOPS_SHARED") or root.parent / "shared") / "seeds"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} with the original documents")
    found = set()
    for path in folder.glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        if "OpenMLOps" in text or "MLOps Reference Architecture" in text:
            found |= set(re.findall(r"^\| `(\w+)[ *]*`\s*\|", text, re.MULTILINE))
    assert found and found - set(DOCUMENTED) == set()
