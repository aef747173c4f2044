# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of AWX's API v2 the data in awx/ uses: kinds of objects, their fields, and which fields name other objects.

The fields are a selection of those of awx.awx 24.6.1, the last release (2024-07).
"""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of objects.

    Attributes:
        list_name: key of its list in awx/*.yml, as infra.aap_configuration calls it.
        endpoint: below ``/api/v2/`` (or a gateway's prefix).
        fields: by name, the Python type of what is sent.
        references: fields that name an object of another kind, by the list name of that.
        scope: the field beside the name that makes an object unique.
        extra: keys that are no fields: sent in requests of their own.
    """

    list_name: str
    endpoint: str
    fields: dict[str, type]
    references: dict[str, str] = dataclasses.field(default_factory=dict)
    scope: str = ""
    extra: tuple[str, ...] = ()


_TEXT: dict[str, type] = {"name": str, "description": str}

# In the order in which they can be made.
KINDS = (
    Kind("controller_organizations", "organizations", _TEXT),
    Kind("controller_execution_environments", "execution_environments", {**_TEXT, "image": str, "pull": str},
         {"organization": "controller_organizations"}),
    Kind("controller_credential_types", "credential_types", {**_TEXT, "kind": str, "inputs": dict, "injectors": dict}),
    Kind("controller_projects", "projects",
         {**_TEXT, "scm_type": str, "scm_url": str, "scm_branch": str, "scm_update_on_launch": bool, "scm_update_cache_timeout": int},
         {"organization": "controller_organizations", "default_environment": "controller_execution_environments"}, "organization"),
    Kind("controller_inventories", "inventories", _TEXT, {"organization": "controller_organizations"}, "organization"),
    Kind("controller_inventory_sources", "inventory_sources",
         {**_TEXT, "source": str, "source_path": str, "overwrite": bool, "overwrite_vars": bool, "update_on_launch": bool},
         {"inventory": "controller_inventories", "source_project": "controller_projects",
          "execution_environment": "controller_execution_environments"}, "inventory"),
    Kind("controller_templates", "job_templates",
         {**_TEXT, "job_type": str, "playbook": str, "diff_mode": bool, "extra_vars": dict, "survey_enabled": bool,
          "allow_simultaneous": bool, "ask_limit_on_launch": bool, "ask_credential_on_launch": bool, "ask_variables_on_launch": bool,
          "timeout": int, "verbosity": int},
         {"inventory": "controller_inventories", "project": "controller_projects",
          "execution_environment": "controller_execution_environments"}, "project", ("survey", "survey_spec", "credentials")),
    Kind("controller_workflows", "workflow_job_templates",
         {**_TEXT, "survey_enabled": bool, "allow_simultaneous": bool, "ask_limit_on_launch": bool},
         {"organization": "controller_organizations", "inventory": "controller_inventories"}, "organization",
         ("simplified_workflow_nodes", "survey_of", "survey_spec")),
    Kind("controller_schedules", "schedules", {**_TEXT, "rrule": str, "enabled": bool, "extra_data": dict},
         {"unified_job_template": "controller_templates"}, "unified_job_template"),
)
BY_LIST = {kind.list_name: kind for kind in KINDS}
NODE_KEYS = {"identifier", "unified_job_template", "approval_node", "success_nodes", "failure_nodes", "always_nodes"}
LINKS = ("success_nodes", "failure_nodes", "always_nodes")
QUESTION_TYPES = {"text": str, "textarea": str, "password": str, "integer": int, "float": float, "multiplechoice": str, "multiselect": str}
CHOICES: dict[tuple[str, str], tuple[t.Any, ...]] = {
    ("controller_templates", "job_type"): ("run", "check"),
    ("controller_execution_environments", "pull"): ("always", "missing", "never"),
    ("controller_credential_types", "kind"): ("cloud", "net"),
    ("controller_projects", "scm_type"): ("git", "svn", "archive"),
    ("controller_inventory_sources", "source"): ("scm",),
}
