"""The demand's keys as classes, and what of them has expired and is still there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from amply_capacity.files import DATA_DIR
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.key_classes import key_classes, unreclaimed_shares
from amply_capacity.plan.memory import Median
from amply_capacity.plan.workload import Workload, workload


@pytest.fixture(scope="module")
def load() -> Workload:
    return workload(load_demand(DATA_DIR / "demand.example.toml"), Median())


def test_the_classes_have_the_demands_numbers_and_rates(load: Workload) -> None:
    sessions, counters, cached, results = key_classes(load, bytes_of=len)
    assert (sessions.keys, counters.keys, cached.keys) == (137_500, 3125, 2083)
    per_second = 25_000 * 10.0 * 3.0 / 3600.0  # users x requests an hour at the peak
    assert counters.uses_per_second == pytest.approx(0.75 * per_second)
    assert cached.uses_per_second == pytest.approx(0.3 * per_second)
    assert sessions.uses_per_second == pytest.approx((1.0 + 2 * 0.25) * per_second)  # touches read and write
    assert sessions.rewritten_share == pytest.approx(0.25 / 1.5)
    assert (counters.ttl_s, cached.ttl_s, results.ttl_s) == (60.0, 300.0, 3600.0)
    assert sessions.bytes == len("sessions")


def test_a_later_month_has_more_of_all(load: Workload) -> None:
    today, later = key_classes(load), key_classes(load, month=12)
    assert all(after.uses_per_second > before.uses_per_second for before, after in zip(today, later,
                                                                                       strict=True))


def test_what_is_asked_for_again_and_what_is_not_wait_to_be_reclaimed(load: Workload) -> None:
    """The cycle comes round in minutes: results, that nobody asks for, wait some of their hour."""
    shares = unreclaimed_shares(load)
    assert 0.03 < shares["results"].mid < 0.3
    assert 0.1 < shares["counters"].mid < 1.0
    assert shares["sessions"].mid < 0.01
    for share in shares.values():
        assert share.low <= share.mid <= share.high


def test_however_large_the_demand_a_tenth_or_two_of_its_keys_wait_to_be_reclaimed(
        load: Workload, demand: Callable[..., Demand]) -> None:
    """The cycle hurries where one in ten of what it looks at has expired; what it left is cleaner."""
    large = workload(demand({"users.registered": 400_000}), Median())
    shares = unreclaimed_shares(large)
    live = {"sessions": 16 * 137_500.0, "results": 16 * 30_000.0}
    unreclaimed = sum(shares[name].mid * keys for name, keys in live.items())
    assert 0.05 < unreclaimed / (sum(live.values()) + unreclaimed) < 0.25
    assert shares["results"].low > unreclaimed_shares(load)["results"].high
