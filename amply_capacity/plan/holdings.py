"""How nodes are paid for: at one term, or with a reservation first and on demand beyond it.

A holding is a number of nodes at one price for all hours of a month. The month's lines and the cash flow of
several months are both made of holdings, so they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from amply_capacity.catalog.prices import Price, price, term_months
from amply_capacity.plan.bill import HOURS_PER_MONTH, BillLine, exact, line, plain
from amply_capacity.plan.reservations import NodeHours, Reservation, coverage

__all__ = ["Holding", "Payment", "holding_lines", "holdings", "payments"]


@dataclass(frozen=True, slots=True)
class Holding:
    """Nodes at one price; a fraction of a node is one that runs a fraction of the hours at it."""

    price: Price
    nodes: Decimal
    is_there_already: bool = False
    """Reserved before the first month: the upfront fee of its present term is paid."""

    @property
    def node_hours(self) -> Decimal:
        """Of one month."""
        return self.nodes * HOURS_PER_MONTH

    @property
    def is_split(self) -> bool:
        """Whether it is known what is paid every hour and what upfront."""
        return self.price.hourly_usd is not None and self.price.upfront_usd is not None

    @property
    def usd_per_month(self) -> Decimal:
        """An upfront fee spread over the term; not rounded."""
        return sum((charge.usd for charge in _charges(self)), Decimal())


@dataclass(frozen=True, slots=True)
class Payment:
    """What falls due in one month, USD."""

    hourly: Decimal
    upfront: Decimal


def holdings(region: str, engine: str, node_type: str, nodes: int, term: str = "on_demand",
             reservation: Reservation | None = None) -> tuple[tuple[Holding, ...], tuple[str, ...]]:
    """How `nodes` running nodes are paid for, and what has to be said of it.

    A reservation is paid for whether it is used or not; what it does not cover of the nodes is on demand.
    Raises NotOffered where a price is not known.
    """
    if reservation is None:
        return (Holding(price(region, engine, node_type, term), Decimal(nodes)),), ()
    month = HOURS_PER_MONTH
    reserved = NodeHours(reservation.engine, reservation.node_type, float(reservation.nodes * month))
    found = coverage(reserved, [NodeHours(engine, node_type, float(nodes * month))])
    held = [Holding(price(region, reservation.engine, reservation.node_type, reservation.term),
                    Decimal(reservation.nodes))]
    notes = [f"The reservation covers {plain(found.covered[0])} of {nodes * month} node-hours of "
             f"{node_type}."]
    if found.on_demand[0] > 0.0:
        held.append(Holding(price(region, engine, node_type), exact(found.on_demand[0]) / month))
    if found.wasted > 0.0:
        notes.append(f"Of the reservation {plain(found.wasted)} node-hours of {reservation.node_type} are "
                     "paid for and used by no node of this bill.")
    return tuple(held), tuple(notes)


class _Charge(NamedTuple):
    """One kind of charge in a month."""

    what: str
    quantity: Decimal
    unit: str
    rate_usd: Decimal
    usd: Decimal


def holding_lines(held: Holding) -> tuple[BillLine, ...]:
    """The month's lines: what is paid by the hour, and the month's share of an upfront fee."""
    found = held.price
    is_said = not found.basis or found.basis == found.source
    source = found.source if is_said else f"{found.source} ({found.basis})"
    shown = held.nodes if held.nodes == held.nodes.to_integral() else round(held.nodes, 4)
    label = f"{plain(shown)} × {found.node_type}, {found.engine}, {found.region}, {found.term}"
    return tuple(line(f"{label}: {charge.what}", charge.quantity, charge.unit, charge.rate_usd, source,
                      found.as_of, charge.usd) for charge in _charges(held))


def payments(held: Holding, months: int) -> tuple[Payment, ...] | None:
    """What falls due in each of so many months, bought at the start of the first and renewed at every end.

    Of what is there already only the renewals fall due; its term is taken to begin with the first month, too.
    None where it is not known what of a reservation is paid upfront.
    """
    found, term = held.price, term_months(held.price.term)
    if found.hourly_usd is None or found.upfront_usd is None:
        return None
    hourly, fee = exact(found.hourly_usd) * held.node_hours, exact(found.upfront_usd) * held.nodes
    fees = range(term if held.is_there_already else 0, months, term) if term is not None else ()
    return tuple(Payment(hourly, fee if month in fees else Decimal()) for month in range(months))


def _charges(held: Holding) -> Sequence[_Charge]:
    found, months = held.price, term_months(held.price.term)

    def by_the_hour(kind: str, rate_usd: float) -> _Charge:
        rate = exact(rate_usd)
        what = f"{kind} {plain(rate)} USD per node-hour"
        return _Charge(what, held.node_hours, "node-hour", rate, rate * held.node_hours)

    if found.hourly_usd is None or found.upfront_usd is None:
        return [by_the_hour("effective rate", found.effective_hourly_usd)]
    charges = []
    if found.hourly_usd > 0.0 or not found.upfront_usd:
        charges.append(by_the_hour("hourly rate", found.hourly_usd))
    if found.upfront_usd and months is not None:
        fee = exact(found.upfront_usd)
        what = f"upfront fee {plain(fee)} USD a node, spread over {months} months"
        charges.append(_Charge(what, held.nodes, "node-month", fee / months, fee * held.nodes / months))
    return charges
