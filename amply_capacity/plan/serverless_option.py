"""ElastiCache Serverless as an option beside nodes: it is never too small, and its bill follows the load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from amply_capacity.catalog.serverless import serverless
from amply_capacity.errors import NotOffered
from amply_capacity.plan.bill import ServerlessBill
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.measured import Measured
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Excuse
from amply_capacity.plan.projection import Month
from amply_capacity.plan.serverless_bill import serverless_bill
from amply_capacity.plan.serverless_need import ServerlessNeed, serverless_need
from amply_capacity.plan.workload import Workload

__all__ = ["ServerlessOption", "serverless_excuse", "serverless_months", "serverless_options"]


@dataclass(frozen=True, slots=True, eq=False)
class ServerlessOption:
    """A serverless cache of one engine. It spreads over several zones by itself."""

    engine: str
    need: ServerlessNeed
    term: ClassVar[str] = "on_demand"

    @property
    def name(self) -> str:
        return f"serverless, {self.engine}"

    @property
    def usd_per_month(self) -> float:
        """Of the first month, in the median world."""
        return float(np.median(self.need.usd[:, 0]))

    def bill(self, region: str) -> ServerlessBill:
        """Of the first month: the medians of what is held and of what is asked for."""
        gb, ecpus = (float(f"{np.median(values[:, 0]):.6g}") for values in (self.need.gb, self.need.ecpus))
        return serverless_bill(region, self.engine, gb, ecpus)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "serverless", "node_type": None, "engine": self.engine, "shards": None,
                "replicas": None, "term": self.term}


def serverless_options(demand: Demand, figures: Measured, load: Workload,
                       need: Needs) -> Iterator[ServerlessOption]:
    """One for each engine of the demand, where nothing speaks against it but maybe its price."""
    for engine in demand.engines:
        if serverless_excuse(demand, engine) is None:
            yield ServerlessOption(engine, serverless_need(
                serverless(demand.cluster.region, engine), figures, load, need, engine))


def serverless_excuse(demand: Demand, engine: str) -> Excuse | None:
    """Why it may not be chosen at all; None where it may."""
    def excuse(constraint: str, reason: str) -> Excuse:
        return Excuse("serverless", constraint, reason, engine)

    if "serverless" not in demand.allowed.kinds:
        return excuse("allowed", f"the demand allows {' and '.join(demand.allowed.kinds)}")
    if not demand.application.cluster_mode:
        return excuse("application", "it runs in cluster mode, which this application cannot: logging out "
                                     "everywhere deletes many keys at once, and Celery's results need one "
                                     "keyspace")
    try:
        serverless(demand.cluster.region, engine)
    except NotOffered as error:
        return excuse("price", error.what)
    return None


def serverless_months(option: ServerlessOption, months: tuple[str, ...]) -> tuple[Month, ...]:
    """What is paid in each month by the 5, 25, 50, 75 and 95 % worlds."""
    low, lower, mid, upper, high = np.quantile(option.need.usd, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    return tuple(Month(name, "serverless", None, usd_low=float(low[m]), usd_lower=float(lower[m]),
                       usd_mid=float(mid[m]), usd_upper=float(upper[m]), usd_high=float(high[m]),
                       nothing_fits=0.0) for m, name in enumerate(months))
