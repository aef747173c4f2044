# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mirror must hold: images and charts of components, from where and to where. Pure functions.

Targets are named by the functions that the roles name their images and charts by, so the layout cannot drift apart from what
``platform_image_registry`` and ``platform_chart_source`` read.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock, selection
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.images import image, mirrored
from ansible_collections.openmlops.platform.plugins.module_utils.mirror import references

# What is known of an entry at its target: there, not there, not looked for (no target, or no program to look with), or it could
# not be found out.
PRESENT, MISSING, UNKNOWN, FAILED = "present", "missing", "unknown", "failed"
# From which place: a registry, or an archive that `make up` built into the cache.
REGISTRY, BUILT = "registry", "built"


@dataclasses.dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        name: ``component/role`` of platform.lock.yml, several with commas; of an image that is not there, what names it.
        source: reference from which it is copied; of a built image, the name that it has in the cache's archive.
        origin: REGISTRY or BUILT.
        target: reference in the mirror; empty without a mirror.
        digest: of the source's manifest, as far as it is known.
        built: folder in images/ of a built one.
        redirected: whether ``platform_image_registry`` lets pods pull it from the mirror.
        note: why it cannot be copied, or what else is to be said.
    """

    name: str
    source: str
    origin: str = REGISTRY
    target: str = ""
    digest: str = ""
    built: str = ""
    redirected: bool = True
    state: str = UNKNOWN
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Chart:
    """One chart: ``name`` and ``version``, the ``repository`` it comes from, and the file or ``oci://`` name it has in the mirror."""

    name: str
    version: str
    repository: str
    target: str = ""
    state: str = UNKNOWN
    note: str = ""


def locked_images(
    components: t.Iterable[str], modes: dict[str, str | list[str]], source: str, registry: str, *, only_built: bool = False
) -> list[Image]:
    """Returns the images that platform.lock.yml has for components.

    Args:
        modes: by component, its ``<name>_mode``, or all that hold of several; images for others are left out.
        source: platform_image_source, ``upstream`` or ``built``; what is not among those built here comes from upstream.
        registry: HOST/PATH of the mirror; empty for none.
        only_built: leave out what is not built here, since nothing that is installed uses it.
    """
    found: dict[tuple[str, str], Image] = {}
    for component in components:
        for role, entry in selection.images(component, modes).items():
            if only_built and not entry.get("built"):
                continue
            name, form = f"{component}/{role}", form_of(entry, source)
            plain = image(name, form)
            # What nobody publishes has a name of ours; its archive has it in the form of what is built.
            own = form == "built" or plain["repository"].partition("/")[0] == "localhost"
            made = image(name, "built")["reference"] if own else plain["reference"]
            target = image(name, form, registry)["reference"] if registry else ""
            known = found.get((made, target))
            found[made, target] = Image(
                f"{known.name}, {name}" if known else name, made, BUILT if own else REGISTRY, target,
                built=str(entry.get("built") or "") if own else "",
            )
    return list(found.values())


def form_of(entry: dict[str, t.Any], source: str) -> str:
    """Returns in which form pods ask for an image of the lock file: as ``source`` says, or upstream's where it is not built here."""
    return source if entry.get("built") else "upstream"


def more_images(named: dict[str, list[str]], known: t.Container[str], rendered_for: str, registry: str) -> list[Image]:
    """Returns the images that plans and charts name beside those of the lock file.

    Args:
        named: by who names them (``release namespace/name``, ``component``), references.
        known: references, as the inventory renders them, of the lock file's images.
        rendered_for: the inventory's platform_image_registry.
        registry: the mirror; empty for none.
    """
    found: dict[str, Image] = {}
    for who, listed in named.items():
        for reference in listed:
            if reference in known:
                continue
            if reference in found:
                found[reference] = dataclasses.replace(found[reference], name=f"{found[reference].name}, {who}")
                continue
            if any(host and reference.startswith(f"{host.rstrip('/')}/") for host in (rendered_for, registry)):
                found[reference] = Image(who, "", target=reference, note="the inventory names it in the mirror: put it there yourself")
            else:
                repository, tag = references.split(reference)
                target = references.joined(mirrored(repository, registry), tag) if registry else ""
                found[reference] = Image(who, reference, target=target, redirected=False, note=(
                    "platform_image_registry does not change this name: the cluster's nodes need a mirror for its host, or set the variable "
                    "or value that names it"))
    return list(found.values())


def chart(name: str, source: str, target: str) -> Chart:
    """Returns a chart's entry.

    Args:
        name: ``component/chart`` as in platform.lock.yml.
        source: platform_chart_source.
        target: folder or ``oci://HOST/PATH`` of the mirror; empty for none.
    """
    entry = lock.chart(name)
    plain, version = str(entry["name"]), str(entry["version"])
    if source == "bundled":
        return Chart(plain, version, "bundled", state=PRESENT, note="charts/ of this collection")
    if target.startswith("oci://"):
        place = f"{target.rstrip('/')}/{plain}:{version}"
    else:
        place = f"{target.rstrip('/')}/{plain}-{version}.tgz" if target else ""
    return Chart(plain, version, str(entry.get("repository") or ""), place)


def document(images: list[Image], charts: list[Chart], notes: list[str]) -> dict[str, t.Any]:
    """Returns the list as data, sorted, so that an unchanged list is an unchanged file."""
    return {
        "schema": 1,
        "images": [dataclasses.asdict(entry) for entry in sorted(images, key=lambda entry: (entry.source or entry.target, entry.target))],
        "charts": [dataclasses.asdict(entry) for entry in sorted(charts, key=lambda entry: (entry.name, entry.version))],
        "notes": sorted(notes),
    }


def as_json(content: dict[str, t.Any]) -> str:
    """Returns the list as JSON."""
    return json.dumps(content, indent=2) + "\n"


def as_text(content: dict[str, t.Any]) -> str:
    """Returns the list for people and simple programs: `kind state source target digest` with tabs between, `-` for what is not known."""
    lines = ["# kind\tstate\tsource\ttarget\tdigest"]
    for entry in content["images"]:
        lines.append("\t".join(["image", *(entry[key] or "-" for key in ("state", "source", "target", "digest"))]))
    for entry in content["charts"]:
        source = f"{entry['repository']}/{entry['name']}:{entry['version']}"
        lines.append("\t".join(["chart", entry["state"], source, entry["target"] or "-", "-"]))
    told = {f"{entry['source'] or entry['target']}: {entry['note']}" for entry in content["images"] if entry["note"]}
    told |= {f"{entry['name']} {entry['version']}: {entry['note']}" for entry in content["charts"] if entry["note"]}
    lines += [f"# {line}" for line in [*sorted(told), *content["notes"]]]
    return "\n".join(lines) + "\n"
