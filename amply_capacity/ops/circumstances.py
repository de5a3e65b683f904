"""What a configuration does not say, and an audit has to know: the demand's tasks, region and busy hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from amply_capacity.files import DATA_DIR
from amply_capacity.model.connections import Connections
from amply_capacity.traffic.arrivals import BUSIEST

__all__ = ["EXAMPLE_DEMAND", "Circumstances", "circumstances_of"]

EXAMPLE_DEMAND = DATA_DIR / "demand.example.toml"
_DAY_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Of the application, from its demand file; quantities at their medians."""

    origin: str
    """Of these figures, as findings name it."""
    region: str
    region_origin: str
    """Who says so: the demand's file, or the command line."""
    connections: Connections
    """Tasks, worker processes and connections of a pool."""
    peak_to_mean: float
    weekend_to_weekday: float
    busiest_hour_utc: float
    today: date

    def with_pool(self, size: int | None) -> Connections:
        """The connections with the pool that the code has, where it shows one."""
        if size is None:
            return self.connections
        return Connections(self.connections.tasks, self.connections.workers_per_task, size)


def circumstances_of(demand_file: Path | None = None, *, region: str | None = None,
                     busiest_hour_utc: float | None = None, today: date | None = None) -> Circumstances:
    """From a demand file, without one from the example's; what is given beside it goes first.

    The busiest hour is the model's day's, early in the afternoon, taken as UTC, which is what windows are in.
    Raises BadDemand for a file with faults.
    """
    from amply_capacity.plan.demand import load_demand

    path = demand_file or EXAMPLE_DEMAND
    demand = load_demand(path)
    tables = demand.connections
    tasks, workers, pool = (round(one.mid) for one in (
        tables.tasks, tables.workers_per_task, tables.pool_size))
    return Circumstances(
        origin=path.name, region=region or demand.cluster.region,
        region_origin="--region" if region else path.name,
        connections=Connections(tasks, workers, pool),
        peak_to_mean=demand.activity.peak_to_mean.mid,
        weekend_to_weekday=demand.activity.weekend_to_weekday.mid,
        busiest_hour_utc=BUSIEST * _DAY_HOURS if busiest_hour_utc is None else busiest_hour_utc,
        today=today or date.today())
