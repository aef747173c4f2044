# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module ``oathkeeper_rules``: a file of access rules for an Oathkeeper that runs elsewhere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: oathkeeper_rules
short_description: Make, prove and write access rules for Ory Oathkeeper
version_added: 0.1.0
author:
  - OpenMLOps Platform contributors (@openmlops)
description:
  - Makes the rules of a service catalogue and of the user, for C(matching_strategy) C(regexp), and proves that each URL and method
    of each service has exactly one rule and that no rule is without a service.
  - Writes them to a file that an Oathkeeper reads, or only returns them. In check mode it tells whether a file is as it should be.
  - The roles of this collection need it not; they keep the rules in the cluster.
options:
  services:
    description: The services; their keys are told in C(docs/access.md).
    type: list
    elements: dict
    required: true
  access_rules:
    description: Rules of your own; their keys are told in C(docs/access.md). They need the Python package interegular.
    type: list
    elements: dict
    default: []
  hostname:
    description: The host of services that name none, without a port.
    type: str
    required: true
  login_url:
    description: Where a browser without a session is sent.
    type: str
    required: true
  check_url:
    description: Address of Keto's check. Required when a service names groups.
    type: str
  path:
    description: File that holds the rules as JSON. Without it, they are only returned.
    type: path
    aliases: [dest]
extends_documentation_fragment:
  - ansible.builtin.files
attributes:
  check_mode:
    description: Writes nothing, and tells whether the file would change.
    support: full
  diff_mode:
    description: Shows the file before and after.
    support: full
requirements:
  - interegular (for O(access_rules))
seealso:
  - plugin: openmlops.platform.oathkeeper_rules
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Oathkeeper has its rules
  openmlops.platform.oathkeeper_rules:
    path: /etc/oathkeeper/access-rules.json
    mode: "0644"
    hostname: ml.example
    login_url: https://ml.example/auth/login
    services:
      - {name: mlflow, prefix: /mlflow/, service: mlflow, namespace: mlflow, port: 5000, allow: authenticated}
    access_rules:
      - id: models
        match: {path: "/mlflow/public<(?:/.*)?>", methods: [GET]}
        allow: public
        carve: [mlflow]
"""

RETURN = r"""
rules:
  description: The rules in the order of their ids.
  type: list
  elements: dict
  returned: success
"""

import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.openmlops.platform.plugins.module_utils.access.rules import rules
from ansible_collections.openmlops.platform.plugins.module_utils.access.services import AccessError


def _read(path: str) -> str:
    """Returns the file's text, empty when there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(module: AnsibleModule, path: str, text: str) -> None:
    """Replaces the file at once, so that Oathkeeper never reads half of it."""
    handle, name = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    module.atomic_move(name, path)


def run(module: AnsibleModule) -> None:
    """Makes the rules and brings the file to its state."""
    given = module.params
    try:
        found = rules(given["services"], given["hostname"], given["login_url"], given["check_url"], given["access_rules"])
    except AccessError as error:
        module.fail_json(msg=str(error))
    path = given["path"]
    if path is None:
        module.exit_json(changed=False, rules=found)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        module.fail_json(msg=f"path: there is no folder {folder}; make it first")
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    try:
        before = _read(path)
        changed = before != text
        if changed and not module.check_mode:
            _write(module, path, text)
    except (OSError, UnicodeDecodeError) as error:
        module.fail_json(msg=f"path: {path} cannot be read or written: {error}")
    if os.path.exists(path):
        changed = module.set_fs_attributes_if_different(module.load_file_common_arguments(given), changed)
    module.exit_json(changed=changed, rules=found, diff={
        "before": before, "after": text, "before_header": path, "after_header": path})


def main() -> None:
    """Entry point."""
    run(AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "required": True},
            "access_rules": {"type": "list", "elements": "dict", "default": []},
            "hostname": {"type": "str", "required": True},
            "login_url": {"type": "str", "required": True},
            "check_url": {"type": "str"},
            "path": {"type": "path", "aliases": ["dest"]},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    ))


if __name__ == "__main__":
    main()
