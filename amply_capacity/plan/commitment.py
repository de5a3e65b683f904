"""What an option costs while it is held, on the way that each world goes anyway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from amply_capacity.catalog.prices import term_months
from amply_capacity.plan.options import Option
from amply_capacity.plan.projection import Path
from amply_capacity.plan.reservations import covers, units_of
from amply_capacity.plan.worlds import Floats

__all__ = ["Commitment", "committed_usd", "least_usd"]


@dataclass(frozen=True)
class Commitment:
    """The way: which of `options` each world has in each month, and where an option would still be enough."""

    path: Path
    options: Sequence[Option]
    enough: Callable[[Option], NDArray[np.bool_]]
    """(worlds, months) from the first month on."""

    @cached_property
    def path_usd(self) -> Floats:
        """(worlds, months)."""
        return np.array([one.usd_per_month for one in self.options])[self.path.types]

    @cached_property
    def _rests(self) -> dict[int, Floats]:
        return {}

    def usd_from(self, month: int) -> Floats:
        """What the way costs from that month to the last, (worlds,)."""
        if month not in self._rests:
            self._rests[month] = self.path_usd[:, month:].sum(axis=1)
        return self._rests[month]


def committed_usd(option: Option, commitment: Commitment, review_months: int) -> Floats:
    """Nodes of a world that takes this option now, (worlds, months).

    On demand it is held until the review, or until it is not enough. A reservation is paid to its end: what a
    world needs beyond it is bought beside it; within the family it counts for its normalized units, of
    another family it is lost.
    """
    usd = commitment.path_usd.copy()
    bound = term_months(option.term) or 0
    holds = commitment.enough(option)
    held = slice(0, max(bound, review_months))
    beside = usd[:, held]
    if bound:
        beside = option.usd_per_month + beside * _uncovered(option, commitment.options)[
            commitment.path.types[:, held]]
    usd[:, held] = np.where(holds[:, held], option.usd_per_month, beside)
    return usd


def least_usd(option: Option, commitment: Commitment, review_months: int) -> Floats:
    """The least that a world pays, whether the option is enough or not: mean of the months, (worlds,)."""
    months = commitment.path_usd.shape[1]
    bound = term_months(option.term) or 0
    if bound:
        held = min(max(bound, review_months), months)
        return np.asarray((option.usd_per_month * held + commitment.usd_from(held)) / months)
    held = min(review_months, months)
    return np.asarray((np.minimum(option.usd_per_month, commitment.path_usd[:, :held]).sum(axis=1)
                       + commitment.usd_from(held)) / months)


def _uncovered(reserved: Option, options: Sequence[Option]) -> Floats:
    """Of the price of each option, what is paid beside the reservation."""
    has = reserved.nodes * units_of(reserved.node, reserved.engine)
    return np.array([
        max(1.0 - float(has / (one.nodes * units_of(one.node, one.engine))), 0.0)
        if covers(reserved.node, reserved.engine, one.node, one.engine) else 1.0 for one in options])
