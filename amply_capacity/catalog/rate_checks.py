"""Whether a listed rate can be true: beside what other regions ask, or beside the price of its node.

A rate in another unit than it seems is wrong by a thousand or a million: the limits leave room for whatever
AWS might change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from amply_capacity.catalog.files import PriceRow, RateRow
from amply_capacity.catalog.listed_price import Key
from amply_capacity.catalog.listed_rate import OF_NODES, ListedRate

__all__ = ["why_doubtful"]

_MOST_TIMES = 2.0
_OVER_NODE: Mapping[str, float] = {
    "extended_support_surcharge_Yr1_Yr2": 0.8, "extended_support_surcharge_Yr3": 1.6,
    "sync_durability_addon": 0.18,
}
"""Of the node's price on demand, as the catalog's observed rates are within 2 %."""


def why_doubtful(rate: ListedRate, known: Iterable[RateRow], prices: Mapping[Key, PriceRow]) -> str | None:
    """Why the rate is not believed; None where it is. `known` are the catalog's rates, of all regions."""
    usd = float(rate.amount)
    if rate.item in OF_NODES:
        node = prices.get((rate.region, rate.engine, rate.node_type, "on_demand"))
        if node is None:
            return f"{usd:g} USD/h on top of a node without a price"
        usual = _OVER_NODE[rate.item] * float(node.effective_hourly_usd)
        low = high = usual
    else:
        there = [float(row.amount) for row in known if row.item == rate.item and row.amount]
        if not there:
            return None
        low, high = min(there), max(there)
    if low / _MOST_TIMES <= usd <= high * _MOST_TIMES:
        return None
    usual_text = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    return f"{usd:g} beside {usual_text} as usual"
