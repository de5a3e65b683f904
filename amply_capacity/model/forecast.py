"""What a run will show, from runs before it, and what it then showed: the same figures by the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.cpu_curve import curve_of
from amply_capacity.model.cpu_samples import cpu_samples
from amply_capacity.model.latency_curve import latency_curve
from amply_capacity.model.monitoring import monitoring_of
from amply_capacity.model.network import mix_bytes, network_costs
from amply_capacity.model.operation_times import quantile_within_us
from amply_capacity.model.trips import mixed_trips, operation_trips
from amply_capacity.run.reader import Run
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["BYTES_IN", "BYTES_OUT", "CPU", "Forecast", "forecasts", "outcomes"]

CPU, BYTES_IN, BYTES_OUT = "CPU per command", "request bytes per operation", "reply bytes per operation"
_QUANTILES = {"p50 response time": 0.5, "p99 response time": 0.99}


@dataclass(frozen=True, slots=True)
class Forecast:
    """One figure of a run that has not been made."""

    quantity: str
    unit: str
    predicted: Interval


def forecasts(runs: Sequence[Run], operations_per_second: Mapping[str, float],
              seconds: float | None = None) -> list[Forecast]:
    """CPU, bytes and response times of a run of these operations, by name, as long as `seconds`.

    A response time that cannot be told is left out. Raises BadRun where the runs tell nothing of it.
    """
    whole = [run for run in runs if run.verdict == "complete"]
    if not whole:
        raise BadRun("nothing can be predicted from these runs",
                     got=", ".join(f"{run.name}: {run.verdict}" for run in runs) or "no run",
                     do="give a run that was recorded to its end")
    rates = {name: rate for name, rate in operations_per_second.items() if rate > 0.0}
    trips = {name: each for run in whole for name, each in operation_trips(run).items()}
    asked = mixed_trips(trips, rates)
    curve = curve_of(whole)
    cpu = curve.us_per_command(asked.count, asked.commands_per_round, of_a_run=True)
    costs = network_costs(max(whole, key=lambda run: str(run.manifest["started_at"])))
    told = mix_bytes(costs, rates, another_population=True, seconds=seconds)
    of_one = 1.0 / sum(rates.values())
    found = [Forecast(CPU, "µs", cpu), *(Forecast(name, "B", each.scaled(of_one)) for name, each in zip(
        (BYTES_IN, BYTES_OUT), told, strict=True))]
    if any(run.manifest["arrivals"] != "closed" for run in whole):
        latency = latency_curve(whole, curve).mixed(rates)
        values = latency.quantiles(sum(rates.values()), list(_QUANTILES.values()))
        found += [Forecast(name, "ms", each.value_ms) for name, each in zip(_QUANTILES, values, strict=True)
                  if each.value_ms is not None and np.isfinite(each.value_ms.high)]
    return found


def outcomes(run: Run) -> dict[str, float]:
    """What the run showed of each; what it does not tell is missing."""
    found = {}
    samples = cpu_samples(run)
    if samples:
        seconds = [one.seconds for one in samples]
        commands = np.average([one.commands_per_second for one in samples], weights=seconds)
        found[CPU] = float(1e6 * np.average([one.cores for one in samples], weights=seconds) / commands)
    counted = run.in_sound_samples(run.server).dropna(subset=["NetworkBytesIn", "NetworkBytesOut"])
    own = monitoring_of(run)
    requests = run.sound_requests
    requests = requests[requests["command"] == ""]
    done = float(requests.loc[requests["clock"] == "service", "count"].sum()) / len(run.sound_seconds)
    if len(counted) and own is not None and done:
        nodes = counted["node"].nunique()
        found[BYTES_IN] = nodes * (float(counted["NetworkBytesIn"].mean()) - own.request_bytes) / done
        found[BYTES_OUT] = nodes * (float(counted["NetworkBytesOut"].mean()) - own.reply_bytes.mid) / done
    rows = requests[(requests["clock"] == "response") & ~requests["outcome"].isin(FAILED_OUTCOMES)]
    if len(rows):
        times = rows.groupby("bucket_us")["count"].sum()
        uppers, counts = times.index.to_numpy(dtype=np.float64), times.to_numpy(dtype=np.float64)
        found |= {name: quantile_within_us(uppers, counts, q) / 1000.0 for name, q in _QUANTILES.items()}
    return found
