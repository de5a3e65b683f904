"""What the demand takes one user to ask of Redis, in commands: to be held against production."""

from __future__ import annotations

from datetime import date

import numpy as np

from amply_capacity.errors import BadRun
from amply_capacity.interval import Interval
from amply_capacity.model.evidence import Evidence
from amply_capacity.model.likeness import PerUser
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds

__all__ = ["per_user_of"]

_WORLDS = 2_000
_HOUR_S = 3_600.0


def per_user_of(demand: Demand, evidence: Evidence) -> PerUser:
    """Commands of one registered user an hour, over the demand's worlds, as this test's operations have them.

    Raises BadRun where the test lacks an operation that the demand has.
    """
    worlds = Worlds(_WORLDS, correlated=demand.correlated)
    rates = workload(demand, worlds, date.today()).per_user_per_second
    missing = sorted(name for name, rate in rates.items() if rate.any() and name not in evidence.operations)
    if missing:
        raise BadRun(f"run {evidence.run_id} does not hold every operation of the demand",
                     got=f"no {', '.join(missing)}", do="record a mixed run, or leave --demand out")
    commands = sum(rate * evidence.operations[name].commands for name, rate in rates.items() if rate.any())
    low, mid, high = np.quantile(_HOUR_S * np.asarray(commands), [0.05, 0.5, 0.95])
    return PerUser(demand.users.registered, Interval(float(low), float(mid), float(high)))
