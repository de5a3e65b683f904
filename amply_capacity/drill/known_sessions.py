"""The sessions that stood there before the load began, without those that may have expired since."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from amply_capacity.traffic.population import Population, PopulationShape
from amply_capacity.traffic.prefill import prefill_plan

__all__ = ["filled_in_sessions"]

_FILLING_SECONDS = 300.0
"""The longest that writing them can have taken: their TTLs run from then on."""


def filled_in_sessions(manifest: Mapping[str, Any], checked_s: float) -> list[str]:
    """The keys of the sessions that the pre-fill of a run wrote and that cannot have expired by then.

    They follow from the run's population and seed, TTLs included, as they did when they were written.
    """
    share = float(manifest["prefill"]["share"])
    if share == 0.0:
        return []
    started_s = datetime.fromisoformat(manifest["started_at"]).timestamp()
    least_ttl_s = checked_s - started_s + _FILLING_SECONDS
    plan = prefill_plan(Population(PopulationShape(**manifest["population"])), share,
                        time.time(), counters=0, results=0, cached=0,
                        seed=int(manifest["seed"]))
    sessions = next(one for one in plan if one.name == "sessions")
    return [str(key) for _setex, key, ttl_s, _data in sessions.commands() if float(ttl_s) > least_ttl_s]
