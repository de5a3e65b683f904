"""Operations in their shares, and what one of them asks of the server in the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amply_capacity.errors import BadRun
from amply_capacity.model.operation_times import OperationTimes

__all__ = ["OperationMix"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OperationMix:
    """Operations of one or several use cases, as an open loop showed them."""

    operations: tuple[OperationTimes, ...]

    @property
    def rounds_per_operation(self) -> float:
        return sum(one.share * one.rounds for one in self.operations)

    @property
    def commands_per_operation(self) -> float:
        return sum(one.share * sum(trip.per_operation * (trip.asked.count("+") + 1) for trip in one.trips)
                   for one in self.operations)

    @property
    def round_trip_ms(self) -> float:
        """Mean response time of a round trip in that loop."""
        return sum(one.share * one.mean_us for one in self.operations) / self.rounds_per_operation / 1000.0

    @property
    def commands_per_round(self) -> Mapping[str, float]:
        """In a mean round trip, by command as commandstats names it."""
        found: dict[str, float] = {}
        for one in self.operations:
            for trip in one.trips:
                for name in trip.asked.lower().split("+"):
                    found[name] = found.get(name, 0.0) + one.share * trip.per_operation
        return {name: count / self.rounds_per_operation for name, count in sorted(found.items())}

    @property
    def execution_us(self) -> float:
        """Of a mean round trip of this mix."""
        return sum(one.share * trip.per_operation * trip.execution_us
                   for one in self.operations for trip in one.trips) / self.rounds_per_operation

    def mixed(self, shares: Mapping[str, float]) -> OperationMix:
        """The same operations in other shares, by name; raises BadRun where one was not recorded."""
        known = {one.operation: one for one in self.operations}
        missing = sorted(set(shares) - set(known))
        if missing:
            raise BadRun("the runs do not show every operation of that mix", got=f"no {', '.join(missing)}",
                         do="record a run that has them, e.g. loadtests/mixed.py with --mix")
        total = sum(shares.values())
        return OperationMix(tuple(
            replace(known[name], share=share / total) for name, share in shares.items() if share > 0.0))

    def asked(self, kinds: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
        """Where each operation's round trips stand, shape (operations + 1,), and their executions, µs.

        A part of a round trip is a chance of one.
        """
        which: list[Ints] = []
        execution: list[Floats] = []
        for number, one in enumerate(self.operations):
            ours = np.flatnonzero(kinds == number)
            for trip in one.trips:
                whole, rest = divmod(trip.per_operation, 1.0)
                times = int(whole) + (rng.random(len(ours)) < rest)
                which.append(np.repeat(ours, times))
                execution.append(np.full(len(which[-1]), trip.execution_us))
        placed = np.concatenate(which)
        order = np.argsort(placed, kind="stable")
        return np.searchsorted(placed[order], np.arange(len(kinds) + 1)), np.concatenate(execution)[order]
