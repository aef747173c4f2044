# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods and volumes objects lead to. Pure functions."""

from __future__ import annotations

import dataclasses
import decimal
import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.converge.objects import Object, Ref, ref

try:
    from kubernetes.utils.quantity import parse_quantity
except ImportError:  # pragma: no cover - kube.client tells it
    pass


@dataclasses.dataclass(frozen=True)
class Amount:
    """Processor in cores and memory in bytes."""

    cpu: decimal.Decimal = decimal.Decimal(0)
    memory: decimal.Decimal = decimal.Decimal(0)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.cpu + other.cpu, self.memory + other.memory)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.cpu - other.cpu, self.memory - other.memory)

    def times(self, number: int) -> Amount:
        """Returns the amount so many times."""
        return Amount(self.cpu * number, self.memory * number)

    def fits(self, other: Amount) -> bool:
        """Tells whether this amount has room in the other one."""
        return self.cpu <= other.cpu and self.memory <= other.memory

    def __str__(self) -> str:
        return f"{self.cpu.normalize():f} CPU and {self.memory / 2**20:.0f} MiB"


def amount(quantities: t.Mapping[str, t.Any] | None) -> Amount:
    """Returns ``{cpu: 100m, memory: 1Gi}`` as numbers; what is missing is nothing."""
    given = quantities or {}
    return Amount(parse_quantity(str(given.get("cpu") or 0)), parse_quantity(str(given.get("memory") or 0)))


def requests(spec: Object) -> Amount:
    """Returns what a pod asks for: its containers together, or the largest container that runs before them."""
    sidecars = [entry for entry in spec.get("initContainers") or [] if entry.get("restartPolicy") == "Always"]
    total = Amount()
    for container in [*(spec.get("containers") or []), *sidecars]:
        total += _asked(container)
    for container in spec.get("initContainers") or []:
        before = _asked(container)
        total = Amount(max(total.cpu, before.cpu), max(total.memory, before.memory))
    return total + amount(spec.get("overhead"))


def _asked(container: Object) -> Amount:
    resources = container.get("resources") or {}
    # What is not requested but limited is requested as limited.
    return amount({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


class Group(t.NamedTuple):
    """Pods of one kind: whose they are, how many (per node: 0), what each asks for."""

    owner: Ref
    number: int
    each: Amount


def groups(objects: t.Iterable[Object]) -> list[Group]:
    """Returns the pods that objects lead to and that run all the time; jobs come and go."""
    found = []
    for obj in objects:
        spec = obj.get("spec") or {}
        if obj["kind"] in ("Deployment", "StatefulSet") and obj["apiVersion"].startswith("apps/"):
            found.append(Group(ref(obj), _number(spec.get("replicas")), requests(spec["template"]["spec"])))
        elif obj["kind"] == "DaemonSet":
            found.append(Group(ref(obj), 0, requests(spec["template"]["spec"])))
        elif obj["kind"] == "Cluster" and obj["apiVersion"].startswith("postgresql.cnpg.io/"):
            found.append(Group(ref(obj), _number(spec.get("instances")), amount((spec.get("resources") or {}).get("requests"))))
    return found


def _number(replicas: t.Any) -> int:
    return 1 if replicas is None else int(replicas)


def storage_classes(objects: t.Iterable[Object]) -> dict[str, list[str]]:
    """Returns by storage class ("" for the default one) the objects that want volumes of it."""
    found: dict[str, list[str]] = {}

    def want(spec: Object, owner: Object) -> None:
        name = spec.get("storageClassName", spec.get("storageClass"))
        found.setdefault(str(name or ""), []).append(str(ref(owner)))

    for obj in objects:
        spec = obj.get("spec") or {}
        if obj["kind"] == "PersistentVolumeClaim" and not spec.get("volumeName"):
            want(spec, obj)
        elif obj["kind"] == "StatefulSet":
            for claim in spec.get("volumeClaimTemplates") or []:
                want(claim.get("spec") or {}, obj)
        elif obj["kind"] == "Cluster" and obj["apiVersion"].startswith("postgresql.cnpg.io/"):
            for key in ("storage", "walStorage"):
                if spec.get(key):
                    want(spec[key], obj)
    return found
