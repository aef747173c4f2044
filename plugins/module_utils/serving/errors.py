# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error of everything about deployed models."""

from __future__ import annotations


class ModelError(Exception):
    """Something about a model's deployment is wrong; the message names it and the cure."""
