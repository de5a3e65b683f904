"""The audit: every rule on a configuration, the gravest findings first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amply_capacity.ops import (
    rules_access,
    rules_alarms,
    rules_clients,
    rules_cost,
    rules_decorators,
    rules_encryption,
    rules_engine,
    rules_keys,
    rules_missing_alarms,
    rules_parameters,
    rules_persistence,
    rules_reach,
    rules_replication,
    rules_windows,
)
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration
from amply_capacity.ops.finding import SEVERITIES, Finding, Rule

__all__ = ["RULES", "Audit", "audit_of"]

RULES: tuple[Rule, ...] = (
    *rules_persistence.RULES, *rules_replication.RULES, *rules_encryption.RULES, *rules_access.RULES,
    *rules_parameters.RULES, *rules_engine.RULES, *rules_windows.RULES, *rules_alarms.RULES,
    *rules_reach.RULES, *rules_missing_alarms.RULES, *rules_keys.RULES, *rules_clients.RULES,
    *rules_decorators.RULES, *rules_cost.RULES,
)
"""Each under a name of its own."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What the rules found, and what they could not look at."""

    origin: str
    findings: tuple[Finding, ...]
    not_audited: tuple[str, ...]
    assumed: tuple[str, ...]
    """What the configuration does not say, and was taken from elsewhere."""

    @property
    def counts(self) -> dict[str, int]:
        return {severity: sum(one.severity == severity for one in self.findings) for severity in SEVERITIES}

    def as_json(self) -> dict[str, Any]:
        """The object that `amply-capacity audit --json` prints."""
        return {"audited": self.origin, "findings": [one.as_json() for one in self.findings],
                "counts": self.counts, "rules": len(RULES), "not_audited": list(self.not_audited),
                "assumed": list(self.assumed)}


def audit_of(configuration: Configuration, circumstances: Circumstances) -> Audit:
    """Every finding: errors first, within a severity by line."""
    found = [finding for rule in RULES for finding in rule.findings(configuration, circumstances)]
    found.sort(key=lambda one: (SEVERITIES.index(one.severity), one.place.line or 0, one.rule,
                                one.place.path))
    missing = tuple(f"{kind}s: {reason}" for kind, reason in configuration.not_collected.items())
    return Audit(configuration.origin, tuple(found), (*missing, *configuration.not_audited),
                 tuple(_assumed(circumstances)))


def _assumed(circumstances: Circumstances) -> Iterator[str]:
    application = circumstances.connections
    yield (f"{application.tasks} tasks × {application.workers_per_task} workers × {application.pool} "
           f"connections: {circumstances.origin}")
    yield f"region {circumstances.region}: {circumstances.region_origin}"
    yield f"busiest at {circumstances.busiest_hour_utc:g} h UTC, and dated {circumstances.today.isoformat()}"
