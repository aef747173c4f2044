# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours that can be read: the contrast of WCAG 2.2, 4.5 to 1. Pure functions."""

from __future__ import annotations

Colour = tuple[int, int, int]

LIGHT: Colour = (255, 255, 255)
DARK: Colour = (24, 28, 36)
ENOUGH = 4.5


def parse(text: str) -> Colour:
    """Returns red, green and blue of #rrggbb."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def contrast(one: Colour, other: Colour) -> float:
    """Returns the contrast ratio of two colours, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: Colour, background: Colour) -> Colour:
    """Returns the colour, moved towards black or white until it can be read on the background."""
    goal = (0, 0, 0) if _luminance(background) > 0.18 else (255, 255, 255)
    for step in range(21):
        mixed = tuple(round(part + (end - part) * step / 20) for part, end in zip(colour, goal, strict=True))
        if contrast(mixed, background) >= ENOUGH:
            return mixed
    return goal


def stylesheet(accent: str) -> str:
    """Returns the CSS variables of an accent colour, for light and dark screens."""
    colour = parse(accent)
    light, dark = readable(colour, LIGHT), readable(colour, DARK)
    return (
        f":root{{--accent:{_hex(light)};--on-accent:#ffffff}}\n"
        f"@media (prefers-color-scheme: dark){{:root{{--accent:{_hex(dark)};--on-accent:{_hex(DARK)}}}}}\n"
    )


def _luminance(colour: Colour) -> float:
    def linear(part: int) -> float:
        value = part / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
