"""What falls due month by month: upfront fees when they are paid, and again at the end of every term.

A bill spreads an upfront fee over its term; a cash flow does not, and leaves out the fee of a reservation
that is there already. What a last fee pays for after the months shown, and what a reservation binds to pay
after them, is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from amply_capacity.catalog.faults import refuse
from amply_capacity.catalog.prices import term_months
from amply_capacity.errors import BadInput
from amply_capacity.plan.bill import Absent, ServerlessBill, exact, plain, rounded
from amply_capacity.plan.cost import nodes_faults
from amply_capacity.plan.extras import Extras, cluster_extras
from amply_capacity.plan.holdings import Holding, holdings, payments
from amply_capacity.plan.reservations import Reservation
from amply_capacity.plan.versions import parsed_version, support_year

__all__ = ["MOST_MONTHS", "CashFlow", "Due", "month_after", "months_faults", "nodes_cash_flow",
           "serverless_cash_flow"]

MOST_MONTHS = 120


@dataclass(frozen=True, slots=True)
class Due:
    """What falls due in one month, USD."""

    month: str
    """E.g. `2026-12`."""
    usd_hourly: float
    usd_upfront: float
    usd_other: float
    """Backups, traffic, Extended Support, …; of a serverless cache all of its bill."""

    @property
    def usd(self) -> float:
        return float(exact(self.usd_hourly) + exact(self.usd_upfront) + exact(self.usd_other))


@dataclass(frozen=True, slots=True)
class CashFlow:
    """The months in order; none, and a reason in `absent`, where it is not known what is paid upfront."""

    dues: tuple[Due, ...]
    usd_prepaid_beyond: float
    """Of upfront fees that were paid, what is for months after the last one."""
    usd_committed_beyond: float
    """What reservations bind to pay by the hour after the last month."""
    absent: tuple[Absent, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def usd(self) -> float:
        return float(sum((exact(due.usd) for due in self.dues), Decimal()))

    def as_json(self) -> dict[str, Any]:
        keys = ("month", "usd_hourly", "usd_upfront", "usd_other", "usd")
        return {
            "months": [{key: getattr(due, key) for key in keys} for due in self.dues],
            "usd": self.usd if self.dues else None,
            "usd_prepaid_beyond": self.usd_prepaid_beyond if self.dues else None,
            "usd_committed_beyond": self.usd_committed_beyond if self.dues else None,
            "absent": [one.as_json() for one in self.absent],
            "notes": list(self.notes),
        }


def nodes_cash_flow(region: str, engine: str, node_type: str, shards: int, replicas: int, term: str,
                    start: date, months: int, extras: Extras | None = None,
                    reservation: Reservation | None = None) -> CashFlow:
    """What the same cluster makes due in each of so many months from `start`'s on.

    A `term` is bought in the first month and renewed at each of its ends; of a `reservation`, which is there
    already, only renewals are due. Raises as `nodes_bill` does, and BadInput for an impossible number of
    months or an engine that ends before the last of them.
    """
    asked = replace(extras or Extras(), month=start)
    last = month_after(start, max(months - 1, 0) if type(months) is int else 0)
    refuse([*months_faults(months), *_ending_faults(engine, asked.engine_version, last),
            *nodes_faults(region, engine, node_type, shards, replicas, term, asked, reservation)])
    nodes = shards * (1 + replicas)
    held, _ = holdings(region, engine, node_type, nodes, term, reservation)
    if reservation is not None:
        held = (replace(held[0], is_there_already=True), *held[1:])
    paid = [payments(one, months) for one in held]
    known = [one for one in paid if one is not None]
    if len(known) < len(paid):
        return CashFlow((), 0.0, 0.0, tuple(_no_split(one) for one in held if not one.is_split))
    dues: list[Due] = []
    absent: dict[str, Absent] = {}
    for i in range(months):
        month = month_after(start, i)
        lines, missing = cluster_extras(replace(asked, month=month), region, engine, node_type, nodes)
        absent |= {one.what: one for one in missing}
        dues.append(Due(f"{month:%Y-%m}", rounded(sum((one[i].hourly for one in known), Decimal())),
                        rounded(sum((one[i].upfront for one in known), Decimal())),
                        float(sum((exact(line.usd) for line in lines), Decimal()))))
    prepaid, committed = _beyond(held, months)
    return CashFlow(tuple(dues), rounded(prepaid), rounded(committed), tuple(absent.values()),
                    tuple(note for one in held for note in _paid_already(one)))


def serverless_cash_flow(bill: ServerlessBill, start: date, months: int) -> CashFlow:
    """The same bill every month: nothing of a serverless cache is paid upfront."""
    refuse(months_faults(months))
    usd = bill.usd_per_month
    dues = tuple(Due(f"{month_after(start, i):%Y-%m}", 0.0, 0.0, usd) for i in range(months))
    return CashFlow(dues, 0.0, 0.0, bill.absent)


def month_after(start: date, months: int) -> date:
    """The first day of the month so many months after `start`'s."""
    years, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(years, month + 1, 1)


def months_faults(months: int) -> list[BadInput]:
    if type(months) is int and 1 <= months <= MOST_MONTHS:
        return []
    return [BadInput("impossible number of months", got=repr(months), do=f"give 1 to {MOST_MONTHS} months")]


def _ending_faults(engine: str, version: str | None, last: date) -> list[BadInput]:
    parsed = parsed_version(version) if version is not None else None
    if engine != "redis" or parsed is None or support_year(parsed, last) is not None:
        return []
    return [BadInput(f"Redis OSS {version} no longer runs in the last of these months", got=f"{last:%Y-%m}",
                     do="give fewer months, or a newer version")]


def _beyond(held: Sequence[Holding], months: int) -> tuple[Decimal, Decimal]:
    """What is prepaid for, and what is still to be paid in, the rest of a term that the last month breaks."""
    prepaid = committed = Decimal()
    for one in held:
        term = term_months(one.price.term)
        if term is not None and one.price.hourly_usd is not None and one.price.upfront_usd is not None:
            rest = -months % term
            if not one.is_there_already or months > term:
                prepaid += exact(one.price.upfront_usd) * one.nodes * rest / term
            committed += exact(one.price.hourly_usd) * one.node_hours * rest
    return prepaid, committed


def _paid_already(one: Holding) -> Iterator[str]:
    if one.is_there_already and one.price.upfront_usd:
        fee = exact(one.price.upfront_usd) * one.nodes
        yield (f"The reservation's upfront fee, {plain(fee)} USD, is paid already: it is not in here. Its "
               "term is taken to begin with the first month, so it is renewed as late as can be.")


def _no_split(one: Holding) -> Absent:
    found = one.price
    return Absent("cash flow", f"the source gives the effective rate of {found.node_type} at {found.term} in "
                               f"{found.region} only, not what of it is paid upfront ({found.source})")
