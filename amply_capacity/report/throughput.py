"""`predict throughput`, answered: the host's highest rate, node type by node type, and month by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from amply_capacity.catalog.nodes import NodeType, node_type, node_types
from amply_capacity.interval import Interval
from amply_capacity.model.cpu_curve import curve_of
from amply_capacity.model.digest import digest
from amply_capacity.model.surcharge import surcharge
from amply_capacity.model.throughput import STEPS, Throughput, throughput
from amply_capacity.plan.calibrations import Calibration, node_cpu_factor, read_calibrations
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.demand_needs import needs
from amply_capacity.plan.measured import Measured, measured
from amply_capacity.plan.node_limits import MixBytes, NodeLimits, WeekShape, node_limits
from amply_capacity.plan.projection import month_names
from amply_capacity.plan.sizing import UNITS, capacities
from amply_capacity.plan.wire import Wire, wire_of
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds
from amply_capacity.progress import progress
from amply_capacity.report.connections import connections_of
from amply_capacity.run.reader import Run, read_run

__all__ = ["ThroughputQuestion", "throughput_of"]

_WORLDS = 2_000
_HOLDING = Interval(0.7, 1.0, 3.0)
"""A round trip on a node over one on the recording host: a guess, since networks differ."""
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class ThroughputQuestion:
    """What is asked beside the runs."""

    p99_ms: float | None
    """Of every use case; without, the demand's."""
    demand: Path | None
    node_types: tuple[str, ...]
    """Which to answer for; without, all that new clusters may have."""
    seed: int = 1
    beside: tuple[str, ...] = ()
    """Runs with TLS, a replica or more connections, whose difference is asked."""


def throughput_of(names: Sequence[str], question: ThroughputQuestion) -> dict[str, Any]:
    """The answer as JSON. Raises BadRun and BadDemand as `throughput` and `load_demand` do."""
    runs = [read_run(name) for name in names]
    demand = None if question.demand is None else load_demand(question.demand)
    limits: Mapping[str, float] | float
    if question.p99_ms is not None:
        limits = question.p99_ms
    else:
        assert demand is not None
        limits = {name: getattr(demand.slo.p99_ms, name).mid for name in (
            "sessions", "rate_limit", "cache", "celery_results")}
    beside = [read_run(name) for name in question.beside]
    # Before what takes long: what is wrong with these runs is said at once.
    others = [surcharge(curve_of(runs), runs, run).as_json() for run in beside]
    with progress("simulating", STEPS) as advance:
        found = throughput(runs, limits, advance)
    calibrations = read_calibrations()
    figures = measured([digest(run) for run in runs])
    chosen = [node_type(name) for name in question.node_types] or [
        node for node in node_types() if node.new_clusters]
    week = WeekShape() if demand is None else _week(demand)
    answer = found.as_json()
    limits_of_nodes = node_limits(
        chosen, found, _mix_bytes(found, figures), week, calibrations, engine=_engine(runs[0]),
        version=str(runs[0].manifest["server"]["version"]), seed=question.seed)
    wire = _wire(found, runs)
    answer["nodes"] = [{**one.as_json(), "network": _headroom(node, one, found, wire, week)}
                       for node, one in zip(chosen, limits_of_nodes, strict=True)]
    answer["wire"] = None if wire is None else wire.as_json()
    answer["calibrations"] = len(calibrations)
    answer["surcharges"] = others
    if demand is not None:
        answer["months"] = _months(chosen, demand, figures, calibrations, question.seed)
        answer["connections"] = connections_of(
            demand, _peak_commands(demand, figures, question.seed), found.commands_per_operation,
            _HOLDING.scaled(found.latency.mix.round_trip_ms / 1000.0),
            has_tls=bool(runs[0].manifest["target"]["tls"]),
            version=str(runs[0].manifest["server"]["version"]),
            cpu_factor=node_cpu_factor(demand.cluster.node_type, [one.observation for one in calibrations]))
    return answer


def _peak_commands(demand: Demand, figures: Measured, seed: int) -> Interval:
    """Commands a second of the whole application at today's peak."""
    load = workload(demand, Worlds(_WORLDS, seed, demand.correlated), _start(figures))
    total = sum(load.operations_per_second(name, peak=True)[:, 0] * figures.trips[name].commands
                for name, rate in load.per_user_per_second.items() if rate.any())
    low, mid, high = np.quantile(total, [0.05, 0.5, 0.95])
    return Interval(float(low), float(mid), float(high))


def _start(figures: Measured) -> date:
    """As the plan's."""
    return max(datetime.fromisoformat(run.recorded_at) for run in figures.runs).date()


def _engine(run: Run) -> str:
    return str(run.manifest["server"]["engine"])


def _week(demand: Demand) -> WeekShape:
    weekend = demand.activity.weekend_to_weekday.mid
    return WeekShape(max(demand.activity.peak_to_mean.mid * (5.0 + 2.0 * weekend) / 7.0, 1.0), weekend)


def _mix_bytes(found: Throughput, figures: Measured) -> MixBytes | None:
    costs = [(one.share, figures.operations.get(one.operation)) for one in found.latency.mix.operations]
    known = [(share, cost) for share, cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    return MixBytes(sum(share * cost.bytes_in for share, cost in known),
                    sum(share * cost.bytes_out for share, cost in known))


def _wire(found: Throughput, runs: Sequence[Run]) -> Wire | None:
    """Of the highest rate, in the bytes of the newest run; None where it does not tell them."""
    newest = max(runs, key=lambda run: str(run.manifest["started_at"]))
    highest = found.operations_per_second.mid
    rates: dict[str, float] = {}
    for one in found.latency.mix.operations:
        rates[one.operation] = rates.get(one.operation, 0.0) + one.share * highest
    return wire_of(newest, rates)


def _headroom(node: NodeType, limits: NodeLimits, found: Throughput, wire: Wire | None,
              week: WeekShape) -> dict[str, Any] | None:
    """Of its network, at what the node carries; None where that or the bytes are not known."""
    binding, peak_to_mean = limits.binding, week.day_peak_to_mean
    if wire is None or binding.operations_per_second is None:
        return None
    share = binding.operations_per_second.mid / found.operations_per_second.mid
    if binding.constraint == "cpu":  # which any second has to keep to, the others as a mean
        share /= peak_to_mean
    return wire.headroom(node, share, peak_to_mean).as_json()


def _months(chosen: Sequence[NodeType], demand: Demand, figures: Measured,
            calibrations: Sequence[Calibration], seed: int) -> list[dict[str, Any]]:
    """Headroom of each node type in each month: 1 less what is needed over what there is; today first."""
    worlds = Worlds(_WORLDS, seed, demand.correlated)
    start = _start(figures)
    need = needs(demand, figures, workload(demand, worlds, start), worlds, calibrations)
    names = [f"{start:%Y-%m}", *month_names(start, demand.plan.horizon_months)]
    rows = []
    for node in chosen:
        left = {}
        for name, capacity in capacities(node, demand).items():
            if capacity.available is not None:
                used = np.quantile(need.of(node, name) / capacity.available, [0.05, 0.5, 0.95], axis=0)
                left[name] = 100.0 * (1.0 - used[::-1])
        unknown = [name for name, capacity in capacities(node, demand).items() if capacity.available is None]
        for place, month in enumerate(names):
            bounds = {name: [round(float(one), _DIGITS) for one in left[name][:, place]] for name in left}
            binding = min(bounds, key=lambda name: bounds[name][0])
            rows.append({
                "month": month, "node_type": node.name, "binding": binding,
                **dict(zip(("headroom_low", "headroom_mid", "headroom_high"), bounds[binding], strict=True)),
                "headroom_percent": {name: dict(zip(("low", "mid", "high"), bounds[name], strict=True))
                                     for name in UNITS if name in bounds},
                "unknown": unknown})
    return rows
