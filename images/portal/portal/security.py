# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of all answers: what a page may load, and where its forms may lead. Pure functions."""

from __future__ import annotations

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def policy(scripts: bool = False, targets: list[str] | None = None, federated: bool = False) -> str:
    """Returns a Content-Security-Policy.

    Args:
        scripts: whether the page has scripts: Kratos' own and ours, from this site only.
        targets: further origins to which a form may lead: after the login, Kratos sends the browser to a service, and
            browsers hold the whole way against this list.
        federated: whether a form leads to another provider's login, wherever that is.
    """
    goals = ["'self'", *(targets or []), *(["https:", "http:"] if federated else [])]
    parts = [
        "default-src 'none'", "style-src 'self'", "img-src 'self' data:", f"form-action {' '.join(goals)}",
        "base-uri 'none'", "frame-ancestors 'none'",
    ]
    return "; ".join(parts + (["script-src 'self'"] if scripts else []))
