"""The needs of a demand, on the figures of its runs: measured bytes and CPU times the demand's counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amply_capacity.interval import Interval
from amply_capacity.model.node_speed import cpu_factors
from amply_capacity.plan.assumptions import (
    FRAMING_BYTES,
    NETWORK_P99_MS,
    OTHER_ENGINE_BYTES,
    OTHER_ENGINE_CPU,
    SHARD_IMBALANCE,
)
from amply_capacity.plan.calibrations import Calibration
from amply_capacity.plan.cores import engine_cores
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.memory_items import dram_share, memory_items
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.workload import Workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["needs"]


def needs(demand: Demand, figures: Measured, load: Workload, worlds: Worlds,
          calibrations: Sequence[Calibration] = ()) -> Needs:
    """Raises BadRun where the demand needs a figure that no run holds."""
    counted = {
        "session_bytes": load.sessions,
        "index_bytes": load.users,
        "counter_bytes": load.counters,
        "cached_bytes": load.cached,
        "result_bytes": load.results,
        "connection_bytes": load.connections,
    }
    used = [name for name, count in counted.items() if count.any()]
    operations = [name for name, rate in load.per_user_per_second.items() if rate.any()]
    figures.require(used, operations)
    items = memory_items({name: counted[name] for name in used}, figures, demand, load, worlds)
    rounds, bytes_in, bytes_out = _per_user(figures, load, operations)
    framing = rounds * worlds.draw("prior.framing_bytes", FRAMING_BYTES)
    # One draw for all families: what is not known of the host is common to them.
    factors = {family: worlds.draw("prior.node_cpu", factor) for family, factor in cpu_factors(
        [one.observation for one in calibrations]).items()}
    return Needs(
        memory_items=items,
        free_factor=_free_factor(demand.slo.free_memory_percent, worlds),
        connections=load.connections,
        users=load.active_users,
        bits_in_per_user=8.0 * (bytes_in + framing),
        bits_out_per_user=8.0 * (bytes_out + framing),
        stream_bits_per_user=8.0 * bytes_in,
        cores=engine_cores(figures, load, operations, worlds,
                           demand.allowed.shards if demand.application.cluster_mode else 1),
        cpu_factor=factors,
        peak_to_mean=load.peak_to_mean,
        day_peak_to_mean=load.day_peak_to_mean,
        weekend_to_weekday=load.weekend_to_weekday,
        # No node that is sold changes it: its spread would only hide what nodes do.
        network_p99_ms=np.full(worlds.count, NETWORK_P99_MS.mid),
        sessions=load.sessions,
        imbalance=worlds.draw("prior.shard_imbalance", SHARD_IMBALANCE, 1.0),
        dram_share=dram_share(items, {name: counted[name] for name in used}, demand, worlds),
        measured_engine=figures.engine,
        other_engine={"bytes": worlds.draw("prior.other_engine_bytes", OTHER_ENGINE_BYTES),
                      "cpu": worlds.draw("prior.other_engine_cpu", OTHER_ENGINE_CPU)},
    )


def _per_user(figures: Measured, load: Workload, operations: list[str]) -> tuple[Floats, Floats, Floats]:
    """Round trips, request bytes and reply bytes a second of one registered user, each of shape (worlds,)."""
    totals = np.zeros((3, load.peak_to_mean.size))
    for name in operations:
        cost = figures.operations[name]
        totals += np.outer([figures.trips[name].count, cost.bytes_in, cost.bytes_out],
                           load.per_user_per_second[name])
    return totals[0], totals[1], totals[2]


def _free_factor(free_percent: Interval, worlds: Worlds) -> Floats:
    """What an uncertain share of free memory asks for over its median, which the capacity has taken off."""
    wanted = np.minimum(worlds.draw("slo.free_memory_percent", free_percent), 99.0)
    return (100.0 - free_percent.mid) / (100.0 - wanted)
