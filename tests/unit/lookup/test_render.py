# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup ``render`` gives what Ansible's own lookup ``template`` gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
TEMPLATES = {
    "blocks": "{# says nothing #}\n{% if wanted %}\nyes: {{ name }}\n{% endif %}\n{% for n in numbers %}\n- {{ n }}\n{% endfor %}\n",
    "escapes": "a\\nb {{ 'c\\\\d' }} {{ name | to_json }}\n\n",
    "nested": "{{ indirect }} {{ lookup('openmlops.platform.render', 'blocks') | trim }}\n",
    "include": "{% set inner = 'from outside' %}\n{% include 'part' %}",
    "part": "part {{ inner | default('nothing') }} {{ only_here | default('not given') }}\n",
    "value": "{{ numbers }}",
    "marks": "{{ '{{' }} name }}\n",
}
VARIABLES = {"wanted": True, "name": "x\\y", "numbers": [1, 2], "indirect": "{{ name }} {{ numbers | sum }}"}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """(lookup, template) -> the text; all in one run of Ansible."""
    here = Path(sys.executable).parent
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join([str(here), os.environ.get("PATH", "")]))
    folder = tmp_path_factory.mktemp("render")
    (folder / "templates").mkdir()
    for name, text in TEMPLATES.items():
        (folder / "templates" / name).write_text(text, encoding="utf-8")
    tasks = [
        {"name": f"{lookup} {name}", "ansible.builtin.debug": {"msg": (
            f"{{{{ lookup('{lookup}', '{name}', template_vars={{'only_here': 1}}) }}}}")}}
        for lookup in ("ansible.builtin.template", "openmlops.platform.render") for name in TEMPLATES
    ]
    play = {"name": "all", "hosts": "localhost", "gather_facts": False, "vars": VARIABLES, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    done = subprocess.run(
        [ansible, "-i", "localhost,", "-c", "local", str(folder / "play.yml")], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return {tuple(task["task"]["name"].split()): task["hosts"]["localhost"]["msg"]
            for task in json.loads(done.stdout)["plays"][0]["tasks"]}


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_same_as_ansibles_own(rendered, name):
    assert rendered["openmlops.platform.render", name] == rendered["ansible.builtin.template", name]
