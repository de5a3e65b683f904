"""Month by month: which node type each world has by then, and what it pays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.plan.options import Option
from amply_capacity.plan.worlds import Floats

__all__ = ["Month", "Path", "Upgrade", "cheapest_of", "month_names", "path", "projection", "upgrades"]

Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

_DIGITS = 4
"""Of a bill in dollars."""


@dataclass(frozen=True, slots=True)
class Path:
    """`types[w, m]` is the type of world w in month m + 1, an index into the candidates from cheap to dear.

    `unserved[w, m]` says that nothing offered was enough; the world then stands at the dearest type, though
    what it would really pay (for several shards) is not known.
    """

    types: Indices
    unserved: Bools


@dataclass(frozen=True, slots=True)
class Month:
    """`node_type` is the one that the world of median cost pays for.

    A bill is None where that world needs more than one shard: then nobody here knows it.
    """

    month: str
    node_type: str
    """Or `serverless`, which has no shards."""
    shards: int | None
    usd_low: float | None
    usd_mid: float | None
    usd_high: float | None
    usd_lower: float | None
    usd_upper: float | None
    """Of the 25 % and 75 % worlds: half of them lie between, and 90 % between `usd_low` and `usd_high`."""
    nothing_fits: float
    """Share of the worlds in which no offered type is enough."""

    def as_json(self) -> dict[str, Any]:
        bills = {"usd_low": self.usd_low, "usd_mid": self.usd_mid, "usd_high": self.usd_high,
                 "usd_lower": self.usd_lower, "usd_upper": self.usd_upper}
        return {"month": self.month, "node_type": self.node_type, "shards": self.shards,
                **{name: None if usd is None else round(usd, 4) for name, usd in bills.items()},
                "nothing_fits": round(self.nothing_fits, 4)}


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A month in which the median world changes its type."""

    month: str
    before: Option
    after: Option
    constraint: str
    """What the old type has least of by then."""
    act_by: str
    """The first month in which more worlds have left the old type than the plan's confidence leaves open."""
    probability_by_month: tuple[tuple[str, float], ...]
    """Share of the worlds that have left the old type, and all cheaper ones, by each month."""

    def as_json(self) -> dict[str, Any]:
        return {
            "month": self.month,
            "from": self.before.name_in(self.after),
            "to": self.after.name_in(self.before),
            "constraint": self.constraint,
            "act_by": self.act_by,
            "probability_by_month": {month: round(share, 4) for month, share in self.probability_by_month},
        }


def month_names(start: date, count: int) -> tuple[str, ...]:
    """`2026-12` and on: the `count` months after that of `start`."""
    first = start.year * 12 + start.month
    return tuple(f"{month // 12}-{month % 12 + 1:02d}" for month in range(first, first + count))


def cheapest_of(enough: Sequence[Bools]) -> Indices:
    """The first candidate that is enough, or their number where none is, (worlds, months)."""
    passed = np.ones(enough[0].shape, dtype=np.bool_)
    cheapest = np.zeros(enough[0].shape, dtype=np.int16)
    for holds in enough:
        passed &= ~holds
        cheapest += passed
    return cheapest.astype(np.intp)


def path(enough: Sequence[Bools], start: int) -> Path:
    """Each world begins at `start` and, whenever its type is not enough, goes up to the cheapest that is.

    `enough[i]` says where candidate i, counted from cheap to dear, has enough: shape (worlds, months). No
    world ever goes down, so on demand a month never costs less than the one before.
    """
    stacked, cheapest = np.stack(enough), cheapest_of(enough)
    candidates, worlds, months = stacked.shape
    types = np.empty((worlds, months), dtype=np.intp)
    unserved = np.zeros((worlds, months), dtype=np.bool_)
    now = np.full(worlds, start, dtype=np.intp)
    every, position = np.arange(worlds), np.arange(candidates)[:, None]
    for month in range(months):
        short = np.flatnonzero(~stacked[now, every, month])
        to = cheapest[short, month]
        down = np.flatnonzero(to < now[short])  # what is cheaper is left for good
        dearer = stacked[:, short[down], month] & (position > now[short[down]])
        to[down] = np.where(dearer.any(axis=0), dearer.argmax(axis=0), candidates)
        now[short] = np.minimum(to, candidates - 1)
        unserved[short, month] = to == candidates
        types[:, month] = now
    return Path(types, unserved)


def projection(taken: Path, options: Sequence[Option], months: Sequence[str],
               paid_usd: Floats) -> tuple[Month, ...]:
    """What is paid in each month by the 5, 25, 50, 75 and 95 % worlds: each a bill that some world has.

    `paid_usd` is (worlds, months); the worlds that nothing serves rank above all others.
    """
    usd = np.where(taken.unserved, np.inf, paid_usd)
    ranked = np.lexsort((taken.types, np.round(usd, _DIGITS)), axis=0)
    places = [math.ceil(share * len(usd)) - 1 for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    nothing = taken.unserved.mean(axis=0)
    found = []
    for m, name in enumerate(months):
        worlds = ranked[places, m]
        low, lower, mid, upper, high = (
            None if taken.unserved[world, m] else round(float(usd[world, m]), _DIGITS) for world in worlds)
        held = options[taken.types[worlds[2], m]]
        found.append(Month(name, held.node.name, held.shards, low, mid, high, lower, upper,
                           float(nothing[m])))
    return tuple(found)


def upgrades(taken: Path, options: Sequence[Option], months: Sequence[str], first: int, confidence: float,
             short_of: Callable[[Option, int], str]) -> tuple[Upgrade, ...]:
    """The median world's changes from option `first` on; `short_of(option, row)` names the constraint."""
    median = np.minimum(np.quantile(np.where(taken.unserved, len(options), taken.types), 0.5, axis=0,
                                    method="inverted_cdf").astype(int), len(options) - 1)
    found = []
    present = first
    for row, now in enumerate(median):
        if now != present:
            left = (taken.types > present).mean(axis=0)
            by_month = tuple(zip(months, map(float, left), strict=True))
            act_by = next((month for month, share in by_month if share > 1.0 - confidence), months[row])
            found.append(Upgrade(months[row], options[present], options[now], short_of(options[present], row),
                                 act_by, by_month))
            present = int(now)
    return tuple(found)
