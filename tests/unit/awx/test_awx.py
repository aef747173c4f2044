# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data in awx/, its surveys, and what is made of it in a controller.

AWX itself cannot be had here. ``fields.json`` holds the names of the options of awx.awx 24.6.1, the collection that its makers publish for
this API; a stand-in of the API takes those fields and no others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.openmlops.platform.plugins.module_utils.awx import data
from ansible_collections.openmlops.platform.plugins.module_utils.awx.applying import Applier
from ansible_collections.openmlops.platform.plugins.module_utils.awx.controller import Controller
from ansible_collections.openmlops.platform.plugins.module_utils.awx.data import AwxError
from ansible_collections.openmlops.platform.plugins.module_utils.awx.schema import KINDS
from ansible_collections.openmlops.platform.plugins.module_utils.awx.surveys import question, surveys
from ansible_collections.openmlops.platform.tests.unit.awx.server import Awx

ROOT = Path(__file__).resolve().parents[3]
FIELDS = json.loads((Path(__file__).parent / "fields.json").read_text())
VALUES = {"organization": "ML", "image": "registry.example.org/ee:1", "project_url": "https://git.example.org/p.git", "project_branch": "main",
          "inventory": "gke", "inventory_path": "inventories/gke/hosts.yml"}


@pytest.fixture(scope="module")
def wanted():
    return data.read(ROOT / "awx", VALUES, ["my cluster"], False)


@pytest.fixture
def awx():
    found = Awx(FIELDS)
    found.put("credentials", name="my cluster")
    yield found
    found.server.shutdown()


def apply(awx, wanted, check=False, token="t0ken"):
    applier = Applier(Controller(awx.url, token), check)
    applier.apply(wanted)
    return applier.changes


# -- the data -------------------------------------------------------------------------------------------------------


def test_fields_are_those_of_the_published_collection():
    for kind in KINDS:
        unknown = (set(kind.fields) | set(kind.references)) - set(FIELDS[kind.endpoint])
        assert unknown == set(), kind.endpoint


def test_every_playbook_for_users_has_a_job(wanted):
    jobs = {entry["playbook"] for entry in wanted["controller_templates"]}
    assert all((ROOT / path).is_file() for path in jobs)
    playbooks = {f"playbooks/{path.name}" for path in (ROOT / "playbooks").glob("*.yml")}
    # site.yml imports playbooks/site.yml; comparing, filling AWX itself, a mirror (it needs skopeo, and both networks) and the
    # demonstration are no jobs.
    assert playbooks - jobs == {f"playbooks/{name}.yml" for name in ("site", "compare", "awx", "mirror", "demo")}


def test_what_destroys_waits_for_an_approval(wanted):
    for workflow in wanted["controller_workflows"]:
        nodes = {node["identifier"]: node for node in workflow["simplified_workflow_nodes"]}
        leads_to = {other: node for node in nodes.values() for key in ("success_nodes", "always_nodes") for other in node.get(key, [])}
        for name in {"upgrade", "tear down"} & set(nodes):
            assert "approval_node" in leads_to[name], workflow["name"]


def test_no_schedule_destroys_and_all_are_off_at_first(wanted):
    assert {entry["unified_job_template"] for entry in wanted["controller_schedules"]} <= {"status", "users", "preview", "back up"}
    assert not any(entry["enabled"] for entry in wanted["controller_schedules"])


def test_secrets_are_no_data():
    text = "".join(path.read_text() for path in (ROOT / "awx").glob("*.yml"))
    assert "controller_credentials" not in text and "BEGIN" not in text


def test_surveys_are_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "scripts/awx_surveys.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_question_without_an_answer_leaves_the_inventory_alone(wanted):
    """A default, even an empty one, would be an extra variable, and win."""
    asked = [entry for template in wanted["controller_templates"] if "survey_spec" in template for entry in template["survey_spec"]["spec"]]
    assert asked and all("default" not in entry or entry["required"] for entry in asked)
    assert all(entry.get("min") == 1 for entry in asked if entry["type"] == "text")


@pytest.mark.parametrize(
    ("option", "kind", "choices"),
    [
        ({"type": "str"}, "text", None), ({"type": "str", "no_log": True}, "password", None), ({"type": "int"}, "integer", None),
        ({"type": "float"}, "float", None), ({"type": "bool"}, "multiplechoice", ["true", "false"]),
        ({"type": "list", "elements": "str"}, "text", None), ({"type": "str", "choices": ["a", "b"]}, "multiplechoice", ["a", "b"]),
    ],
)
def test_questions(option, kind, choices):
    found = question("x", {"x": {"description": "What O(y) is. More of it.", **option}})
    assert (found["type"], found.get("choices"), found["question_name"]) == (kind, choices, "What y is")
    assert found["question_description"].startswith("More of it.")


@pytest.mark.parametrize(("wish", "message"), [("none", "no role has a variable none"), ("many", "many is a list")])
def test_questions_that_cannot_be_asked(wish, message):
    with pytest.raises(AwxError, match=message):
        surveys([{"name": "t", "survey": [wish]}], {"many": {"type": "list", "elements": "dict", "description": "x"}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"controller_tempates": []}, "no list controller_tempates"),
        ({"controller_projects": [{"name": "p", "organization": "other"}]}, "organization is other, which is none of"),
        ({"controller_projects": [{"name": "p", "scm_tpye": "git"}]}, "no field scm_tpye"),
        ({"controller_projects": [{"name": "p", "scm_update_on_launch": "yes"}]}, "must be a bool"),
        ({"controller_projects": [{"name": "p", "scm_type": "cvs"}]}, "scm_type is cvs, not one of"),
        ({"controller_projects": [{"name": "p"}, {"name": "p"}]}, "is there twice"),
        ({"controller_workflows": [{"name": "w"}]}, "has no nodes"),
        ({"controller_workflows": [{"name": "w", "simplified_workflow_nodes": [{"identifier": "a"}]}]}, "needs unified_job_template or"),
        ({"controller_workflows": [{"name": "w", "simplified_workflow_nodes": [{"identifier": "a", "approval_node": {}, "success_nodes": ["b"]}]}]},
         "names b, which is no node"),
        ({"controller_workflows": [{"name": "w", "simplified_workflow_nodes": [{"identifier": "a", "unified_job_template": "x"}]}]},
         "no job template x"),
    ],
)
def test_problems(change, message):
    assert message in "\n".join(data.problems(change))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"type": "select"}, "no type select"), ({"default": 1}, "default must be a str"), ({"required": "yes"}, "lacks required"),
     ({"type": "multiplechoice"}, "no choices"), ({"type": "multiplechoice", "choices": ["a"], "default": "b"}, "not among the choices")],
)
def test_problems_of_questions(change, message):
    asked = {"question_name": "q", "variable": "v", "type": "text", "required": True, **change}
    entry = {"name": "t", "survey_spec": {"name": "", "description": "", "spec": [asked]}}
    assert message in "\n".join(data.problems({"controller_templates": [entry]}))


def test_a_value_that_is_missing(tmp_path):
    (tmp_path / "x.yml").write_text("controller_organizations: [{name: $organisation}]\n")
    with pytest.raises(AwxError, match="organisation"):
        data.read(tmp_path, VALUES, [], False)


# -- the controller -------------------------------------------------------------------------------------------------


def test_everything_is_made_once(awx, wanted):
    planned = apply(awx, wanted, check=True)
    assert planned and not awx.writes
    made = apply(awx, wanted)
    assert set(made) == set(planned)
    assert {"organizations", "projects", "inventories", "inventory_sources", "credential_types", "execution_environments", "job_templates",
            "workflow_job_templates", "schedules"} <= {endpoint for endpoint, found in awx.objects.items() if found}
    template = awx.named("job_templates")["tear down"]
    assert template["playbook"] == "playbooks/teardown.yml" and template["survey_enabled"]
    assert awx.surveys["job_templates", str(template["id"])]["spec"][0]["variable"] == "platform_teardown_data"
    assert awx.named("credential_types")["OpenMLOps kubeconfig"]["injectors"]["env"]["KUBECONFIG"] == "{{ tower.filename }}"
    assert len(awx.links["job_templates", str(template["id"]), "credentials"]) == 1
    awx.writes.clear()
    assert apply(awx, wanted) == [] and awx.writes == []


def test_the_workflow_leads_through_its_approval(awx, wanted):
    apply(awx, wanted)
    workflow = awx.named("workflow_job_templates")["tear the platform down"]["id"]
    nodes = {node["identifier"]: node for node in awx.objects["workflow_job_template_nodes"].values() if node["workflow_job_template"] == workflow}
    assert awx.links["workflow_job_template_nodes", str(nodes["approve"]["id"]), "success_nodes"] == [nodes["tear down"]["id"]]
    assert nodes["approve"]["summary_fields"]["unified_job_template"]["unified_job_type"] == "workflow_approval"
    assert nodes["tear down"]["unified_job_template"] == awx.named("job_templates")["tear down"]["id"]


def test_what_was_changed_by_hand_is_put_right(awx, wanted):
    apply(awx, wanted)
    awx.named("job_templates")["status"]["playbook"] = "playbooks/other.yml"
    awx.put("job_templates", name="somebody else's", project=1)
    workflow = awx.named("workflow_job_templates")["tear the platform down"]["id"]
    nodes = {node["identifier"]: node for node in awx.objects["workflow_job_template_nodes"].values() if node["workflow_job_template"] == workflow}
    # Past the approval.
    awx.links["workflow_job_template_nodes", str(nodes["status"]["id"]), "always_nodes"].append(nodes["tear down"]["id"])
    stray = awx.put("workflow_job_template_nodes", identifier="stray", workflow_job_template=workflow)
    changes = apply(awx, wanted)
    assert len(changes) == 3 and any("status' changed: playbook" in line for line in changes), changes
    assert stray not in awx.objects["workflow_job_template_nodes"] and "somebody else's" in awx.named("job_templates")
    assert apply(awx, wanted) == []


@pytest.mark.parametrize(
    ("token", "credential", "message"), [("wrong", True, "401.*is the token current"), ("t0ken", False, "no credential 'my cluster'")])
def test_refusals(awx, wanted, token, credential, message):
    if not credential:
        awx.objects["credentials"].clear()
    with pytest.raises(AwxError, match=message):
        apply(awx, wanted, token=token)


def test_no_controller():
    with pytest.raises(AwxError, match="Check awx_host"):
        Controller("http://127.0.0.1:1", "t").ask("GET", "ping")


# -- the playbook ---------------------------------------------------------------------------------------------------


def playbook(tmp_path, *arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "CONTROLLER_"))}
    return subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "playbooks/awx.yml", *arguments], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120, env={**clean, "ANSIBLE_HOME": str(tmp_path), "NO_COLOR": "1", **environment})


def test_playbook(awx, tmp_path):
    given = {"awx_project_url": "https://git.example.org/p.git", "awx_image": "registry.example.org/ee:1", "awx_credentials": ["my cluster"],
             "awx_schedules": True}
    done = playbook(tmp_path, "-vvv", "-e", json.dumps(given), CONTROLLER_HOST=awx.url, CONTROLLER_OAUTH_TOKEN="t0ken")
    assert done.returncode == 0 and "changed=1" in done.stdout, done.stdout[-3000:]
    assert "t0ken" not in done.stdout + done.stderr
    assert all(entry["enabled"] for entry in awx.objects["schedules"].values())
    again = playbook(tmp_path, "-e", json.dumps(given), CONTROLLER_HOST=awx.url, CONTROLLER_OAUTH_TOKEN="t0ken")
    assert "changed=0" in again.stdout, again.stdout[-3000:]


def test_playbook_says_what_it_needs(tmp_path):
    done = playbook(tmp_path)
    assert done.returncode == 2 and "awx_project_url and awx_image" in done.stdout


def test_data_is_plain_yaml():
    for path in (ROOT / "awx").glob("*.yml"):
        assert all(name.startswith(("controller_", "awx_")) for name in yaml.safe_load(path.read_text())), path
