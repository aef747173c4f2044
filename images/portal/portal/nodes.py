# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kratos wants shown (``ui.nodes``), as data for the templates. Pure functions.

A form has ``fields``, each with a ``kind``: hidden, input, checkbox, button, trigger, link, image, text, codes or select. Nodes of a
kind that is not known here (new ones of a later Kratos) are left out, but for their messages.
"""

from __future__ import annotations

import re
import typing as t

from portal import wording
from portal.wording import say

# Types of <input> that are drawn as a labelled line; anything else Kratos may think of becomes text.
_LINES = {"text", "password", "number", "email", "tel", "datetime-local", "date", "url"}
# Functions of Kratos' own script; no other name gets into a page.
TRIGGERS = {
    "oryWebAuthnRegistration", "oryWebAuthnLogin", "oryPasskeyLogin", "oryPasskeyLoginAutocompleteInit", "oryPasskeyRegistration",
    "oryPasskeySettingsRegistration",
}
# Buttons that undo something.
_QUIET = ("unlink", "remove", "disable", "resend", "screen", "email", "reveal", "regenerate")
_USED = 1050014
FEDERATED = ("oidc", "saml")

Field = dict[str, t.Any]


def messages(found: list[dict[str, t.Any]] | None) -> list[dict[str, str]]:
    """Returns messages as kind (error, success or info) and text."""
    return [{"kind": each.get("type", "info"), "text": say(each)} for each in found or [] if each.get("text")]


def field(node: dict[str, t.Any], number: int = 0) -> Field | None:
    """Returns what the templates draw for a node, or nothing.

    Args:
        number: makes the field's id unique in its page.
    """
    made = _KINDS.get(node.get("type", ""), _unknown)(node.get("attributes") or {}, node)
    if made is None:
        return None
    name = made.get("name") or (node.get("attributes") or {}).get("id") or made["kind"]
    # Read aloud, the second of two messages with the same words is noise.
    said = list({each["text"]: each for each in messages(node.get("messages"))}.values())
    return {
        **made,
        "id": f"{re.sub(r'[^A-Za-z0-9_-]', '-', str(name))}-{number}",
        "group": node.get("group", "default"),
        "messages": said,
        "invalid": any(each["kind"] == "error" for each in said),
    }


def _input(attributes: dict[str, t.Any], node: dict[str, t.Any]) -> Field:
    name, kind = attributes.get("name", ""), attributes.get("type", "text")
    label = say((node.get("meta") or {}).get("label")) or say(attributes.get("label"))
    value = attributes.get("value")
    made: Field = {"name": name, "value": "" if value is None else value, "disabled": bool(attributes.get("disabled"))}
    if kind == "hidden":
        return {**made, "kind": "hidden", "trigger": _trigger(attributes, "onload")}
    made["label"] = label or name.rpartition(".")[2].replace("_", " ").capitalize()
    if kind in ("submit", "button"):
        trigger = _trigger(attributes, "onclick")
        quiet = any(word in name for word in _QUIET)
        return {**made, "kind": "trigger" if trigger else "button", "trigger": trigger, "quiet": quiet}
    made["required"] = bool(attributes.get("required"))
    if kind == "checkbox":
        return {**made, "kind": "checkbox", "checked": value in (True, "true", "on")}
    if attributes.get("options"):
        return {**made, "kind": "select", "options": attributes["options"]}
    return {
        **made, "kind": "input", "type": kind if kind in _LINES else "text",
        "autocomplete": attributes.get("autocomplete") or wording.AUTOCOMPLETE.get(name, ""),
        "pattern": attributes.get("pattern", ""),
        "maxlength": attributes.get("maxlength") or 0,
        "digits": name in ("totp_code", "code"),
    }


def _trigger(attributes: dict[str, t.Any], event: str) -> str:
    name = attributes.get(f"{event}Trigger") or ""
    return name if name in TRIGGERS else ""


def _select(attributes: dict[str, t.Any], node: dict[str, t.Any]) -> Field:
    return _input({**attributes, "type": "select"}, node)


def _image(attributes: dict[str, t.Any], node: dict[str, t.Any]) -> Field | None:
    source = attributes.get("src", "")
    if not source.startswith("data:image/"):  # the page may load no other
        return None
    return {
        "kind": "image", "src": source, "width": attributes.get("width") or 256, "height": attributes.get("height") or 256,
        "label": say((node.get("meta") or {}).get("label")) or "Image",
    }


def _text(attributes: dict[str, t.Any], node: dict[str, t.Any]) -> Field:
    content = attributes.get("text") or {}
    label = say((node.get("meta") or {}).get("label"))
    secrets = (content.get("context") or {}).get("secrets")
    if secrets:
        codes = [{"text": each.get("text", ""), "used": each.get("id") == _USED} for each in secrets]
        return {"kind": "codes", "label": label, "codes": codes}
    return {"kind": "text", "label": label, "text": content.get("text", ""), "secret": attributes.get("id") == "totp_secret_key"}


def _anchor(attributes: dict[str, t.Any], node: dict[str, t.Any]) -> Field | None:
    target = attributes.get("href", "")
    if not re.match(r"https?://|/", target):
        return None
    label = say((node.get("meta") or {}).get("label")) or say(attributes.get("title"))
    return {"kind": "link", "href": target, "label": label or "Continue"}


def _unknown(_attributes: dict[str, t.Any], node: dict[str, t.Any]) -> Field | None:
    return {"kind": "note"} if messages(node.get("messages")) else None


_KINDS: dict[str, t.Callable[[dict[str, t.Any], dict[str, t.Any]], Field | None]] = {
    "input": _input, "select": _select, "img": _image, "text": _text, "a": _anchor,
    "script": lambda _attributes, _node: None, "div": _unknown,
}


def scripts(nodes: list[dict[str, t.Any]], public: str) -> list[dict[str, str]]:
    """Returns Kratos' scripts that a flow needs (security keys), from Kratos' own address only."""
    found = [node.get("attributes") or {} for node in nodes if node.get("type") == "script"]
    return [
        {"src": each["src"], "integrity": each.get("integrity", "")}
        for each in found if str(each.get("src", "")).startswith(public + "/")
    ]


def forms(nodes: list[dict[str, t.Any]], apart: bool) -> list[dict[str, t.Any]]:
    """Returns the forms of a page: name of the group, its fields.

    What has no group of its own (the CSRF token, who logs in) goes with the others: hidden fields into each form, visible
    ones into the first. Login with another provider is always a form of its own: it must not ask for a password.

    Args:
        apart: each group in a form of its own, as on the settings page; otherwise one form, where visible fields without
            a group are shared by several methods.
    """
    fields = [made for number, node in enumerate(nodes) if (made := field(node, number))]
    if apart:
        fields = [{**each, "label": "New password"} if each.get("name") == "password" and each["kind"] == "input" else each for each in fields]
    shared = [each for each in fields if each["group"] == "default"]
    hidden = [each for each in shared if each["kind"] == "hidden"]
    visible = [each for each in shared if each["kind"] != "hidden"]
    groups: dict[str, list[Field]] = {}
    for each in fields:
        if each["group"] != "default":
            groups.setdefault(each["group"], []).append(each)
    if visible and not apart:
        main = [name for name in groups if name not in FEDERATED]
        joined = [each for name in main for each in groups[name]]
        rest = {name: groups[name] for name in groups if name in FEDERATED}
        groups = {main[0] if main else "default": visible + joined, **rest}
    elif visible:
        groups = {"default": visible, **groups}
    return [{"group": name, "fields": _ordered(hidden + members)} for name, members in groups.items() if _drawn(members)]


def _drawn(members: list[Field]) -> bool:
    return any(each["kind"] != "hidden" for each in members)


def _ordered(members: list[Field]) -> list[Field]:
    """Returns buttons after what is filled in, the loud one first: Enter presses the first."""
    rank = {"button": 1, "trigger": 1}
    return sorted(members, key=lambda each: (rank.get(each["kind"], 0), bool(each.get("quiet"))))


def problems(made: list[dict[str, t.Any]]) -> list[dict[str, str]]:
    """Returns the errors at fields: id and label of the field, text."""
    return [
        {"id": each["id"], "label": each.get("label", ""), "text": said["text"]}
        for form in made for each in form["fields"] for said in each["messages"] if said["kind"] == "error"
    ]
