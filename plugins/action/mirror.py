# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action ``mirror``: lists what a mirror must hold, and copies it there. Documented in plugins/modules/mirror.py."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail

from ansible_collections.openmlops.platform.plugins.action.converge import ActionModule as Converge
from ansible_collections.openmlops.platform.plugins.module_utils.build.builder import Builder
from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.process import find_program
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue import lock
from ansible_collections.openmlops.platform.plugins.module_utils.catalogue.images import image as locked_image
from ansible_collections.openmlops.platform.plugins.module_utils.converge import charts as converge_charts
from ansible_collections.openmlops.platform.plugins.module_utils.converge import helm_state, plan
from ansible_collections.openmlops.platform.plugins.module_utils.converge.release import HelmError, Release, chart_args
from ansible_collections.openmlops.platform.plugins.module_utils.mirror import copying, listing, references
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.listing import Chart, Image
from ansible_collections.openmlops.platform.plugins.module_utils.mirror.running import Helm, Skopeo, chart_place
from ansible_collections.openmlops.platform.plugins.module_utils.registries import logins


# How many reasons an error names; all of them are in the list.
_TOLD = 3


class ActionModule(Converge):
    """Reads plans and renders charts as ``converge`` does, and asks no cluster."""

    ARGUMENTS: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "plan": {"type": "list", "elements": "dict", "required": True},
        "modes": {"type": "dict", "default": {}},
        "registry": {"type": "str", "default": ""},
        "charts": {"type": "str", "default": ""},
        "copy": {"type": "bool", "default": True},
        "architecture": {"type": "str", "default": ""},
        "validate_registry": {"type": "bool", "default": True},
        "plain_http": {"type": "bool", "default": False},
        "dest": {"type": "path"},
        "show": {"type": "bool", "default": False},
    }
    EXPECTED = (*Converge.EXPECTED, BuildError)

    def act(self, args: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Lists, copies and reports; fails in the end when something could not be copied, with the list written. So does check mode."""
        self._variables = variables
        found = self._logins()
        self._refuse_nonsense(args)
        raw = [json.loads(entry["packed"]) if "packed" in entry else entry for entry in json.loads(json.dumps(args["plan"]))]
        wanted = [entry for entry in raw if entry.get("state") != "absent"]
        with contextlib.ExitStack() as stack:
            login_file = stack.enter_context(logins.file(logins.auths(found, self._lookup))) if found else ""
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openmlops-mirror-")))
            notes: list[str] = []
            charts, copied = self._charts(wanted, args, self._helm(args, login_file, scratch), notes)
            images, moved = self._images(wanted, charts, args, login_file, notes)
        content = listing.document(images, charts, notes)
        return self._told(args, content, [*copied, *moved])

    def _refuse_nonsense(self, args: dict[str, t.Any]) -> None:
        if "://" in args["registry"] or args["registry"].startswith("/"):
            raise AnsibleActionFail(f"platform_mirror_registry is '{args['registry']}': write HOST/PATH, without https:// or oci://")
        if args["charts"] and not args["charts"].startswith(("oci://", "/")):
            raise AnsibleActionFail(f"platform_mirror_charts is '{args['charts']}': write oci://HOST/PATH, or a folder with its whole path")

    # -- charts --------------------------------------------------------------------------------------------------------

    def _helm(self, args: dict[str, t.Any], login_file: str, scratch: Path) -> Helm | None:
        program = str(self._setting("platform_helm_binary", "") or "") or shutil.which("helm") or ""
        return Helm(program, login_file, scratch, args["plain_http"]) if program and Path(program).is_file() else None

    def _charts(
        self, wanted: list[dict[str, t.Any]], args: dict[str, t.Any], helm: Helm | None, notes: list[str]
    ) -> tuple[list[Chart], list[str]]:
        source = self._chart_source()
        # A release may have a source of its own.
        names = {release["chart"]: release.get("source") or source for entry in wanted
                 for phase in (entry.get("phases") or {}).values() for release in phase.get("releases") or []}
        worker = copying.Charts(helm, self.say)
        before = [worker.look(listing.chart(name, wherefrom, args["charts"])) for name, wherefrom in names.items()]
        if not helm and any(entry.state != listing.PRESENT for entry in before):
            notes.append("charts were listed only: there is no Helm on PATH or in platform_helm_binary (`make up` builds one)")
        if not args["charts"] and source != "bundled":
            notes.append("charts were listed only: platform_chart_source is no folder or oci://, and platform_mirror_charts is empty")
        after = [worker.copy(entry) for entry in before] if args["copy"] and not self.check else before
        return after, _changes(before, after, lambda entry: entry.state == listing.MISSING and helm is not None, self.check and args["copy"])

    # -- images --------------------------------------------------------------------------------------------------------

    def _images(
        self, wanted: list[dict[str, t.Any]], charts: list[Chart], args: dict[str, t.Any], login_file: str, notes: list[str]
    ) -> tuple[list[Image], list[str]]:
        source = str(self._setting("platform_image_source", "upstream"))
        rendered_for = str(self._setting("platform_image_registry", "") or "")
        components = [entry["component"] for entry in wanted if entry["component"] in lock.components()]
        # Our own charts run nothing but what is built here.
        only_built = source == "built" and self._chart_source() == "bundled"
        images = listing.locked_images(components, args["modes"], source, args["registry"], only_built=only_built)
        known = {locked_image(f"{component}/{role}", listing.form_of(entry, source), rendered_for)["reference"]
                 for component in components for role, entry in (lock.component(component).get("images") or {}).items()}
        named = self._named(wanted, charts, args["plain_http"], notes)
        images += listing.more_images(named, known, rendered_for, args["registry"])
        program = find_program("skopeo")
        if not args["registry"]:
            notes.append("images were listed only: platform_image_registry and platform_mirror_registry are empty")
        elif not program:
            notes.append("images were listed only: the program skopeo is missing: install the Debian package skopeo")
        skopeo = Skopeo(program, login_file, args["validate_registry"], args["architecture"]) if program else None
        built = [entry.built for entry in images if entry.origin == listing.BUILT and entry.built]
        made = Builder(lock.COLLECTION_ROOT, self._cache()).results([f"image/{name}" for name in built])["images"]
        worker = copying.Images(skopeo, {name: Path(entry["archive"]) for name, entry in made.items()}, args["architecture"], self.say)
        before = worker.look(images)
        after = worker.copy(before) if args["copy"] and not self.check else before
        return after, _changes(before, after, copying.can_be_copied, self.check and args["copy"])

    def _named(
        self, wanted: list[dict[str, t.Any]], charts: list[Chart], plain_http: bool, notes: list[str]
    ) -> dict[str, list[str]]:
        """Returns the images that objects of plans and of rendered charts name, by who names them."""
        named: dict[str, list[str]] = {}
        there = {(entry.name, entry.version): entry for entry in charts}
        mirrored = {chart_place(entry.target)[0] for entry in charts if entry.target.startswith("oci://")}
        for raw in wanted:
            parsed = plan.parse(raw, lambda release: self._release(release, there),
                                lambda name: converge_charts.manifest_text(name, self._cache(), True))
            objects = [obj for phase in parsed.phases.values() for obj in phase.objects]
            named[parsed.component] = references.images(objects)
            for release in (release for phase in parsed.phases.values() for release in phase.releases):
                # Plain HTTP is the mirror's; upstream's registries are not asked that way.
                plain = {"plain_http": True} if plain_http and release.chart in mirrored else {}
                try:
                    text = self._run_helm("helm_template", {**chart_args(release), **plain, "include_crds": False}, {})["stdout"]
                except (HelmError, KeyError) as error:
                    notes.append(f"{release}: its chart could not be rendered, so images that only the chart names are not listed: "
                                 f"{' '.join(str(error).split())[:300]}")
                    continue
                named[f"{release.namespace}/{release.name}"] = references.images(helm_state.manifest_objects(text))
        return named

    def _release(self, raw: dict[str, t.Any], there: dict[tuple[str, str], Chart]) -> Release:
        """Returns a release with its chart from the mirror if it is there already, otherwise from where the mirror gets it."""
        source = raw.get("source") or self._chart_source()
        entry = lock.chart(raw["chart"])
        found = there[str(entry["name"]), str(entry["version"])]
        if source == "bundled":
            return converge_charts.resolve(raw, source, self._cache(), True)
        if found.state == listing.PRESENT:
            where, version = chart_place(found.target) if found.target.startswith("oci://") else (found.target, None)
            return Release(raw["name"], raw["namespace"], where, "", raw["values"] or {}, version)
        return converge_charts.resolve(raw, "upstream", self._cache(), True)

    def _chart_source(self) -> str:
        return str(self._setting("platform_chart_source", "upstream"))

    def _cache(self) -> Path:
        return Path(os.path.expanduser(str(self._setting("platform_cache_dir", "~/.cache/openmlops"))))

    # -- the report ----------------------------------------------------------------------------------------------------

    def _told(self, args: dict[str, t.Any], content: dict[str, t.Any], changes: list[str]) -> dict[str, t.Any]:
        text = listing.as_text(content)
        written = False
        if args["dest"]:
            base = Path(args["dest"])
            for suffix, body in ((".json", listing.as_json(content)), (".txt", text)):
                written = _written(base.with_name(base.name + suffix), body, self.check) or written
        if args["show"]:
            for line in text.splitlines():
                self.say(line.replace("\t", "  "))
            for line in changes if self.check else []:
                self.say(f"would be copied: {line}")
        wrong = _failures(args, content, set(changes)) if args["copy"] else []
        if wrong:
            where = f" The list is in {args['dest']}.json and .txt." if args["dest"] and not self.check else ""
            raise AnsibleActionFail(f"the mirror is not complete: {'; '.join(wrong)}.{where}")
        return {"changed": bool(changes or written), "copied": [] if self.check else changes,
                "missing": changes if self.check else [], "mirror": content}


def _changes(before: list[t.Any], after: list[t.Any], wanted: t.Callable[[t.Any], bool], check: bool) -> list[str]:
    """Returns the targets that were filled, or in check mode would be."""
    if check:
        return [entry.target for entry in before if wanted(entry)]
    return [new.target for old, new in zip(before, after, strict=True) if old.state != new.state and new.state == listing.PRESENT]


def _failures(args: dict[str, t.Any], content: dict[str, t.Any], filled: set[str]) -> list[str]:
    """Returns what should have been copied and is not there; ``filled`` are the targets that were filled, or in check mode would be."""
    asked = [*(content["images"] if args["registry"] else []), *(content["charts"] if args["charts"] else [])]
    left = [entry for entry in asked if entry["state"] != listing.PRESENT and entry["target"] not in filled]
    told = [f"{entry.get('source') or entry.get('target') or entry['name']}: {entry['note']}" for entry in left if entry["note"]]
    silent = [entry for entry in left if not entry["note"]]
    reasons = [note for note in content["notes"] if "were listed only" in note and "are empty" not in note and "is empty" not in note]
    if len(told) > _TOLD:
        told = [*told[:_TOLD], f"and {len(told) - _TOLD} more"]
    return [*told, *([f"{len(silent)} entries are not there"] if silent else []), *(reasons if left else [])]


def _written(path: Path, text: str, check: bool) -> bool:
    """Writes a file unless it has this text; returns whether it was written, or in check mode would be."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return True
