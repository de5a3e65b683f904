"""Months: names, the path upwards, and the bands of cost."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from amply_capacity.catalog.nodes import node_type
from amply_capacity.plan.options import Option
from amply_capacity.plan.paid import paid_usd
from amply_capacity.plan.projection import month_names, path, projection, upgrades

SMALL, BIG = OPTIONS = [Option("redis", node_type(f"cache.t4g.{size}"), 1, 0, "on_demand", usd)
                        for size, usd in (("micro", 10.0), ("small", 20.0))]


def test_the_first_month_is_the_one_after_the_start_and_years_turn() -> None:
    assert month_names(date(2026, 11, 23), 3) == ("2026-12", "2027-01", "2027-02")
    assert month_names(date(2026, 12, 31), 1) == ("2027-01",)


@given(arrays(np.bool_, (4, 6, 5)), st.integers(0, 3))
def test_no_world_ever_goes_down_and_none_stays_where_it_does_not_fit(enough: np.ndarray, start: int) -> None:
    taken = path(list(enough), start)
    assert (taken.types[:, 0] >= start).all()
    assert (np.diff(taken.types, axis=1) >= 0).all()
    for world in range(6):
        for month in range(5):
            chosen = taken.types[world, month]
            before = start if month == 0 else taken.types[world, month - 1]
            if taken.unserved[world, month]:
                assert not enough[before:, world, month].any()
            else:
                assert enough[chosen, world, month]
                assert chosen == before or not enough[before:chosen, world, month].any()


def test_the_bands_are_bills_that_worlds_really_have() -> None:
    enough = np.zeros((2, 100, 2), dtype=bool)
    enough[1] = True
    enough[0, :, 0] = True
    enough[0, :40, 1] = True
    taken = path(list(enough), 0)
    months = ["2026-12", "2027-01"]
    first, second = projection(taken, OPTIONS, months, paid_usd(taken, OPTIONS))
    assert (first.node_type, first.usd_low, first.usd_mid, first.usd_high) == (SMALL.node.name, 10, 10, 10)
    assert (second.node_type, second.usd_low, second.usd_mid, second.usd_high) == (BIG.node.name, 10, 20, 20)
    assert (second.usd_lower, second.usd_upper) == (10, 20)
    found = upgrades(taken, OPTIONS, months, 0, 0.9, lambda one, row: f"{one.node.name}@{row}")
    assert [(up.month, up.before, up.after, up.constraint, up.act_by) for up in found] == [
        ("2027-01", SMALL, BIG, "cache.t4g.micro@1", "2027-01")]
    assert found[0].as_json()["to"] == "cache.t4g.small"
    assert found[0].probability_by_month == (("2026-12", 0.0), ("2027-01", 0.6))


def test_where_nothing_fits_the_month_says_in_how_many_worlds() -> None:
    enough = np.ones((2, 10, 1), dtype=bool)
    enough[:, :3] = False
    taken = path(list(enough), 0)
    (month,) = projection(taken, OPTIONS, ["2026-12"], paid_usd(taken, OPTIONS))
    assert month.nothing_fits == 0.3
    assert (month.usd_low, month.usd_mid, month.usd_high) == (10.0, 10.0, None)  # more shards: nobody knows
