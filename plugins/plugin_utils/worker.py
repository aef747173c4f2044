# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that an action runs in.

FOR INTERNAL COLLECTION USE ONLY: it may change in any release.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_playbook() -> None:
    """Makes this worker end when its playbook is killed.

    Ansible gives each worker a session of its own, so it would go on with its work, and then wait for ever to hand its
    result to nobody. Only Linux knows how to; elsewhere nothing is done.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        return
    # Killed before this call, while the task's arguments were templated: no signal comes any more.
    playbook = multiprocessing.parent_process()
    if playbook is not None and not playbook.is_alive():
        os.kill(os.getpid(), signal.SIGKILL)
