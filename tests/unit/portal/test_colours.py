# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever colour somebody chooses can be read."""

from __future__ import annotations

import pytest
from portal import colours


@pytest.mark.parametrize("accent", ["#2f5bd0", "#ffff00", "#000000", "#ffffff", "#777777", "#00ff88", "#181c24"])
@pytest.mark.parametrize("background", [colours.LIGHT, colours.DARK])
def test_contrast(accent, background):
    assert colours.contrast(colours.readable(colours.parse(accent), background), background) >= 4.5


def test_a_good_colour_stays_and_both_screens_are_served():
    sheet = colours.stylesheet("#2f5bd0")
    assert "--accent:#2f5bd0" in sheet and "prefers-color-scheme: dark" in sheet


def test_known_ratios():
    assert round(colours.contrast((0, 0, 0), (255, 255, 255)), 1) == 21.0
    assert round(colours.contrast((119, 119, 119), (255, 255, 255)), 2) == 4.48
