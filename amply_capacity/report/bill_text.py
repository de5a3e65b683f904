"""A bill and a cash flow for a terminal: aligned tables, their sources below, and what they leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["bill_text", "cash_flow_text"]

_COLUMNS = ("USD", "quantity", "unit", "USD a unit", "what")


def bill_text(bill: Mapping[str, Any]) -> str:
    """The lines with quantity, unit and price, the sum, and each source once, by number."""
    sources = list(dict.fromkeys((line["source"], line["as_of"]) for line in bill["lines"]))
    rows = [_COLUMNS, *(_row(line, sources.index((line["source"], line["as_of"])) + 1)
                        for line in bill["lines"])]
    shown = [*_table(rows), f"{_usd(bill['usd_per_month']):>12}  a month"]
    shown += [f"[{number}] source: {source}, as of {as_of}"
              for number, (source, as_of) in enumerate(sources, start=1)]
    shown += [f"absent: {one['what']}: {one['reason']}" for one in bill.get("absent", ())]
    return "\n".join([*shown, *(f"note: {note}" for note in bill["notes"])])


def cash_flow_text(flow: Mapping[str, Any]) -> str:
    """What falls due by month and in all, and what of it is for later months."""
    if not flow["months"]:
        return "\n".join(f"absent: {one['what']}: {one['reason']}" for one in flow["absent"])
    keys = ("usd_hourly", "usd_upfront", "usd_other", "usd")
    lines = [f"{'month':<8}{'by the hour':>14}{'upfront':>14}{'other':>14}{'USD due':>14}"]
    lines += [f"{due['month']:<8}" + "".join(f"{due[key]:>14,.2f}" for key in keys) for due in flow["months"]]
    lines.append(f"{'in all':<8}{flow['usd']:>56,.2f}")
    if flow["usd_prepaid_beyond"]:
        lines.append(f"{_usd(flow['usd_prepaid_beyond'])} of it is paid upfront for months after the last")
    if flow["usd_committed_beyond"]:
        lines.append(f"{_usd(flow['usd_committed_beyond'])} by the hour is still to be paid after the last")
    return "\n".join([*lines, *(f"note: {note}" for note in flow["notes"])])


def _row(line: Mapping[str, Any], source: int) -> tuple[str, ...]:
    price = line["usd_per_unit"]
    return (f"{line['usd']:,.4f}", f"{line['quantity']:,.10g}", line["unit"],
            "" if price is None else f"{price:.10g}", f"{line['what']} [{source}]")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Numbers to the right, words to the left; the last column is as wide as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    return [f"{usd:>12}  {quantity:>{widths[1]}}  {unit:<{widths[2]}}  {price:>{widths[3]}}  {what}"
            for usd, quantity, unit, price, what in rows]


def _usd(amount: float) -> str:
    return f"${amount:,.2f}"
