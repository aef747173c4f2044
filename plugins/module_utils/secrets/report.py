# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells: the result for the playbook, the diff, the warnings. Names and marks only, never a value."""

from __future__ import annotations

import typing as t

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.certificates import Certificate
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.planning import SecretPlan
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.running import Done, Outcome

_ACTIONS = {"create": "created", "update": "updated", "delete": "deleted", "none": "unchanged"}
_SOON_DAYS = 30


def result(outcome: Outcome) -> dict[str, t.Any]:
    """Returns the part of the result that the module documents: changed, secrets, fingerprints."""
    secrets = [
        _secret(secret, outcome.done[secret.ref], outcome.fingerprints.get(secret.ref, ""))
        for secret in outcome.plan.secrets
        if not secret.declaration.internal
    ]
    return {
        "changed": any(done.action != "none" for done in outcome.done.values()),
        "secrets": secrets,
        "fingerprints": {str(ref): mark for ref, mark in outcome.fingerprints.items()},
    }


def _secret(secret: SecretPlan, done: Done, mark: str) -> dict[str, t.Any]:
    outcomes = {key.spec.ref.key: _final(key.spec.ref.key, done) for key in secret.key_plans}

    def keys(outcome: str) -> list[str]:
        return sorted(name for name, (found, _label) in outcomes.items() if found == outcome)

    entry: dict[str, t.Any] = {
        "namespace": secret.ref.namespace,
        "name": secret.ref.name,
        "action": _ACTIONS[done.action],
        "created_keys": keys("created"),
        "rotated_keys": keys("rotated"),
        "updated_keys": keys("updated"),
        "kept_keys": keys("kept"),
        "fingerprint": mark,
    }
    certificates = [found for found in (_certificate(secret, key) for key in outcomes) if found]
    if certificates:
        entry["certificates"] = certificates
    return entry


def _final(key: str, done: Done) -> tuple[str, str]:
    return done.outcomes.get(key, ("kept", "kept"))


def _certificate(secret: SecretPlan, key: str) -> dict[str, t.Any] | None:
    found = _certificate_report(secret, key)
    return {"key": key, "expires": found.expires, "days_left": found.days_left} if found else None


def _certificate_report(secret: SecretPlan, key: str) -> t.Any:
    derivation, value = secret.declaration.data[key].derivation, secret.data.get(key)
    if not isinstance(derivation, Certificate) or not isinstance(value, bytes):
        return None
    try:
        return derivation.report(value)
    except ValueError:
        return None


def warnings(outcome: Outcome) -> list[str]:
    """Returns what a person should know: certificates that end soon or lack a name, labels of other tools."""
    found = list(outcome.plan.warnings)
    for secret in outcome.plan.secrets:
        for key in secret.declaration.data:
            ref = f"{secret.ref}/{key}"
            report = _certificate_report(secret, key)
            if report is None:
                continue
            if report.days_left < _SOON_DAYS:
                found.append(f"{ref}: the certificate ends on {report.expires}; renew it with rotate: [{ref}]")
            if report.missing_names:
                found.append(
                    f"{ref}: the certificate lacks {', '.join(report.missing_names)}; make it anew with rotate: [{ref}]"
                )
    return found


def diff(outcome: Outcome) -> list[dict[str, str]]:
    """Returns one entry for each Secret that changes, with marks such as <generated> in place of values."""
    return [
        _diff(secret, outcome.done[secret.ref])
        for secret in outcome.plan.secrets
        if outcome.done[secret.ref].action != "none"
    ]


def _diff(secret: SecretPlan, done: Done) -> dict[str, str]:
    header = f"Secret {secret.ref}"
    existed = done.action != "create"
    before: list[str] = [f"type: {secret.type}"] if existed else []
    after: list[str] = [f"type: {secret.type}"] if done.action != "delete" else []
    for name in sorted(done.outcomes):
        outcome, label = done.outcomes[name]
        if outcome == "kept":
            before.append(f"{name}: <kept>")
            after.append(f"{name}: <kept>")
            continue
        if outcome != "created":
            before.append(f"{name}: <previous>")
        after.append(f"{name}: <{label}>")
    after += [f"{entry}: <set>" for entry in done.metadata] if existed else []
    return {
        "before_header": header,
        "after_header": header,
        "before": "".join(f"{line}\n" for line in before),
        "after": "".join(f"{line}\n" for line in after),
    }
