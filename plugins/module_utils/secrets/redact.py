# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps values out of messages that others wrote: the API server, an admission webhook, a library."""

from __future__ import annotations

import base64
import traceback
import typing as t
from pathlib import PurePath

WITHHELD = "(the server's message is withheld: it holds the value of a Secret)"


def safe_message(message: str, values: t.Iterable[bytes], public: t.Iterable[str]) -> str:
    """Returns a message, or a stand-in when a value occurs in it, plain or in base64.

    Args:
        values: every value that is known.
        public: names that may be shown although a value may be equal to one (a user called like the namespace).
    """
    rest = message
    for word in sorted(set(public), key=len, reverse=True):
        if len(word) > 1:
            rest = rest.replace(word, "\0")
    for value in values:
        text = value.decode(errors="replace").strip()
        # A text of one or two characters occurs in every sentence; finding it there tells nobody anything.
        forms = (text, base64.b64encode(value).decode().rstrip("="))
        if any(len(form) > 2 and form in rest for form in forms):
            return WITHHELD
    return message


def crash_report(error: BaseException) -> str:
    """Returns where an unforeseen exception came from, without its text: that may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    path = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"unforeseen {type(error).__name__} (its text is withheld, it may hold a value) at {path}"
