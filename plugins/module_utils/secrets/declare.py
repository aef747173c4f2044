# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns what the user wrote into declarations, and finds all that is wrong with it before any server is asked."""

from __future__ import annotations

import base64
import binascii
import difflib
import typing as t
from graphlib import CycleError, TopologicalSorter

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import LABELS
from ansible_collections.openmlops.platform.plugins.module_utils.secrets import (
    certificates,
    derived,
    jwks,
    key_pairs,
    names,
    random_text,
)
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import (
    Declaration,
    KeySpec,
    Ref,
    SecretRef,
)
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.reader import Reader, parse_key_ref

# The server's limit for the sum of all values (https://kubernetes.io/docs/concepts/configuration/secret/).
SIZE_LIMIT = 1024 * 1024

GENERATORS: dict[str, t.Callable[[Reader], t.Any]] = {**random_text.READERS, **key_pairs.READERS, **jwks.READERS}
DERIVATIONS: dict[str, t.Callable[[Reader], t.Any]] = {
    "format": derived.read_format,
    "copy": derived.read_copy,
    "htpasswd": derived.read_htpasswd,
    "dockerconfigjson": derived.read_dockerconfigjson,
    "public_of": key_pairs.read_public_of,
    "public_jwks_of": jwks.read_public_jwks_of,
    "certificate": certificates.read_certificate,
}
SOURCES = ("value", "generate", *DERIVATIONS)

# Keys that the server demands of a type; of basic-auth it demands one of the two.
_REQUIRED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def declarations(raw: t.Sequence[t.Any]) -> tuple[list[Declaration], list[str]]:
    """Reads the ``secrets`` option.

    Returns:
        The declarations that could be read, and all problems.
    """
    problems: list[str] = []
    found: list[Declaration] = []
    for index, entry in enumerate(raw):
        declaration = _declaration(index, entry, problems)
        if declaration is None:
            continue
        if any(other.ref == declaration.ref for other in found):
            problems.append(f"{declaration.ref}: is declared twice")
        else:
            found.append(declaration)
    problems += _absent_sources(found)
    problems += cycles(found)
    return found, problems


def rotations(raw: t.Sequence[t.Any], declared: t.Sequence[Declaration], strict: bool) -> tuple[set[Ref], list[str]]:
    """Reads the ``rotate`` option.

    Args:
        strict: whether a key that is not declared is a problem; otherwise it is left to another call.
    """
    problems: list[str] = []
    found: set[Ref] = set()
    known = {declaration.ref: declaration for declaration in declared}
    for index, entry in enumerate(raw):
        ref = parse_key_ref(entry) if isinstance(entry, str) else None
        if ref is None:
            problems.append(f"rotate[{index}]: must be of the form namespace/secret/key")
            continue
        declaration = known.get(ref.secret)
        spec = declaration.data.get(ref.key) if declaration and not declaration.absent else None
        if spec is None:
            if strict:
                problems.append(f"rotate: {ref} is not declared in this call")
        elif spec.given is not None:
            problems.append(f"rotate: {ref} is given by you: change its value instead")
        elif spec.derivation is not None and not spec.derivation.rotatable:
            sources = ", ".join(sorted(str(source) for source in spec.derivation.sources.values()))
            problems.append(f"rotate: {ref} follows from {sources or 'a text without parts'}: rotate that instead")
        else:
            found.add(ref)
    return found, problems


def type_problem(secret_type: str, keys: t.Collection[str]) -> str | None:
    """Returns which keys a type lacks, or None."""
    missing = [key for key in _REQUIRED.get(secret_type, ()) if key not in keys]
    if missing:
        return f"type {secret_type} needs the key{'s' if len(missing) > 1 else ''} {' and '.join(missing)}"
    if secret_type == "kubernetes.io/basic-auth" and not {"username", "password"} & set(keys):
        return f"type {secret_type} needs the key username or password"
    return None


def cycles(declared: t.Sequence[Declaration]) -> list[str]:
    """Returns the first circle in which values follow from each other, if there is one."""
    try:
        order(declared)
    except CycleError as error:
        path = " <- ".join(str(ref) for ref in error.args[1])
        return [f"values follow from each other in a circle: {path}"]
    return []


def order(declared: t.Sequence[Declaration]) -> list[KeySpec]:
    """Returns all keys, sources before what follows from them.

    Raises:
        CycleError: when there is no such order.
    """
    specs = {spec.ref: spec for declaration in declared for spec in declaration.data.values()}
    graph = TopologicalSorter(
        {
            ref: [source for source in spec.derivation.sources.values() if source in specs] if spec.derivation else []
            for ref, spec in specs.items()
        }
    )
    return [specs[ref] for ref in graph.static_order()]


def _declaration(index: int, raw: t.Any, problems: list[str]) -> Declaration | None:
    reader = Reader(f"secrets[{index}]", raw, problems)
    if not isinstance(raw, t.Mapping):
        return None
    namespace, name = reader.text("namespace", required=True), reader.text("name", required=True)
    fits = names.is_namespace(namespace) and names.is_secret_name(name)
    if namespace and not names.is_namespace(namespace):
        reader.problem("namespace is not a valid name: lower-case letters, digits and -, 63 characters at most")
    if name and not names.is_secret_name(name):
        reader.problem("name is not a valid name: lower-case letters, digits, - and ., 253 characters at most")
    ref = SecretRef(namespace, name)
    if fits:
        reader.where, reader.home = str(ref), ref
    absent = reader.choice("state", "present", ("present", "absent")) == "absent"
    labels = _labels(reader)
    annotations = _annotations(reader)
    copy_from = reader.secret_ref("copy_from")
    if copy_from == ref:
        reader.problem("copy_from names the Secret itself")
    data = _data(reader, ref)
    secret_type = reader.text("type") or None
    reader.finish()
    if not absent:
        _check_whole(reader, data, secret_type, copy_from)
    return Declaration(ref, secret_type, labels, annotations, data, copy_from, absent) if fits else None


def _check_whole(
    reader: Reader, data: t.Mapping[str, KeySpec], secret_type: str | None, copy_from: SecretRef | None
) -> None:
    if not data and copy_from is None:
        reader.problem("has neither data nor copy_from")
    if secret_type == "kubernetes.io/service-account-token":
        reader.problem("type kubernetes.io/service-account-token is filled in by Kubernetes itself")
    elif copy_from is None and reader.raw.get("data") and secret_type:
        problem = type_problem(secret_type, reader.mapping("data").keys())
        if problem:
            reader.problem(problem)
    if sum(len(spec.given) for spec in data.values() if spec.given is not None) > SIZE_LIMIT:
        reader.problem("holds more than 1 MiB")


def _labels(reader: Reader) -> dict[str, str]:
    labels: dict[str, str] = {}
    for key, value in reader.mapping("labels").items():
        if not names.is_label_key(key) or not isinstance(value, str) or not names.is_label_value(value):
            reader.problem(f"label {key[:80]} is not valid: a qualified name, and a text of 63 characters at most")
        elif LABELS.get(key, value) != value:
            reader.problem(f"label {key} is set by the platform")
        else:
            labels[key] = value
    return labels


def _annotations(reader: Reader) -> dict[str, str]:
    annotations: dict[str, str] = {}
    for key, value in reader.mapping("annotations").items():
        if not names.is_label_key(key) or not isinstance(value, str):
            reader.problem(f"annotation {key[:80]} is not valid: a qualified name, and a text")
        else:
            annotations[key] = value
    return annotations


def _data(reader: Reader, ref: SecretRef) -> dict[str, KeySpec]:
    data: dict[str, KeySpec] = {}
    for key, raw in reader.mapping("data").items():
        inner = Reader(
            f"{reader.where}/{key}" if reader.home else f"{reader.where}.data.{key}", raw, reader.problems, ref
        )
        if not names.is_data_key(key):
            reader.problem(f"{key[:80]} is not a valid key: letters, digits, -, _ and . only")
        if isinstance(raw, t.Mapping):
            data[key] = _key(inner, Ref(*ref, key))
    return data


def _key(reader: Reader, ref: Ref) -> KeySpec:
    chosen = [source for source in SOURCES if reader.has(source)]
    if chosen == ["value", "generate"]:
        given, overwrite = _given(reader, optional=True)
        return KeySpec(ref, given, overwrite, generator=_generator(reader))
    if len(chosen) != 1:
        meant = [close for name in reader.raw for close in difflib.get_close_matches(name, SOURCES, n=1)]
        hint = f": did you mean {meant[0]}?" if meant and not chosen else ""
        reader.problem(f"needs exactly one of {', '.join(SOURCES)} (value and generate may stand together){hint}")
        return KeySpec(ref)
    if chosen == ["value"]:
        given, overwrite = _given(reader, optional=False)
        reader.finish()
        return KeySpec(ref, given, overwrite)
    if chosen == ["generate"]:
        return KeySpec(ref, generator=_generator(reader))
    derivation = DERIVATIONS[chosen[0]](reader)
    reader.finish()
    return KeySpec(ref, derivation=derivation)


def _generator(reader: Reader) -> t.Any:
    name = reader.text("generate")
    if name not in GENERATORS:
        reader.problem(f"generate must be one of {', '.join(GENERATORS)}")
        return None
    generator = GENERATORS[name](reader)
    # For those who list what can be rotated (rotatable.py).
    reader.flag("only_by_name", False)
    reader.finish()
    return generator


def _given(reader: Reader, optional: bool) -> tuple[bytes | None, bool]:
    """Reads value, encoding, overwrite."""
    value = reader.take("value")
    encoded = reader.choice("encoding", "text", ("text", "base64")) == "base64"
    overwrite = reader.choice("overwrite", "if_given", ("if_given", "never")) == "if_given"
    if isinstance(value, (bool, dict, list)):
        reader.problem("value must be a text or a number: write texts in quotes, and use to_json for structures")
        return None, overwrite
    given = b"" if value is None else str(value).encode()
    if encoded:
        try:
            given = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            reader.problem("value is not base64")
    if not given:
        if not optional:
            reader.problem("value is empty: give one, or add generate")
        return None, overwrite
    return given, overwrite


def _absent_sources(declared: t.Sequence[Declaration]) -> list[str]:
    """Returns which values would follow from a Secret that the same call declares absent."""
    absent = {declaration.ref for declaration in declared if declaration.absent}
    problems = []
    for declaration in declared:
        if declaration.absent:
            continue
        if declaration.copy_from in absent:
            problems.append(f"{declaration.ref}: copies {declaration.copy_from}, which is declared absent")
        for spec in declaration.data.values():
            sources = spec.derivation.sources.values() if spec.derivation else ()
            problems += [
                f"{spec.ref}: needs {source}, whose Secret is declared absent"
                for source in sources
                if source.secret in absent
            ]
    return problems
