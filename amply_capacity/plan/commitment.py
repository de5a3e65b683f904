"""What an option costs while it is held, on the way that each world goes anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.prices import term_months
from amply_capacity.plan.needs import Indices
from amply_capacity.plan.options import Option
from amply_capacity.plan.projection import Path
from amply_capacity.plan.reservations import covers, units_of
from amply_capacity.plan.worlds import Floats

__all__ = ["Commitment", "committed_usd", "mean_usd", "months_held", "own_usd"]

Bools = NDArray[np.bool_]
_ALL = slice(None)


@dataclass(frozen=True)
class Commitment:
    """The way: which of `options` each world has in each month, from the first on."""

    path: Path
    options: Sequence[Option]

    @cached_property
    def prices(self) -> Floats:
        """Of the options, USD a month."""
        return np.array([one.usd_per_month for one in self.options])

    @cached_property
    def path_usd(self) -> Floats:
        """(worlds, months)."""
        return np.asarray(self.prices[self.path.types])

    @cached_property
    def _rests(self) -> dict[int, Floats]:
        return {}

    def usd_from(self, month: int) -> Floats:
        """What the way costs from that month to the last, (worlds,)."""
        if month not in self._rests:
            self._rests[month] = self.path_usd[:, month:].sum(axis=1)
        return self._rests[month]


def committed_usd(option: Option, commitment: Commitment, review_months: int, holds: Bools) -> Floats:
    """Nodes of a world that takes this option now and has enough where it `holds`, both (worlds, months).

    On demand it is held until the review, or until it is not enough. A reservation is paid to its end: what a
    world needs beyond it is bought beside it; within the family it counts for its normalized units, of
    another family it is lost.
    """
    usd = commitment.path_usd.copy()
    held = slice(0, months_held(option.term, review_months, usd.shape[1]))
    usd[:, held] = np.where(holds[:, held], option.usd_per_month,
                            _outgrown_usd(option, commitment)[commitment.path.types[:, held]])
    return usd


def mean_usd(option: Option, commitment: Commitment, review_months: int, holds: Bools,
             rows: Indices | slice = _ALL) -> Floats:
    """The mean of the months of `committed_usd` in these worlds, (rows,).

    `holds` is where the option is enough, (rows, months); only worlds that outgrow it are gone through.
    """
    months = commitment.path.types.shape[1]
    held = months_held(option.term, review_months, months)
    usd = option.usd_per_month * held + commitment.usd_from(held)[rows]
    short = ~holds[:, :held]
    outgrown = np.flatnonzero(short.any(axis=1))
    if outgrown.size:
        worlds = outgrown if isinstance(rows, slice) else rows[outgrown]
        more = _outgrown_usd(option, commitment) - option.usd_per_month
        types = commitment.path.types.take(worlds, axis=0)[:, :held]
        usd[outgrown] += (more[types] * short[outgrown]).sum(axis=1)
    return np.asarray(usd / months)


def own_usd(option: Option, horizon_months: int, holds: Bools) -> float:
    """What of `mean_usd` is paid for the option itself, expected: what a fall of its price takes a share of.

    `holds` is where it is enough while it is held, (worlds, months held). A reservation is paid to its end,
    on demand only months in which it is enough; the way afterwards is the same for every option.
    """
    worlds, held = holds.shape
    paid = worlds * held if term_months(option.term) else int(np.count_nonzero(holds))
    return float(option.usd_per_month * paid / (worlds * horizon_months))


def months_held(term: str, review_months: int, horizon_months: int) -> int:
    """Until the review or to the reservation's end, whichever is later."""
    return min(max(term_months(term) or 0, review_months), horizon_months)


def _outgrown_usd(option: Option, commitment: Commitment) -> Floats:
    """What is paid where it is not enough, by the option that the way has there."""
    if not term_months(option.term):
        return commitment.prices
    return option.usd_per_month + commitment.prices * _uncovered(option, commitment.options)


def _uncovered(reserved: Option, options: Sequence[Option]) -> Floats:
    """Of the price of each option, what is paid beside the reservation."""
    has = reserved.nodes * units_of(reserved.node, reserved.engine)
    return np.array([
        max(1.0 - float(has / (one.nodes * units_of(one.node, one.engine))), 0.0)
        if covers(reserved.node, reserved.engine, one.node, one.engine) else 1.0 for one in options])
