"""The loss law, and a failover by Sentinel's clock."""

from __future__ import annotations

import pytest

from amply_capacity.drill.prediction import failover_seconds, lost_writes, scored


def test_what_is_lost_is_the_rate_times_the_distance_within_three_writes_or_three_percent() -> None:
    assert lost_writes(500.0, 0.02).rounded(6) == {"low": 7.0, "mid": 10.0, "high": 13.0}
    assert lost_writes(2000.0, 0.2).rounded(6) == {"low": 388.0, "mid": 400.0, "high": 412.0}
    assert lost_writes(100.0, 0.0).low == 0.0


def test_writes_that_do_not_come_evenly_are_lost_by_chance_too() -> None:
    even, mixed = (lost_writes(160.0, 0.04, is_even=is_even) for is_even in (True, False))
    assert even.mid == mixed.mid == pytest.approx(6.4)
    assert mixed.high - mixed.mid == pytest.approx(1.645 * 6.4**0.5)
    assert lost_writes(20.0, 0.04, is_even=False).high == pytest.approx(3.8), "three writes in any case"


def test_a_failover_takes_what_sentinels_wait_and_a_good_second_more() -> None:
    found = failover_seconds(1.0, 50)
    assert found.mid == pytest.approx(2.349, abs=0.001)
    assert 1.5 < found.low < found.mid < found.high < 2.8
    for down_after_s in (0.5, 2.0, 30.0):
        assert failover_seconds(down_after_s, 50).mid == pytest.approx(found.mid - 1.0 + down_after_s)
    assert failover_seconds(1.0, 0).mid > found.mid


@pytest.mark.parametrize(("until_next_s", "sooner_s"), [
    (5.0, 0.0),  # after they have agreed: it is asked then, and a second later
    (3.0, 0.0),  # just before: again 1.03 s later, as if it were asked when they agree
    (2.6, 0.57),  # 0.57 s before: again 0.46 s after they agree, when the replica has just been promoted
    (2.3, -0.1),  # 0.87 s before: again 0.16 s after, which is too soon
])
def test_a_sentinel_that_asked_the_replica_while_it_waited_knows_sooner(until_next_s: float,
                                                                        sooner_s: float) -> None:
    usual = failover_seconds(3.0, 50)
    found = failover_seconds(3.0, 50, [10.034 - until_next_s] * 3)
    assert found.mid == pytest.approx(usual.mid - sooner_s, abs=0.22)
    assert usual.low < found.mid < usual.high


def test_sentinels_that_know_differently_make_it_less_certain() -> None:
    apart, alike = failover_seconds(3.0, 50, [5.0, 5.0, 7.4]), failover_seconds(3.0, 50, [5.0] * 3)
    assert apart.mid == pytest.approx(alike.mid)
    assert apart.low < alike.low - 0.3


def test_a_prediction_stands_beside_what_was_measured() -> None:
    assert scored(lost_writes(100.0, 1.0), 99.4567)["measured"] == 99.457
    assert scored(lost_writes(100.0, 1.0), None)["measured"] is None
