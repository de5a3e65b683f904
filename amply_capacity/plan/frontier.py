"""The offers that can be best somewhere: no other costs as little and has as much of everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amply_capacity.plan.demand import Demand
from amply_capacity.plan.needs import Needs
from amply_capacity.plan.options import Offer
from amply_capacity.plan.sizing import capacities
from amply_capacity.plan.worlds import Floats

__all__ = ["frontier"]


def frontier(offers: Sequence[Offer], demand: Demand, need: Needs) -> tuple[Offer, ...]:
    """Those that nothing dominates in price of every term and in every capacity, in their order.

    Exact for any number of shards and replicas, which scale prices and loads alike. Engines differ in what
    they need, so only offers of one are compared. Of equal ones the first stays. An offer of which a fact is
    unknown cannot be shown to fit, and is left out.
    """
    known, rows = [], []
    for one in offers:
        has = _has(one, demand)
        if has is not None:
            known.append(one)
            rows.append(np.concatenate([has, [-one.usd_by_term.get(term, np.inf) for term in demand.terms]]))
    if not known:
        return ()
    points = np.stack(rows)
    families = sorted({one.node.family for one in known})
    slowness = np.stack([need.cpu_factor[family] for family in families])
    is_as_fast = np.asarray((slowness[:, None] <= slowness[None, :]).all(axis=2))
    family = np.array([families.index(one.node.family) for one in known])
    engine = np.array([one.engine for one in known])
    # [a, b]: a is as good as b in everything, in every world.
    as_good = (points[:, None] >= points[None, :]).all(axis=2)
    as_good &= is_as_fast[np.ix_(family, family)] & (engine[:, None] == engine[None, :])
    is_first = np.arange(len(known))[:, None] < np.arange(len(known))[None, :]
    dominates = as_good & (is_first | ~as_good.T)
    np.fill_diagonal(dominates, False)
    return tuple(one for one, is_out in zip(known, dominates.any(axis=0), strict=True) if not is_out)


def _has(offer: Offer, demand: Demand) -> Floats | None:
    """Its capacities, of which more is better; None where one is not known."""
    has = {name: capacity.available for name, capacity in capacities(offer.node, demand).items()}
    if any(available is None for available in has.values()):
        return None
    has.setdefault("cpu_credits", np.inf)  # a node without them needs none
    # An SSD holds more and answers later: with it and without it, neither is as good as the other.
    ssd_bytes = (demand.application.hot_percent is not None and offer.node.ssd_bytes) or 0
    tier = [ssd_bytes / offer.node.maxmemory_bytes, -float(ssd_bytes > 0)]
    return np.array([*(has[name] for name in sorted(has)), *tier], dtype=np.float64)
