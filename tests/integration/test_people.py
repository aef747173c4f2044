# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People, machines and groups as data: who gets in, who is locked out at once, and what nobody sees. In the order of a life."""

from __future__ import annotations

import json
import re
import shlex
import uuid

import pytest

from ansible_collections.openmlops.platform.tests.integration.platform_client import Gateway, gateway_of, secret

ADA, BOB, CI, GROUP = "ada.people@example.org", "bob.people@example.org", "ci", "testers"
GIVEN = f"given-{uuid.uuid4().hex}"
PAGE = "/mlflow/api/2.0/mlflow/experiments/search?max_results=1"


class Platform:
    """The playbook for people, and what can be seen of it."""

    def __init__(self, cluster, gateway: Gateway, folder):
        self.cluster, self.gateway, self.folder = cluster, gateway, folder
        self.users: dict[str, dict] = {
            ADA: {"email": ADA, "groups": [GROUP]},
            BOB: {"email": BOB, "schema": "admin", "password_variable": "people_test_password"},
        }
        self.machines: dict[str, dict] = {CI: {"name": CI, "groups": [GROUP]}}

    def run(self, *arguments, check_result=True, **variables):
        """Runs `make users` and returns the run; ``rows`` is what it wrote to a file."""
        file, report = self.folder / "people.json", self.folder / "report.json"
        report.unlink(missing_ok=True)
        file.write_text(json.dumps({
            "platform_users": list(self.users.values()), "platform_machines": list(self.machines.values()),
            "people_test_password": GIVEN, "platform_users_file": str(report), **variables,
        }))
        done = self.cluster.run("users", "-e", f"@{file}", *map(shlex.quote, arguments), timeout=300)
        if check_result:
            done.ok()
            self.rows = {row["name"]: row for row in json.loads(report.read_text())}
        return done

    def kratos(self, path: str):
        return json.loads(self.cluster.kubectl("get", "--raw", f"/api/v1/namespaces/ory/services/kratos-admin:80/proxy/admin/{path}"))

    def identity(self, name: str) -> dict | None:
        found = [one for one in self.kratos("identities?page_size=500") if name in one["traits"].values()]
        return found[0] if found else None

    def rights(self, identity: str) -> list[dict]:
        path = f"/api/v1/namespaces/ory/services/keto-read:80/proxy/relation-tuples?namespace=Group&subject_id={identity}"
        return json.loads(self.cluster.kubectl("get", "--raw", path))["relation_tuples"]

    def token(self) -> str:
        return secret(self.cluster, "ory", f"machine-{CI}", "token")

    def password(self, email: str) -> str:
        return secret(self.cluster, "ory", f"user-{re.sub('[^a-z0-9]+', '-', email)}", "password")

    def status(self, token: str = "", session=None) -> int:
        """Returns the answer of MLflow's API to a token, or to a browser's cookies."""
        if session is None:
            return self.gateway.ask(PAGE, token=token).status_code
        return session.get(self.gateway.url + PAGE, allow_redirects=False, timeout=30, headers={"Accept": "application/json"}).status_code


@pytest.fixture(scope="module")
def platform(cluster, tmp_path_factory):
    """The platform with MLflow for one group only; everything is as it was at the end."""
    folder = tmp_path_factory.mktemp("people")
    cluster.run("up", "-e", shlex.quote(json.dumps({"mlflow_allow": [GROUP]}))).ok()
    found = Platform(cluster, gateway_of(cluster, folder), folder)
    yield found
    for entry in (*found.users.values(), *found.machines.values()):
        entry["state"] = "absent"
    found.run()
    cluster.run("up").ok()


@pytest.fixture(scope="module")
def before(platform):
    """Tokens and cookies from the first days, which must be worth nothing later."""
    return {}


def test_check_mode_says_who_would_be_made_and_makes_nobody(platform):
    done = platform.run("--check", "--diff")
    assert done.changed > 0 and f"{ADA}: created" in done.text and f"{CI}: issued" in done.text
    assert platform.identity(ADA) is None and platform.identity(CI) is None
    assert platform.cluster.kubectl("get", "secret", "-n", "ory", f"machine-{CI}", "--ignore-not-found") == ""


def test_people_and_machines_are_made_and_no_value_is_shown(platform):
    done = platform.run("-vvv", "--diff")
    assert done.changed > 0
    values = {"given": GIVEN, "password": platform.password(ADA), "token": platform.token()}
    for name, value in values.items():
        assert len(value) >= 20 and value not in done.text, f"the {name} is in the output"
        assert value not in (platform.folder / "report.json").read_text()
    assert platform.rows[ADA] | {"sessions": 0} == {
        "name": ADA, "schema": "person", "groups": [GROUP], "state": "present", "listed": True, "sessions": 0, "token_expires": ""}
    assert platform.rows[BOB]["schema"] == "admin" and platform.rows[BOB]["groups"] == []
    assert platform.rows[CI]["schema"] == "machine" and platform.rows[CI]["sessions"] == 1 and platform.rows[CI]["token_expires"]
    assert re.search(rf"^\s*{re.escape(ADA)}\s+person\s+{GROUP}\s+present", done.text, re.MULTILINE)
    # A password of the inventory's is not kept a second time.
    assert platform.cluster.kubectl("get", "secret", "-n", "ory", "user-bob-people-example-org", "--ignore-not-found") == ""


def test_again_changes_nothing_and_check_mode_agrees(platform):
    assert platform.run().changed == 0
    assert platform.run("--check", "--diff").changed == 0


def test_the_group_decides(platform, before):
    before["ada"] = platform.gateway.login(ADA, platform.password(ADA))
    before["bob"] = platform.gateway.login(BOB, GIVEN)
    before["browser"] = platform.gateway.browser_login(BOB, GIVEN)
    before["ci"] = platform.token()
    assert platform.status(before["ada"]) == 200
    assert platform.status(before["ci"]) == 200
    assert platform.status(before["bob"]) == 403
    assert platform.status(session=before["browser"]) == 403
    assert platform.status() == 401


def test_nobody_changes_their_own_address(platform, before):
    """Services know people by it: otherwise one could become another."""
    flow = platform.gateway.ask("/.ory/kratos/public/self-service/settings/api", headers={"X-Session-Token": before["ada"]}).json()
    path = flow["ui"]["action"].removeprefix(platform.gateway.url)
    platform.gateway.ask(path, "POST", headers={"X-Session-Token": before["ada"]},
                         json={"method": "profile", "traits": {"email": "eve@example.org"}})
    assert platform.identity(ADA) and platform.identity("eve@example.org") is None


def test_who_changes_the_group_is_let_in_and_out_at_once(platform, before):
    platform.users[ADA]["groups"], platform.users[BOB]["groups"] = ["others"], [GROUP]
    done = platform.run("-e", f"platform_tokens_rotate={CI}")
    assert f"{ADA}: updated" in done.text and f"{BOB}: updated" in done.text and f"{CI}: rotated" in done.text
    assert platform.status(before["ada"]) == 403
    assert platform.status(before["bob"]) == 200
    assert platform.status(session=before["browser"]) == 200
    # Of the machine's two tokens only the new one counts.
    assert platform.status(before["ci"]) == 401
    before["ci"] = platform.token()
    assert platform.status(before["ci"]) == 200


def test_a_token_that_was_lost_is_issued_anew_and_an_old_one_prolonged(platform, before):
    patch = {"stringData": {"token": "nonsense"}}
    platform.cluster.kubectl("patch", "secret", "-n", "ory", f"machine-{CI}", "--type=merge", "-p", json.dumps(patch))
    assert f"{CI}: issued" in platform.run().text
    assert platform.status(before["ci"]) == 401 and platform.status(platform.token()) == 200
    before["ci"], first = platform.token(), platform.rows[CI]["token_expires"]
    # As if sessions lasted so long that half of this one were over.
    done = platform.run("-e", "ory_session_lifespan=2000h")
    assert f"{CI}: prolonged" in done.text and done.changed > 0
    assert platform.token() == before["ci"] and platform.rows[CI]["token_expires"] > first


def test_who_leaves_is_out_with_the_next_request(platform, before):
    ids = {name: platform.identity(name)["id"] for name in (ADA, BOB, CI)}
    platform.users[ADA]["state"], platform.users[BOB]["state"], platform.machines[CI]["state"] = "absent", "disabled", "disabled"
    assert platform.run("--check").changed > 0 and platform.status(before["bob"]) == 200
    done = platform.run()
    assert f"{ADA}: deleted" in done.text and f"{BOB}: disabled" in done.text and f"{CI}: disabled" in done.text
    for name in ("ada", "bob", "ci"):
        assert platform.status(before[name]) == 401, name
    assert platform.status(session=before["browser"]) == 401
    for name in ids:
        assert platform.rights(ids[name]) == []
    assert ADA not in platform.rows
    assert platform.rows[BOB]["state"] == "disabled" and platform.rows[BOB]["sessions"] == 0 == platform.rows[CI]["sessions"]
    assert platform.cluster.kubectl("get", "secret", "-n", "ory", f"machine-{CI}", "--ignore-not-found") == ""
    flow = platform.gateway.ask("/.ory/kratos/public/self-service/login/api").json()
    refused = platform.gateway.ask(flow["ui"]["action"].removeprefix(platform.gateway.url), "POST",
                                   json={"method": "password", "identifier": BOB, "password": GIVEN})
    assert refused.status_code in (400, 401) and "session_token" not in refused.text
    assert platform.run().changed == 0


def test_who_comes_back_starts_anew(platform, before):
    platform.users[BOB]["state"] = platform.machines[CI]["state"] = "present"
    platform.run()
    for name in ("bob", "ci"):
        assert platform.status(before[name]) == 401, name
    assert platform.status(session=before["browser"]) == 401
    assert platform.status(platform.token()) == 200
    assert platform.status(platform.gateway.login(BOB, GIVEN)) == 200


@pytest.mark.parametrize(("variables", "parts"), [
    ({"platform_users": [{"email": "Ada@example.org"}], "platform_groups": [{"name": "x"}], "platform_machines": [{"name": "m", "groups": ["y"]}]},
     ["platform_users, 'Ada@example.org'", "lower case", "platform_groups has no y"]),
    ({"platform_users": [{"email": "x@example.org", "password_variable": "there_is_none"}]}, ["password_variable", "'there_is_none'"]),
    ({"platform_tokens_rotate": ["c1"]}, ["platform_tokens_rotate: c1", "known: ci"]),
    ({"ory_namespace": "nowhere"}, ["do not answer in namespace nowhere", "ory_namespace"]),
])
def test_errors_name_the_variable_and_change_nothing(platform, variables, parts):
    done = platform.run(check_result=False, **variables)
    assert done.code != 0 and "Traceback" not in done.text
    for part in parts:
        assert part in done.text, done.text[-2000:]
    assert platform.identity(BOB)


def test_a_group_that_nobody_is_in_is_told(platform):
    platform.users[BOB]["groups"], platform.machines[CI]["groups"] = [], []
    done = platform.run()
    assert f"nobody is in group {GROUP}, which may enter mlflow" in " ".join(done.text.split())
