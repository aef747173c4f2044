# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Keto: its tuples."""

from __future__ import annotations


class Keto:
    def __init__(self):
        self.held = set()

    def tuples(self, kind):
        return {one for one in self.held if one[0] == kind}

    def change(self, added, removed):
        self.held = (self.held | added) - removed
