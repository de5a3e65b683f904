"""What stands beside the verdict on a replica: the set-ups, what turns it, and what else a replica is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amply_capacity.model.evidence import Evidence
from amply_capacity.model.refill import extra_misses_per_key
from amply_capacity.plan.failure_knowledge import Learned
from amply_capacity.plan.fit import Fit
from amply_capacity.plan.outages import cached_reads_per_key, refill_of
from amply_capacity.plan.read_scaling import CLUSTER_MODE, ReadScaling, Remaining, read_scaling, remaining
from amply_capacity.plan.replicas import ReplicaDecision, verdict_of
from amply_capacity.plan.setups import Outlook, outlooks
from amply_capacity.plan.strategies import Case
from amply_capacity.plan.verdict_influence import Map, Swing, pays_map, swings
from amply_capacity.plan.workload import CACHED_TTL_S

__all__ = ["ReplicaCase", "replica_case"]


@dataclass(frozen=True, slots=True)
class ReplicaCase:
    """Everything of one plan that is not needed for the verdict itself."""

    outlooks: tuple[Outlook, ...]
    learned: tuple[Learned, ...]
    drills: tuple[Evidence, ...]
    refill: dict[str, Any]
    remaining: Remaining
    read_scaling: ReadScaling
    swings: tuple[Swing, ...]
    map: Map

    def as_json(self) -> dict[str, Any]:
        return {
            "setups": [one.as_json() for one in self.outlooks],
            "learned": [one.as_json() for one in self.learned],
            "drills": [_drill(one, self.learned) for one in self.drills],
            "refill": self.refill,
            "after_failover": self.remaining.as_json(),
            "read_scaling": self.read_scaling.as_json(),
            "cluster_mode": [dict(one) for one in CLUSTER_MODE],
            "sensitivity": [_swing(one) for one in self.swings],
            "map": self.map.as_json(),
        }


def replica_case(case: Case, decision: ReplicaDecision, fit: Fit, evidences: Sequence[Evidence],
                 learned: tuple[Learned, ...]) -> ReplicaCase:
    """Of the chosen nodes; `case.demand` has what was learned, `fit` is of the month before the review."""
    demand, load, worlds, chosen = case.demand, case.load, case.worlds, case.chosen
    review = min(demand.plan.review_months, demand.plan.horizon_months)
    reads, seconds = cached_reads_per_key(demand), refill_of(demand)
    return ReplicaCase(
        outlooks(chosen, demand, load, worlds), learned,
        tuple(one for one in evidences if one.drill is not None),
        {"seconds": {name: float(f"{getattr(seconds, name):.4g}") for name in ("low", "mid", "high")},
         "reads_per_key_hour": float(f"{3600.0 * reads:.4g}"),
         "extra_database_queries_per_key": float(f"{extra_misses_per_key(reads, CACHED_TTL_S):.4g}")},
        remaining(chosen, fit, case.need, review),
        read_scaling(chosen, demand, case.figures, load, case.need, worlds, tuple(case.months)),
        swings(demand, load, worlds, decision.usd_per_month, case.start),
        pays_map(demand, worlds, decision.usd_per_month, decision.break_even, case.start))


def _swing(one: Swing) -> dict[str, Any]:
    low, high = verdict_of(one.at_low), verdict_of(one.at_high)
    return {"number": one.number, "low_value": float(f"{one.low_value:.4g}"),
            "high_value": float(f"{one.high_value:.4g}"), "probability_at_low": round(one.at_low, 4),
            "probability_at_high": round(one.at_high, 4), "verdict_at_low": low, "verdict_at_high": high,
            "flips": low != high}


def _drill(evidence: Evidence, learned: Sequence[Learned]) -> dict[str, Any]:
    """What one drill measured, which numbers it narrowed, and why not the others."""
    drill = evidence.drill
    assert drill is not None
    not_taken = dict(drill.why_not)
    if drill.noticed_seconds is not None and not drill.is_on_elasticache:
        not_taken["noticed_seconds"] = ("a setting of Sentinel, or of the shards: ElastiCache notices in "
                                        "its own time")
    return {
        "run": evidence.run_id, "kind": drill.kind, "topology": drill.topology,
        "on_elasticache": drill.is_on_elasticache,
        **{name: None if (value := getattr(drill, name)) is None else round(value, 3) for name in (
            "unavailable_seconds", "noticed_seconds", "reconnect_seconds", "refill_seconds")},
        "lost_writes": drill.lost_writes, "lost_by_law": drill.lost_by_law,
        "lost_sessions": drill.lost_sessions,
        "narrowed": [one.number for one in learned if evidence.run_id in one.runs], "not_taken": not_taken,
    }
