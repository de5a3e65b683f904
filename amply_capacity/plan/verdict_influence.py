"""Which of the uncertain numbers turn the verdict on a replica, and where on the map of two of them it turns.

Held is one number at a time, at its 5 and 95 % quantiles, all others drawn as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from math import sqrt
from typing import Any

import numpy as np

from amply_capacity.interval import Interval
from amply_capacity.model.availability import Hazards, Month, Recovery, Stake, expected_month, setup_of
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.outages import (
    Money,
    hazards_of,
    money_of,
    recovery_of,
    refill_of,
    stake_of,
    usd_of,
)
from amply_capacity.plan.workload import Workload, workload
from amply_capacity.plan.worlds import Floats, Worlds

__all__ = ["Map", "Swing", "pays_map", "swings"]

_NUMBERS = (
    "failures.per_node_year", "failures.minutes_single", "failures.minutes_replica",
    "failures.reconnect_seconds", "failures.replication_lag_seconds", "failures.refill_seconds",
    "money.usd_per_downtime_minute", "money.usd_per_lost_session", "money.usd_per_breached_slo_minute",
    "users.registered", "users.sessions_per_user", "activity.logins_per_user_day")
"""Those that what the first replica avoids is made of."""
_COST, _RATE = "money.usd_per_downtime_minute", "failures.per_node_year"
"""Those of the map."""
_OF_THE_LOAD = ("users", "activity")
_FIRST = 1
_CELLS = 25
_WORLDS_OF_THE_MAP = 2_000
_BEYOND = 4.0
"""How far the map goes beyond what is thought possible, as a factor."""
_CORNERS = 72
_NINE_OF_TEN = sqrt(4.605)
"""Radius of the disc that holds 90 % of two independent standard-normal numbers."""


@dataclass(frozen=True, slots=True)
class Swing:
    """One number: in which share of the worlds a replica pays while it is held low, and while held high."""

    number: str
    low_value: float
    high_value: float
    at_low: float
    at_high: float

    @property
    def width(self) -> float:
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """All that the first replica's worth is made of, in each world."""

    hazards: Hazards
    recovery: Recovery
    stake: Stake
    money: Money

    @property
    def months(self) -> tuple[Month, Month]:
        """Without and with it."""
        single, replicated = (expected_month(setup_of(count), self.hazards, self.recovery, self.stake)
                              for count in (0, 1))
        return single, replicated

    @property
    def avoided_usd(self) -> Floats:
        """In the plan's first month, (worlds,)."""
        single, replicated = self.months
        return np.asarray((usd_of(single, self.money) - usd_of(replicated, self.money))[:, _FIRST])


@dataclass(frozen=True, slots=True)
class Map:
    """In which share of the worlds a replica pays, by two numbers; the rest is drawn."""

    usd_per_downtime_minute: tuple[float, ...]
    failures_per_year: tuple[float, ...]
    probability: tuple[tuple[float, ...], ...]
    """A row a failure rate, a column a cost."""
    point: tuple[float, float]
    """Cost and rate at their medians."""
    region: tuple[tuple[float, float], ...]
    """Around it: nine of ten worlds lie within."""

    def as_json(self) -> dict[str, Any]:
        return {"usd_per_downtime_minute": [_short(one) for one in self.usd_per_downtime_minute],
                "failures_per_year": [_short(one) for one in self.failures_per_year],
                "probability": [[round(one, 3) for one in row] for row in self.probability],
                "point": [_short(one) for one in self.point],
                "region": [[_short(x), _short(y)] for x, y in self.region]}


def swings(demand: Demand, load: Workload, worlds: Worlds, usd_per_month: float,
           start: date) -> tuple[Swing, ...]:
    """Every uncertain number's, the widest first; `usd_per_month` is the replica's price."""
    soon = replace(demand, plan=replace(demand.plan, horizon_months=_FIRST))
    drawn = _Drawn(hazards_of(soon, worlds), recovery_of(soon, worlds),
                   stake_of(soon, load.until(_FIRST), worlds), money_of(soon, worlds))

    def probability(number: str, value: float) -> float:
        table, _, key = number.partition(".")
        held = replace(soon, **{table: replace(getattr(soon, table), **{key: Interval.exact(value)})})
        if table in _OF_THE_LOAD:
            one = replace(drawn, stake=stake_of(held, workload(held, worlds, start), worlds))
        elif table == "money":
            one = replace(drawn, money=money_of(held, worlds))
        elif key == "per_node_year":
            one = replace(drawn, hazards=hazards_of(held, worlds))
        else:
            one = replace(drawn, recovery=recovery_of(held, worlds))
        return float(np.mean(one.avoided_usd > usd_per_month))

    found = [Swing(number, interval.low, interval.high, probability(number, interval.low),
                   probability(number, interval.high)) for number, interval in _uncertain(demand)]
    return tuple(sorted(found, key=lambda one: -one.width))


def pays_map(demand: Demand, worlds: Worlds, usd_per_month: float, break_even: Mapping[str, float | None],
             start: date) -> Map:
    """Over what is thought possible, and beyond, so that the break-even is to be seen where it is near.

    Of the first worlds: a share of them is within 2 percent points, which no reader sees in a map.
    """
    worlds = replace(worlds, count=min(worlds.count, _WORLDS_OF_THE_MAP))
    demand = replace(demand, plan=replace(demand.plan, horizon_months=_FIRST))
    cost, rate = demand.money.usd_per_downtime_minute, demand.failures.per_node_year
    costs = _axis(cost, break_even["usd_per_downtime_minute"])
    rates = _axis(rate, break_even["failures_per_year"])
    drawn = _Drawn(hazards_of(demand, worlds), recovery_of(demand, worlds),
                   stake_of(demand, workload(demand, worlds, start), worlds),
                   replace(money_of(demand, worlds), downtime_minute=np.zeros((worlds.count, 1))))
    rows = []
    for each in rates:
        held = replace(drawn, hazards=replace(drawn.hazards,
                                              failures_per_year=np.full((worlds.count, 1), each)))
        single, replicated = held.months
        minutes, rest_usd = (single.downtime_minutes - replicated.downtime_minutes)[:, -1], held.avoided_usd
        rows.append(tuple(float(np.mean(minutes * usd + rest_usd > usd_per_month)) for usd in costs))
    return Map(costs, rates, tuple(rows), (cost.mid, rate.mid),
               _region(cost, rate, _correlation(demand, _COST, _RATE)))


def _uncertain(demand: Demand) -> Iterator[tuple[str, Interval]]:
    for number in _NUMBERS:
        table, _, key = number.partition(".")
        value = refill_of(demand) if key == "refill_seconds" else getattr(getattr(demand, table), key)
        if value is not None and not value.is_exact:
            yield number, value


def _axis(interval: Interval, break_even: float | None) -> tuple[float, ...]:
    """Logarithmic steps around the interval; the break-even within, where it is not much farther off."""
    mid = interval.mid if interval.mid > 0.0 else max(interval.high, 1.0) / 2.0
    low, high = max(interval.low, mid / 100.0) / _BEYOND, max(interval.high, mid) * _BEYOND
    if break_even is not None and low / 10.0 <= break_even <= high * 10.0:
        low, high = min(low, break_even / 2.0), max(high, break_even * 2.0)
    return tuple(float(one) for one in np.geomspace(low, high, _CELLS))


def _correlation(demand: Demand, one: str, other: str) -> float:
    """Of the normal scores of two numbers: they are in one group, or in none together."""
    signs = ((group.correlation, group.sign(one), group.sign(other)) for group in demand.correlated)
    return next((share * first * second for share, first, second in signs
                 if first is not None and second is not None), 0.0)


def _region(cost: Interval, rate: Interval, correlation: float) -> tuple[tuple[float, float], ...]:
    angles = np.arange(_CORNERS) * (2.0 * np.pi / _CORNERS)
    first, second = _NINE_OF_TEN * np.cos(angles), _NINE_OF_TEN * np.sin(angles)
    across = cost.at(first)
    up = rate.at(correlation * first + sqrt(1.0 - correlation**2) * second)
    return tuple(zip(map(float, np.maximum(across, 0.0)), map(float, np.maximum(up, 0.0)), strict=True))


def _short(value: float) -> float:
    return float(f"{value:.4g}")
