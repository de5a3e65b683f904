"""The demand's keys as classes that are used alike, and how many of each have expired and still take room."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from amply_capacity.interval import Interval
from amply_capacity.model.expiry import standing_keys
from amply_capacity.model.synthesis import KeyClass
from amply_capacity.plan.workload import CACHED_TTL_S, COUNTER_TTL_S, RESULT_TTL_S, Workload
from amply_capacity.traffic.population import PopulationShape
from amply_capacity.traffic.sessions import SESSION_TTL_SECONDS

__all__ = ["key_classes", "unreclaimed_shares"]

_LAWS = PopulationShape(1, 1, 1)
"""How unevenly users, organisations and API keys are asked for: as the load test assumes."""


def key_classes(load: Workload, world: int = 0, month: int = 0,
                bytes_of: Callable[[str], int] = lambda name: 1) -> list[KeyClass]:
    """Sessions, counters, cached values and results at the peak hour of a month, in one world."""
    rate = {name: float(load.operations_per_second(name, peak=True)[world, month])
            for name in load.per_user_per_second}
    looks = rate["validate"] + rate["touch"]
    return [
        KeyClass("sessions", "session", round(load.sessions[world, month]), looks + rate["touch"],
                 bytes_of("sessions"), float(SESSION_TTL_SECONDS), _LAWS.user_zipf,
                 rewritten_share=rate["touch"] / max(looks + rate["touch"], 1e-9)),
        KeyClass("counters", "counter", max(round(load.api_keys[world, month]), 1), rate["check"],
                 bytes_of("counters"), COUNTER_TTL_S, _LAWS.api_key_zipf),
        KeyClass("cached", "cached", max(round(load.organisations[world, month]), 1), rate["cached_read"],
                 bytes_of("cached"), CACHED_TTL_S, _LAWS.organisation_zipf),
        KeyClass("results", "written", 0, rate["store_result"], bytes_of("results"), RESULT_TTL_S),
    ]


def unreclaimed_shares(load: Workload, world: int = 0, month: int = 0) -> Mapping[str, Interval]:
    """Expired keys that are still there, over those that live, by class; a class without keys is missing.

    Redis' cycle looks at few keys a second where few of them have expired: what is not asked for again stays
    (`model.expiry`).
    """
    found = standing_keys(key_classes(load, world, month), seeds=1)
    return {one.name: one.unreclaimed.scaled(1.0 / one.live) for one in found if one.live > 0.0}
