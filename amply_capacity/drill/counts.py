"""Operations of a run that failed or were delayed by what was drilled, by use case."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from amply_capacity.run.histogram import quantile_us
from amply_capacity.run.schema import FAILED_OUTCOMES

__all__ = ["Counts", "counts_of"]

_TIMES_USUAL, _USUAL_QUANTILE, _LEAST_DELAY_US = 2.0, 0.999, 10_000.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Operations from the second of the fault on."""

    operations: int
    failed: int
    delayed: int | None
    """Answered, but more than twice as late as the slowest thousandth before the fault, and 10 ms at least;
    None where nothing was answered before it."""
    delayed_from_ms: float | None
    failed_by_outcome: dict[str, int]


def counts_of(requests: pd.DataFrame, began_s: float, fault_s: float) -> Counts:
    """From rows of the run's requests, all or those of one use case; by whole seconds.

    The first one, in which the load's users start, is no usual second.
    """
    own = requests[(requests["command"] == "") & (requests["clock"] == "response")]
    has_failed = own["outcome"].isin(FAILED_OUTCOMES)
    before = own[own["second"].between(int(began_s) + 1, int(fault_s) - 1) & ~has_failed]
    after = own["second"] >= int(fault_s)
    failed = own[after & has_failed]
    limit_us = None if before.empty else max(_LEAST_DELAY_US, _TIMES_USUAL * quantile_us(
        before["bucket_us"], before["count"], _USUAL_QUANTILE))
    late = own[after & ~has_failed & (own["bucket_us"] > (limit_us or 0.0))]
    return Counts(
        int(own.loc[after, "count"].sum()), int(failed["count"].sum()),
        None if limit_us is None else int(late["count"].sum()),
        None if limit_us is None else round(limit_us / 1000.0, 3),
        {str(name): int(count) for name, count in failed.groupby("outcome")["count"].sum().items()})
