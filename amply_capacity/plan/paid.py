"""What the worlds pay along a path: by the month where nothing binds, else each reservation to its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amply_capacity.catalog.nodes import NodeType
from amply_capacity.catalog.prices import term_months
from amply_capacity.plan.needs import Indices
from amply_capacity.plan.options import Option
from amply_capacity.plan.projection import Path
from amply_capacity.plan.reservations import covers, units_of
from amply_capacity.plan.worlds import Floats

__all__ = ["paid_usd"]

_NOTHING = 1e-9
"""Of what runs: a share that only rounding leaves uncovered."""


def paid_usd(path: Path, options: Sequence[Option], start: int = 0, first: Option | None = None,
             held_months: int = 0) -> Floats:
    """Nodes of each world on its path, USD, (worlds, months).

    `first` is what stands at `start`, bought in the first month at a term of its own, and only then are the
    way's terms taken: on demand it is held for so many months, a reservation to its end. What runs and no
    reservation covers is bought at the term of the way's option; where that binds too, for its whole term.
    Within a family a reservation counts for its normalized units, in another one it is paid for nothing.
    """
    bought = _Bought(*path.types.shape)
    on_demand_months = 0
    if first is not None and term_months(first.term):
        bought.reserve(np.arange(len(path.types)), 0, first, np.ones(len(path.types)))
    elif first is not None:
        on_demand_months = held_months
    for month in range(path.types.shape[1]):
        types = path.types[:, month]
        for place in np.unique(types):
            rows = np.flatnonzero(types == place)
            option = options[place]
            if first is not None and place == start and month < on_demand_months:
                option = first
            bought.run(rows, month, option)
    return bought.usd


class _Bought:
    """What is paid by world and month, and the normalized units that are reserved."""

    def __init__(self, worlds: int, months: int) -> None:
        self.usd: Floats = np.zeros((worlds, months))
        self._reserved: dict[tuple[str, str], tuple[NodeType, Floats]] = {}
        """By family and engine: a node of it, and the units."""

    def run(self, rows: Indices, month: int, option: Option) -> None:
        """These worlds have the option in that month, and buy what is not covered of it."""
        rest = 1.0 - self._units(rows, month, option) / _units_of(option)
        rest = np.where(rest > _NOTHING, rest, 0.0)
        if term_months(option.term):
            some = rest > 0.0
            self.reserve(rows[some], month, option, rest[some])
        else:
            self.usd[rows, month] += rest * option.usd_per_month

    def reserve(self, rows: Indices, month: int, option: Option, share: Floats) -> None:
        """That share of the option is paid, and there, until its term ends."""
        held = slice(month, month + (term_months(option.term) or 0))
        _, units = self._reserved.setdefault((option.node.family, option.engine),
                                             (option.node, np.zeros_like(self.usd)))
        self.usd[rows, held] += share[:, None] * option.usd_per_month
        units[rows, held] += share[:, None] * _units_of(option)

    def _units(self, rows: Indices, month: int, option: Option) -> Floats:
        found = np.zeros(len(rows))
        for (_, engine), (node, units) in self._reserved.items():
            if covers(node, engine, option.node, option.engine):
                found += units[rows, month]
        return found


def _units_of(option: Option) -> float:
    return option.nodes * float(units_of(option.node, option.engine))
