"""Money and bills as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["bill_text", "usd"]


def usd(amount: float | None) -> str:
    """`$12.41`, `$9,108` from a thousand dollars on; `unknown` where there is no figure."""
    if amount is None:
        return "unknown"
    return f"${amount:,.0f}" if abs(amount) >= 1000 else f"${amount:,.2f}"


def bill_text(bill: Mapping[str, Any]) -> str:
    """A bill for a terminal: its lines with sources, the sum, and what is not in it."""
    lines = [f"{usd(line['usd']):>12}  {line['quantity']:,g} {line['unit']}  {line['what']}\n"
             f"{'':14}source: {line['source']}, as of {line['as_of']}" for line in bill["lines"]]
    total = f"{usd(bill['usd_per_month']):>12}  a month"
    return "\n".join([*lines, total, *(f"{'':14}{note}" for note in bill["notes"])])
