# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that starts an action's worker.

FOR INTERNAL COLLECTION USE ONLY: it may change in any release.

Ansible starts a new worker for each task, as a copy of its own process, and reads filters, tests and lookups in the worker: all of them
anew for each task, 30 ms. It imports actions before, in its own process, so what comes with an action is there for all later workers.
"""

from __future__ import annotations

import sys

from ansible.plugins import loader

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock

# By kind of plugin, what nearly every task of this collection needs. One filter or test brings all the others of its collection.
_PLUGINS = {
    "filter": ("ansible.builtin.default", "openmlops.platform.component_lock"),
    "test": ("ansible.builtin.match",),
    "lookup": ("ansible.builtin.env", "ansible.builtin.file", "ansible.builtin.vars", "openmlops.platform.render"),
    "connection": ("ansible.builtin.local",),
}


def prepare() -> None:
    """Reads what workers share, in a process that starts some; elsewhere, where a plugin is only looked at, it does nothing."""
    if "ansible.executor.task_queue_manager" not in sys.modules:
        return
    for kind, names in _PLUGINS.items():
        for name in names:
            getattr(loader, f"{kind}_loader").get(name, **({} if kind in ("filter", "test") else {"class_only": True}))
    lock.components()
