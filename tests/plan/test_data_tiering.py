"""Data tiering: the SSD of r6gd counts where the demand says how much of its data is hot, and there alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from plan_inputs import about, evidence_of_a_mixed_run

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadDemand
from amply_capacity.model.evidence import Evidence
from amply_capacity.plan.decision import Plan
from amply_capacity.plan.demand import Demand
from amply_capacity.plan.harm import harm, prices_of
from amply_capacity.plan.sizing import capacities

Plans = Callable[..., Plan]
TIERED, PLAIN = node_type("cache.r6gd.xlarge"), node_type("cache.r6g.xlarge")
MUCH_DATA = {"users.registered": 200_000, "allowed.node_types": ["cache.r6g.*", "cache.r6gd.*"],
             "slo.p99_ms.rate_limit": 5}


@pytest.fixture
def evidence() -> Callable[..., Evidence]:
    """Sessions of 30 kB each: much data for few operations."""
    run = evidence_of_a_mixed_run()
    return lambda: replace(run, footprint=replace(run.footprint, session_bytes=about(30_000)))


def test_data_that_is_mostly_cold_is_cheapest_on_an_ssd(plan: Plans) -> None:
    tiered = plan(MUCH_DATA | {"application.hot_percent": 10})
    plain = plan(MUCH_DATA)
    assert tiered.nodes.node == TIERED
    assert not plain.nodes.node.has_data_tiering
    assert tiered.nodes.usd_per_month < plain.nodes.usd_per_month


def test_what_has_to_stay_in_memory_follows_from_keys_and_hot_values(plan: Plans) -> None:
    need = plan(MUCH_DATA | {"application.hot_percent": 50}).needs
    share = need.tiered_share(TIERED)
    assert share is not None
    items = {name: float(np.median(each[:, 0])) for name, each in need.memory_items.items()}
    keys = float(np.median(need.sessions[:, 0])) * 120.0
    # All but the sessions is small here, and their keys are too: half of their values and all the rest.
    by_hand = 1.0 - 0.5 * (items["session"] - keys) / sum(items.values())
    assert float(np.median(share)) == pytest.approx(by_hand, rel=0.01)
    used = need.of(TIERED, "memory") / need.of(PLAIN, "memory")
    assert used == pytest.approx(np.broadcast_to(share[:, None], used.shape))


def test_an_ssd_is_finite(plan: Plans) -> None:
    need = plan(MUCH_DATA | {"application.hot_percent": 0}).needs
    share = need.tiered_share(TIERED)
    assert share is not None
    assert TIERED.ssd_bytes is not None
    assert share.min() == pytest.approx(TIERED.maxmemory_bytes / (TIERED.maxmemory_bytes + TIERED.ssd_bytes))


def test_a_cold_read_takes_longer(plan: Plans) -> None:
    need = plan(MUCH_DATA | {"application.hot_percent": 10}).needs
    unknown = replace(need, dram_share=None, _kept={})
    later = need.of(TIERED, "latency") - unknown.of(TIERED, "latency")
    assert later == pytest.approx(np.full_like(later, 0.3))
    assert (need.of(PLAIN, "latency") == unknown.of(PLAIN, "latency")).all()


def test_without_a_word_on_hot_data_its_memory_alone_counts(
        plan: Plans, demand: Callable[..., Demand]) -> None:
    need = plan(MUCH_DATA).needs
    asked = demand(MUCH_DATA)
    assert need.tiered_share(TIERED) is None
    assert (need.of(TIERED, "memory") == need.of(PLAIN, "memory")).all()
    assert "application.hot_percent is not said" in capacities(TIERED, asked)["memory"].how


def test_harm_begins_where_memory_and_ssd_end(plan: Plans, demand: Callable[..., Demand]) -> None:
    changes = MUCH_DATA | {"application.hot_percent": 10}
    made, asked = plan(changes), demand(changes)
    paid = prices_of(asked, made.worlds)
    cold, plain = (harm(node, asked, made.needs, paid, slice(1, 4)).usd_by_constraint["memory"]
                   for node in (TIERED, PLAIN))
    assert cold.max() == 0.0
    assert plain.mean() > 0.0


def test_its_assumptions_are_told_where_they_matter(plan: Plans) -> None:
    told = {one.what for one in plan(MUCH_DATA | {"application.hot_percent": 10}).assumptions}
    untold = {one.what for one in plan(MUCH_DATA).assumptions}
    assert {"new cluster" in one or "SSD" in one for one in told - untold} >= {True}
    assert len(told - untold) == 4


@pytest.mark.parametrize("percent", [-1, 101, "much"])
def test_a_share_that_is_none_is_refused(demand: Callable[..., Demand], percent: object) -> None:
    with pytest.raises(BadDemand, match="hot_percent"):
        demand({"application.hot_percent": percent})
