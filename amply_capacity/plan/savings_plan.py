"""Database Savings Plans: whom they would discount, and why no bill holds one.

One year, nothing upfront, for Valkey on nodes of the seventh generation and newer and on serverless caches.
Published is only up to how much they save, never the rate of a node type, so their figure is always absent.
"""

from __future__ import annotations

import re

from amply_capacity.catalog.serverless import rates
from amply_capacity.plan.bill import Absent

__all__ = ["SAVINGS_PLAN", "is_discounted", "savings_plan"]

SAVINGS_PLAN = "savings_plan"
"""Its name beside the terms of `catalog.prices.TERMS`."""

_WHAT = "Database Savings Plan"
_FIRST_GENERATION = 7


def is_discounted(engine: str, node_type: str | None) -> bool:
    """Whether such a plan would discount that engine on that node type, or as a serverless cache (None)."""
    if engine != "valkey":
        return False
    found = re.match(r"cache\.[a-z]+(\d+)", node_type or "")
    return node_type is None or (found is not None and int(found.group(1)) >= _FIRST_GENERATION)


def savings_plan(engine: str, node_type: str | None) -> Absent:
    """Why there is no figure for it."""
    rule = rates("database_savings_plan")[0]
    source = f"{rule.source}, {rule.as_of}"
    if engine != "valkey":
        return Absent(_WHAT, f"it covers Valkey only, not {engine} ({source})")
    if not is_discounted(engine, node_type):
        return Absent(_WHAT, f"it covers nodes of the 7th generation and newer, not {node_type} ({source})")
    share = f"up to about {'35 % off serverless' if node_type is None else '20 % off nodes'}"
    reason = f"no rate is known, only that it is {share}, for one year, nothing upfront ({source})"
    return Absent(_WHAT, reason)
