"""A line of an accuracy table: what was predicted, what was then measured, and how near it had to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.claim import Experiment

__all__ = ["Row", "rows_of", "table_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """One prediction and its measurement."""

    quantity: str
    case: str
    predicted: float
    low: float
    high: float
    measured: float
    unit: str
    allowed: str
    """The error that it may have, e.g. `0.2 %`; empty for a row that is told and not judged."""
    error_percent: float
    """Predicted over measured, less 100."""
    is_inside: bool
    """Whether the interval held what was measured."""
    is_near_enough: bool


def rows_of(experiments: Sequence[Experiment]) -> list[Row]:
    """Measure each of them; their predictions were made when they were."""
    rows = []
    for experiment in experiments:
        for claim, measured in zip(experiment.claims, experiment.measure(), strict=True):
            error, predicted = claim.error(measured), claim.predicted
            rows.append(Row(
                claim.quantity, claim.case, predicted.mid, predicted.low, predicted.high, measured,
                claim.unit, "" if claim.allowed is None else f"{100.0 * claim.allowed:g} %", error,
                predicted.low <= measured <= predicted.high,
                claim.allowed is None or abs(error) <= 100.0 * claim.allowed))
    return rows


def table_of(rows: Sequence[Row]) -> str:
    lines = [f"{'':<30} {'':<52} {'predicted':>14} {'measured':>14} {'error':>8} {'allowed':>8}  inside"]
    lines += [f"{row.quantity:<30} {row.case:<52} {row.predicted:>14,.0f} {row.measured:>14,.0f} "
              f"{row.error_percent:>+6.2f} % {row.allowed:>8}  {'yes' if row.is_inside else 'no'}"
              for row in rows]
    return "\n".join(lines)
