# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Sphinx learns for this site: links from names of variables to their explanation, and Ansible's own labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes

# Labels of Ansible's own documentation that antsibull-docs refers to.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
LABELS = {
    "ansible_configuration_settings": "reference_appendices/config.html",
    "action_plugins": "plugins/action.html",
    "common_return_values": "reference_appendices/common_return_values.html",
    "filter_plugins": "plugins/filter.html",
    "lookup_plugins": "plugins/lookup.html",
    "playbooks_filters": "playbook_guide/playbooks_filters.html",
    "playbooks_vault": "vault_guide/index.html",
}
COLLECTION = re.compile(r"ansible_collections\.(ansible)\.(builtin)\.([a-z_]+)")
# `mlflow_host`, or with a value: `mlflow_host: mlflow.example.org`
VARIABLE = re.compile(r"([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?::.*)?")


def link_variables(app: Any, doctree: nodes.document, name: str) -> None:
    """Make every name of a variable in the text of a page a link to where a role explains it."""
    if name.startswith("reference/"):
        return
    known: dict[str, str] = json.loads((Path(app.srcdir) / "site.json").read_text(encoding="utf-8"))["options"]
    up = "../" * name.count("/")
    for literal in list(doctree.findall(nodes.literal)):
        found = VARIABLE.fullmatch(literal.astext())
        if not found or found[1] not in known or inside_link(literal):
            continue
        literal.replace_self(nodes.reference("", "", literal.deepcopy(), refuri=up + known[found[1]], internal=True, classes=["variable"]))


def inside_link(node: nodes.Node) -> bool:
    """Return whether a node is part of a link or a heading already."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, (nodes.reference, nodes.title)):
            return True
    return False


def elsewhere(app: Any, env: Any, node: nodes.Element, content: nodes.Node) -> nodes.reference | None:
    """Resolve a label of Ansible's documentation."""
    del app, env
    label = node.get("reftarget", "").lower()
    page = LABELS.get(label, "")
    plugin = COLLECTION.fullmatch(label)
    if plugin:
        page = "collections/{}/{}/{}.html".format(*plugin.groups())
    return nodes.reference("", "", content, refuri=ANSIBLE + page, internal=False) if page else None


def setup(app: Any) -> dict[str, Any]:
    """Tell Sphinx of it."""
    app.connect("doctree-resolved", link_variables)
    app.connect("missing-reference", elsewhere)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
