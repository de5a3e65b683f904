"""A reservation along an upgrade path: what it covers of each step, and what the step costs with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from amply_capacity.catalog.prices import term_months
from amply_capacity.plan.bill import HOURS_PER_MONTH, rounded
from amply_capacity.plan.cost import nodes_bill
from amply_capacity.plan.holdings import holdings, payments
from amply_capacity.plan.reservations import NodeHours, Reservation, coverage

__all__ = ["ReservedMonth", "Step", "reserved_path"]


@dataclass(frozen=True, slots=True)
class Step:
    """What runs in one month."""

    engine: str
    node_type: str
    nodes: int


@dataclass(frozen=True, slots=True)
class ReservedMonth:
    """One month of the path; node-hours of 730 hours a node."""

    step: Step
    usd: float
    """The reservation's fee spread over its term, its hours, and what is on demand beyond it."""
    usd_due: float | None
    """What falls due in that month; None where it is not known what is paid upfront."""
    covered_hours: float
    on_demand_hours: float
    wasted_hours: float
    """Of the reserved node type."""


def reserved_path(region: str, steps: Sequence[Step], reservation: Reservation, *,
                  renews: bool = False) -> tuple[ReservedMonth, ...]:
    """What each month costs with a reservation that is bought in the first.

    After its term it is renewed, or all nodes are on demand. A step to another family is covered by nothing,
    and the reservation is still paid. Raises as `nodes_bill` does.
    """
    months = []
    term = term_months(reservation.term)
    for i, step in enumerate(steps):
        held_now = reservation if term is None or i < term or renews else None
        bill = nodes_bill(region, step.engine, step.node_type, step.nodes, reservation=held_now)
        held, _ = holdings(region, step.engine, step.node_type, step.nodes, reservation=held_now)
        paid = [payments(one, i + 1) for one in held]
        due = (None if any(one is None for one in paid) else
               rounded(sum((one[i].hourly + one[i].upfront for one in paid if one is not None), Decimal())))
        running = float(step.nodes * HOURS_PER_MONTH)
        if held_now is None:
            months.append(ReservedMonth(step, bill.usd_per_month, due, 0.0, running, 0.0))
            continue
        reserved = NodeHours(reservation.engine, reservation.node_type,
                             float(reservation.nodes * HOURS_PER_MONTH))
        found = coverage(reserved, [NodeHours(step.engine, step.node_type, running)])
        months.append(ReservedMonth(step, bill.usd_per_month, due, found.covered[0], found.on_demand[0],
                                    found.wasted))
    return tuple(months)
