"""What one node costs a month at every term, or why that is not known: what a search over terms asks for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from amply_capacity.catalog.faults import refuse
from amply_capacity.catalog.prices import TERMS, Price, name_faults, term_months, terms_of
from amply_capacity.plan.holdings import Holding
from amply_capacity.plan.savings_plan import SAVINGS_PLAN, savings_plan

__all__ = ["TermPrice", "term_prices"]


@dataclass(frozen=True, slots=True)
class TermPrice:
    """One node at one term; `usd_per_month` or `reason` is None, never both."""

    term: str
    months: int | None
    """Months that it binds; None where it does not."""
    usd_per_month: float | None
    """730 hours, and the upfront fee spread over the term; not rounded."""
    hourly_usd: float | None
    upfront_usd: float | None
    """Both None too where only the effective rate is known: then there is no cash flow."""
    reason: str | None
    source: str | None
    as_of: str | None
    inferred: bool = False
    """Whether a figure is arithmetic from other prices; `basis` says which, and how."""
    basis: str = ""
    """How figures that were not read directly came about; empty where all were."""

    @property
    def caveat(self) -> str:
        """How far a reservation's price may be trusted: its day, and whether it is inferred; else empty."""
        if self.months is None or self.as_of is None:
            return ""
        dated = "bears no date" if self.as_of == "undated" else f"is as of {self.as_of}"
        return f"its price {dated}" + (", inferred at least in part" if self.inferred else "")


def term_prices(region: str, engine: str, node_type: str) -> Mapping[str, TermPrice]:
    """By term, those of `catalog.prices.TERMS` and `savings_plan`, in that order.

    Raises UnknownName (BadInput for several) for unknown names; a known node type that is not sold there has
    a reason at every term.

    Example: `term_prices("us-east-1", "redis", "cache.t3.micro")["1yr_all"].usd_per_month` is 95 / 12.
    """
    refuse(name_faults(region, engine, node_type))
    known = terms_of(region, engine, node_type)
    found = {}
    for term in TERMS:
        if term in known:
            found[term] = _priced(known[term])
        else:
            others = [other for other in TERMS if other in known]
            also = f"prices of {', '.join(others)} are" if others else "no price at all is"
            reason = f"no {term} price of {node_type} for {engine} in {region} is known; {also}"
            found[term] = _unknown(term, term_months(term), reason)
    found[SAVINGS_PLAN] = _unknown(SAVINGS_PLAN, 12, savings_plan(engine, node_type).reason)
    return MappingProxyType(found)


@functools.lru_cache(maxsize=8192)
def _priced(found: Price) -> TermPrice:
    usd = Holding(found, Decimal(1)).usd_per_month
    return TermPrice(found.term, term_months(found.term), float(usd), found.hourly_usd, found.upfront_usd,
                     None, found.source, found.as_of, found.inferred, found.basis)


def _unknown(term: str, months: int | None, reason: str) -> TermPrice:
    return TermPrice(term, months, None, None, None, reason, None, None)
