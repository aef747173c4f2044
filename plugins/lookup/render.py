# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup ``render``: a template of a role, without a copy of every variable that there is."""

from __future__ import annotations

DOCUMENTATION = """
  name: render
  short_description: Text of a template, quickly
  version_added: 0.1.0
  author: OpenMLOps Platform contributors (@openmlops)
  description:
    - Does what P(ansible.builtin.template#lookup) does with its defaults, a tenth of a second sooner. That one copies every variable,
      part by part, each time; the roles of this collection use some forty templates in a run.
  options:
    _terms:
      description: Templates, as paths or as names in the role's folder C(templates).
      type: list
      elements: str
      required: true
    template_vars:
      description: Variables that only the template sees.
      type: dict
      default: {}
"""

EXAMPLES = """
- ansible.builtin.debug:
    msg: "{{ lookup('openmlops.platform.render', 'values.yaml.j2', template_vars={'part': 'kratos'}) | from_yaml }}"
"""

RETURN = """
_raw:
  description: The text of each template.
  type: list
  elements: str
"""

import os
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template


class LookupModule(LookupBase):
    """Renders templates with the variables as they are."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[t.Any]:
        """Returns the text of each template; raises AnsibleError when there is no such file."""
        self.set_options(var_options=variables, direct=kwargs)
        given = {**(variables or {}), **self.get_option("template_vars")}
        return [self._render(term, given) for term in terms]

    def _render(self, term: str, variables: dict[str, t.Any]) -> t.Any:
        searched = variables.get("ansible_search_path") or []
        folders = [folder for base in searched for folder in (os.path.join(base, "templates"), base)]
        # Not with the loader's own search: that one resolves each link of each path that it tries.
        path = next((path for path in (os.path.join(folder, term) for folder in folders) if os.path.isfile(path)), None)
        if not path:
            raise AnsibleError(f"there is no template {term} in {', '.join(folders) or 'any folder'}")
        text = trust_as_template(self._loader.get_text_file_contents(path))
        templar = self._templar.copy_with_new_env(
            available_variables=variables, searchpath=[os.path.dirname(path), *folders]
        )
        return templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True})
