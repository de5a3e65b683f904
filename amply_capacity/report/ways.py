"""What is said of the ways through the months: whether another one costs less, and what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amply_capacity.report.money import usd

__all__ = ["WAYS_NOTE", "cheaper_way", "ways_sentence"]

WAYS_NOTE = (
    "All ways go through the same worlds, with outages as the choice counts them; serverless is away as "
    "often as the chosen nodes. “stay” has what its users suffer on too small a node; all others grow in "
    "time, without the days of reaction. “Unserved” worlds outgrow all that is offered: the dearest nodes "
    "are counted there, and with more of them than the plan’s confidence leaves open, the total is not "
    "known.")
"""What the totals have in them."""


def cheaper_way(plan: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The one that saves most in the worlds that it shares with the plan; None where none does."""
    known = [one for one in plan["strategies"][1:] if one["difference_expected"] is not None]
    best = min(known, key=lambda one: float(one["difference_expected"]), default=None)
    return None if best is None or best["difference_expected"] >= 0.0 else best


def ways_sentence(plan: Mapping[str, Any]) -> str:
    """Whether another way costs less than the plan's own, as far as that is known."""
    own, months, cheaper = plan["strategies"][0], len(plan["months"]), cheaper_way(plan)
    if own["usd_total_expected"] is None:
        return (f"What the plan comes to over {months} months is not known, nor what other ways would save: "
                f"{own['note']}.")
    total = f"the plan’s {usd(own['usd_total_expected'])} over {months} months, outages included"
    if cheaper is None:
        return f"No other way costs less than {total}."
    needs = f" It needs this: {cheaper['changes']}." if cheaper["changes"] else ""
    return f"“{cheaper['name']}” would save {usd(-cheaper['difference_expected'])} of {total}.{needs}"
