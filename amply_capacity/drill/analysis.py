"""From what was recorded to what a drill answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from redis.crc import key_slot

from amply_capacity.drill.counts import counts_of
from amply_capacity.drill.journal_file import Journal, Played
from amply_capacity.drill.moment import Moment
from amply_capacity.drill.observer import Sample
from amply_capacity.drill.outage import Outage, outage_of
from amply_capacity.drill.prediction import failover_seconds, lost_writes, scored
from amply_capacity.drill.refill import has_cached_reads, refill_of
from amply_capacity.drill.request import DrillRequest
from amply_capacity.drill.result import DrillResult
from amply_capacity.drill.storm import storm_of
from amply_capacity.drill.timeline import timeline_of
from amply_capacity.drill.writes import CheckedWrites
from amply_capacity.run.reader import Run

__all__ = ["Evidence", "Seen", "result_of"]

_RATE_FROM_SECONDS = 1.0
"""The load's first second is left out of its rate: its users start in it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a drill leaves behind, beside its run."""

    request: DrillRequest
    topology: str
    run: Path
    began_s: float
    ended_s: float
    why_not: str | None
    moments: Sequence[Moment]
    samples: Sequence[Sample]
    journal: Journal
    windows: Mapping[str, float]
    """When the rate limits' windows end that were open as the load began."""


class Seen(Protocol):
    """What the stage saw of it."""

    fault_s: float | None
    crash_s: float | None
    snapshot_s: float | None
    down_after_seconds: float | None
    info_ages_s: tuple[float, ...]
    slots: tuple[tuple[int, int], ...] | None
    facts: dict[str, Any]


def result_of(evidence: Evidence, run: Run, checked: CheckedWrites | None, why_unchecked: str | None,
              seen: Seen) -> DrillResult:
    """Everything that a drill answers. What could not be found out is None, with its reason in `unknown`."""
    request, fault_s = evidence.request, seen.fault_s
    began_s, ended_s = evidence.began_s, _load_ended_s(run, evidence)
    operations = [one for one in evidence.journal.operations if one.ended_s <= ended_s]
    unknown: dict[str, str] = {}
    if checked is None and why_unchecked is not None:
        unknown["lost_writes"] = unknown["lost_sessions"] = why_unchecked
    here = [one for one in operations if seen.slots is None or _is_in(one, seen.slots)]
    outage = counts = storm = refill = None
    outages, counts_by = {}, {}
    if fault_s is None:
        unknown["unavailable_seconds"] = f"nothing was broken: {evidence.why_not or 'it ended before'}"
    else:
        lags = _lags(run)
        outage = outage_of(here, fault_s, ended_s, lags)
        if outage.unavailable_seconds is None:
            unknown["unavailable_seconds"] = "too few operations succeeded before the fault to compare with"
        use_cases = sorted({one.use_case for one in operations})
        outages = {name: outage_of([one for one in here if one.use_case == name], fault_s, ended_s, lags)
                   for name in use_cases}
        counts = counts_of(run.requests, began_s, fault_s)
        counts_by = {str(name): counts_of(rows, began_s, fault_s)
                     for name, rows in run.requests.groupby("use_case")}
        storm = storm_of(evidence.samples, fault_s)
        refill = refill_of(run.requests, fault_s, began_s, ended_s)
        if refill is None and has_cached_reads(run.requests):
            unknown["cache.refill_seconds"] = "no two whole seconds before the fault to compare with"
        elif refill is not None and refill.why_unknown is not None:
            unknown["cache.refill_seconds"] = refill.why_unknown
        held_up = _held_up(run, outage)
        if held_up:
            unknown["unavailable_seconds.cause"] = (
                f"the generator was itself held up in {held_up} of the seconds without a success (its "
                "`bottleneck` events say by what): some of that time may be its own")
    evicted = _evicted(evidence.samples)
    if evicted:
        unknown["lost_sessions.cause"] = (
            f"{evicted:,} keys were evicted meanwhile, for want of memory: some of what is gone went so")
    return DrillResult(
        request.kind, evidence.topology, request.persistence, request.scenario, request.rate, request.users,
        request.population, evidence.run, began_s, ended_s, fault_s, evidence.why_not is None,
        evidence.why_not, outage, outages, counts, counts_by, checked, storm, refill,
        timeline_of(operations, began_s, ended_s), evidence.moments,
        _predicted(evidence, seen, None if outage is None else outage.unavailable_seconds, checked),
        dict(seen.facts), unknown)


def _predicted(evidence: Evidence, seen: Seen, unavailable_seconds: float | None,
               checked: CheckedWrites | None) -> dict[str, Any]:
    """What could be told beforehand, beside what was measured."""
    request, broke_s = evidence.request, seen.crash_s or seen.fault_s
    if broke_s is None or evidence.why_not is not None:
        return {}
    found: dict[str, Any] = {}
    if request.kind == "crash" and seen.down_after_seconds is not None:
        found["unavailable_seconds"] = scored(failover_seconds(
            seen.down_after_seconds, request.users, seen.info_ages_s), unavailable_seconds)
    behind = _seconds_behind(evidence, seen, broke_s)
    if behind is not None:
        rate = _writes_per_second(evidence.journal, evidence.began_s, seen.fault_s or broke_s)
        if rate is not None:
            lost = None if checked is None else float(checked.lost)
            found["lost_writes"] = {**scored(lost_writes(rate, behind, is_even=request.is_even), lost),
                                    "writes_per_second": round(rate, 1), "seconds_behind": round(behind, 4)}
    return found


def _seconds_behind(evidence: Evidence, seen: Seen, broke_s: float) -> float | None:
    """How far behind the primary was what took its place; None where it is not known, or nothing did."""
    request = evidence.request
    if request.kind in {"crash", "restart"} and evidence.topology == "single":
        if request.persistence == "snapshot" and seen.snapshot_s is not None:
            return broke_s - seen.snapshot_s
        return 0.0 if request.persistence == "aof" else None
    if request.kind == "crash" and request.delay_ms is not None:
        return request.delay_ms / 1000.0
    if request.kind == "partition" and request.then == "crash" and seen.fault_s is not None:
        return broke_s - seen.fault_s + (request.delay_ms or 0.0) / 1000.0
    return None


def _writes_per_second(journal: Journal, began_s: float, until_s: float) -> float | None:
    from_s = began_s + _RATE_FROM_SECONDS
    count = sum(from_s <= (one.answered_s or 0.0) < until_s for one in journal.acknowledged)
    return count / (until_s - from_s) if until_s - from_s > _RATE_FROM_SECONDS / 2.0 else None


def _is_in(one: Played, slots: Sequence[tuple[int, int]]) -> bool:
    slot = None if one.key is None else key_slot(one.key.encode())
    return slot is not None and any(first <= slot <= last for first, last in slots)


def _load_ended_s(run: Run, evidence: Evidence) -> float:
    """When the load ended: its users stop then, and its process takes some seconds more to close its run."""
    phases = run.events[(run.events["kind"] == "phase") & (run.events["name"] == "ended")]
    if len(phases):
        return float(phases["time_s"].iloc[-1])
    operations = evidence.journal.operations  # it was killed
    return operations[-1].ended_s if operations else evidence.ended_s


def _lags(run: Run) -> dict[int, float]:
    """The longest standstill of the generator, in seconds, by Unix second."""
    noted = run.events[(run.events["kind"] == "generator") & (run.events["name"] == "load")]
    lags: dict[int, float] = {}
    for detail in noted["detail"]:
        # One that stood still beyond its second's end tells of those that followed as well.
        for second in range(int(detail["second"]), int(detail["second"]) + max(round(detail["seconds"]), 1)):
            lags[second] = max(lags.get(second, 0.0), detail["lag_ms"] / 1000.0)
    return lags


def _held_up(run: Run, outage: Outage) -> int:
    """Seconds with a gap in which the generator, and not the server, may have been away."""
    bound = set(run.manifest.get("generator_bound_seconds") or ())
    within = {second for gap in outage.gaps for second in range(int(gap.from_s), int(gap.until_s) + 1)}
    return len(bound & within)


def _evicted(samples: Sequence[Sample]) -> int:
    first: dict[str, int] = {}
    most: dict[str, int] = {}
    for one in samples:
        name = f"{one.node}/{one.run_id}"
        first.setdefault(name, one.evicted_keys)
        most[name] = max(most.get(name, 0), one.evicted_keys)
    return sum(most[name] - first[name] for name in most)
