# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that all actions share which only look."""

from __future__ import annotations


class ModuleDocFragment:
    """What check mode and diff mode mean where nothing is changed."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
notes:
  - Runs on the controller.
"""
