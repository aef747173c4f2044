# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the portal is told by its environment."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Settings:
    """The portal's settings.

    Attributes:
        url: the platform as browsers see it, without a final slash.
        kratos: Kratos' public API inside the cluster.
        keto: Keto's read API inside the cluster.
        catalogue: path of the service catalogue, a JSON file that is read again when it changes.
        title: name of the platform.
        contact: whom people ask for access; empty for nobody in particular.
        accent: colour of buttons and links, as #rrggbb.
        logo: path of an image, SVG or PNG; empty for none.
        registration, recovery, verification: whether Kratos has these flows switched on.
        timeout: seconds to wait for Kratos and Keto.
    """

    url: str
    kratos: str
    keto: str
    catalogue: str = "/etc/portal/catalogue.json"
    title: str = "ML platform"
    contact: str = ""
    accent: str = "#2f5bd0"
    logo: str = ""
    registration: bool = False
    recovery: bool = False
    verification: bool = False
    timeout: float = 5.0

    @property
    def kratos_public(self) -> str:
        """Kratos' public API as browsers see it."""
        return f"{self.url}/.ory/kratos/public"


def read(environment: t.Mapping[str, str]) -> Settings:
    """Returns the settings out of variables PORTAL_<NAME>.

    Raises:
        ValueError: when one is missing; the message names it.
    """
    values: dict[str, t.Any] = {}
    for field in dataclasses.fields(Settings):
        name = f"PORTAL_{field.name.upper()}"
        if name in environment:
            text = environment[name]
            values[field.name] = text == "true" if field.type == "bool" else float(text) if field.type == "float" else text
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"the environment variable {name} is missing")
    for name in ("url", "kratos", "keto"):
        values[name] = values[name].rstrip("/")
    return Settings(**values)
