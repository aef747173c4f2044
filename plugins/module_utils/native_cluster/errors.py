# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error of the native cluster."""

from __future__ import annotations


class NodeError(Exception):
    """Something that the user must know; the message says what is wrong and what cures it."""
