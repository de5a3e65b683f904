"""Keys that have expired and are still there: as arithmetic says at first, and as a real server has them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from amply_capacity.model import expiry
from amply_capacity.model.expiry import standing_keys
from amply_capacity.model.synthesis import KeyClass
from bench.server import Wire


def classes(standing: int, per_second: float, ttl_s: float) -> list[KeyClass]:
    return [KeyClass("standing", "session", standing, 100.0, 100, 600_000.0),
            KeyClass("passing", "written", 0, per_second, 100, ttl_s)]


def test_before_the_first_ttl_has_passed_nothing_has_expired() -> None:
    standing, passing = standing_keys(classes(1000, 200.0, 60.0), after_seconds=30.0)
    assert standing.live == pytest.approx(1000, rel=0.01)
    assert passing.live == pytest.approx(6000, rel=0.05)
    assert passing.unreclaimed.mid == 0.0


def test_few_among_many_are_hardly_ever_looked_at() -> None:
    """One in ten has to have expired before the cycle goes on: what expires until then stays."""
    _, passing = standing_keys(classes(100_000, 100.0, 5.0), after_seconds=60.0)
    assert passing.live == pytest.approx(500, rel=0.15)
    assert passing.unreclaimed.mid > 0.9 * 100.0 * 55.0


def test_alone_they_are_reclaimed_down_to_a_tenth_or_so() -> None:
    _, passing = standing_keys(classes(0, 500.0, 10.0))
    assert passing.live == pytest.approx(5000, rel=0.05)
    assert 0.03 * passing.live < passing.unreclaimed.mid < 0.6 * passing.live
    assert passing.unreclaimed.low < passing.unreclaimed.mid < passing.unreclaimed.high
    assert passing.present.mid == pytest.approx(passing.live + passing.unreclaimed.mid)


def test_counters_that_are_used_again_are_reclaimed_by_their_use() -> None:
    sessions = KeyClass("session", "session", 20_000, 0.0, 100, 600_000.0)
    seldom, often = (standing_keys([KeyClass("rate", "counter", 1000, uses, 100, 60.0), sessions])[0]
                     for uses in (5.0, 200.0))
    assert often.unreclaimed.mid / often.live < seldom.unreclaimed.mid / seldom.live


def test_of_more_than_can_be_played_a_share_says_what_the_whole_does(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [*classes(30_000, 400.0, 100.0), KeyClass("asked", "cached", 4000, 40.0, 100, 100.0, zipf=0.9)]
    whole = standing_keys(many)
    monkeypatch.setattr(expiry, "_MOST_USES", 40_000)  # 91 s of them: before the first has expired
    share = standing_keys(many)
    for of_all, of_share in zip(whole, share, strict=True):
        assert of_share.live == pytest.approx(of_all.live, rel=0.05)
    passing, asked = 1, 2
    assert whole[passing].unreclaimed.mid > 0.05 * whole[passing].live
    for place in (passing, asked):
        assert share[place].unreclaimed.mid == pytest.approx(whole[place].unreclaimed.mid, rel=0.15)
        assert share[place].unreclaimed.low < whole[place].unreclaimed.mid < share[place].unreclaimed.high


@pytest.mark.xdist_group("emulated")
def test_a_real_server_holds_as_many(plain_redis: Callable[..., int]) -> None:
    """Within 2 % while nothing is reclaimed, 6 seconds of 800 keys a second beside 20,000."""
    standing, per_second, ttl_s, seconds = 20_000, 800, 2, 4.0
    predicted = sum(one.present.mid for one in standing_keys(classes(standing, per_second, ttl_s),
                                                              after_seconds=seconds))
    with Wire(plain_redis()) as wire:
        wire.ask([("SETEX", f"session:{key}", 600_000, "x" * 40) for key in range(standing)])
        began, written = time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds:
            due = int(now * per_second)
            wire.ask([("SETEX", f"rate:{key}", ttl_s, "1") for key in range(written, due)])
            written = due
            time.sleep(0.005)
        assert wire.info()["keys"] == pytest.approx(predicted, rel=0.02)
