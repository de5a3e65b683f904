"""What no true price table breaks: a price list that does has been misread, or is not whole.

The limits leave room for what AWS might change; what the shipped table holds to exactly is in its tests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from amply_capacity.catalog.files import PriceRow
from amply_capacity.catalog.listed_price import Key

__all__ = ["Oddity", "missing_shares", "oddities"]

_VALKEY_OVER_REDIS = (0.6, 1.0)
"""AWS asks 0.8; an add-on taken for a node makes it 0.14 (durability), 0.5 or 1.01 (Extended Support)."""
_LEAST_ANSWERED = 0.5


class Oddity(NamedTuple):
    """One price that cannot be right beside another."""

    rule: str
    key: Key
    got: str


def oddities(rows: Iterable[PriceRow]) -> list[Oddity]:
    """Every breach among these rows, which are compared with each other alone.

    The rules: one price for one key; a reservation's effective rate is below the rate on demand; Valkey on
    demand costs between 0.6 and 1.0 of Redis.
    """
    by_key: dict[Key, PriceRow] = {}
    found = []
    for row in rows:
        if row[:4] in by_key:
            got = f"{by_key[row[:4]].effective_hourly_usd} and {row.effective_hourly_usd} USD/h"
            found.append(Oddity("two prices", row[:4], got))
        by_key[row[:4]] = row
    for key, row in by_key.items():
        region, engine, node_type, term = key
        usd = float(row.effective_hourly_usd)
        if term != "on_demand":
            on_demand = by_key.get((region, engine, node_type, "on_demand"))
            if on_demand is not None and usd >= float(on_demand.effective_hourly_usd):
                got = f"{row.effective_hourly_usd} beside {on_demand.effective_hourly_usd} USD/h on demand"
                found.append(Oddity("a reservation that saves nothing", key, got))
        elif engine == "valkey":
            redis = by_key.get((region, "redis", node_type, term))
            low, high = _VALKEY_OVER_REDIS
            if redis is not None and not low <= usd / float(redis.effective_hourly_usd) <= high:
                got = f"{row.effective_hourly_usd} beside {redis.effective_hourly_usd} USD/h for Redis"
                found.append(Oddity("Valkey far from four fifths of Redis", key, got))
    return found


def missing_shares(rows: Iterable[PriceRow], answered: Collection[Key], regions: Iterable[str]) -> list[str]:
    """A sentence for each region of which less than half of the known on-demand prices were answered."""
    known: dict[str, list[Key]] = {}
    for row in rows:
        if row.term == "on_demand":
            known.setdefault(row.region, []).append(row[:4])
    found = []
    for region in regions:
        keys = known.get(region, [])
        count = sum(key in answered for key in keys)
        if count < _LEAST_ANSWERED * len(keys):
            found.append(f"{region}: {count:,} of its {len(keys):,} on-demand prices")
    return found
