"""Made-up traffic is as much, as even and as old as it was asked to be."""

from __future__ import annotations

import numpy as np
import pytest

from amply_capacity.model.emulator import GET, INCR, SET
from amply_capacity.model.synthesis import KeyClass, synthesise

CACHED = KeyClass("cached", "cached", 2000, 50.0, 300, 300.0, zipf=0.9)
COUNTER = KeyClass("counter", "counter", 500, 20.0, 100, 60.0)
WRITTEN = KeyClass("written", "written", 0, 5.0, 200, 3600.0)
SESSION = KeyClass("session", "session", 4000, 30.0, 600, 604_800.0, zipf=0.7, rewritten_share=0.2)


def test_each_class_is_used_at_its_rate() -> None:
    made = synthesise([CACHED, COUNTER, WRITTEN], seconds=600.0, seed=3)
    ops = np.bincount(made.commands.ops, minlength=4)
    assert ops[GET] == pytest.approx(30_000, rel=0.03)
    assert ops[INCR] == pytest.approx(12_000, rel=0.05)
    assert ops[SET] == pytest.approx(3000, rel=0.1)
    assert made.seconds == pytest.approx(600.0, abs=1.0)
    assert (np.diff(made.commands.times) >= 0).all()


def test_popularity_follows_the_exponent() -> None:
    made = synthesise([CACHED], seconds=2000.0, seed=3)
    counts = np.sort(np.bincount(made.commands.keys))[::-1]
    assert counts[0] / counts[9] == pytest.approx(10**0.9, rel=0.2)


def test_sessions_stand_before_the_first_use_and_the_young_replace_the_old() -> None:
    made = synthesise([SESSION], seconds=900.0, seed=3)
    before = made.commands.ops[:made.measured_from]
    assert np.count_nonzero(before == SET) == 4000
    after = made.commands.ops[made.measured_from:]
    births = 4000 / 604_800.0 * 900.0
    rewrites = 0.2 * 30.0 * 900.0
    assert np.count_nonzero(after == SET) == pytest.approx(births + rewrites, rel=0.1)
    assert np.count_nonzero(after == GET) == pytest.approx(0.8 * 30.0 * 900.0, rel=0.05)


def test_a_share_of_the_keys_has_its_part_of_the_uses() -> None:
    made = synthesise([CACHED, WRITTEN, SESSION], seconds=600.0, share=0.25, seed=5)
    assert made.sampling_rate == 0.25
    assert made.expected_reads == pytest.approx(0.25 * 50.0 * 600.0)
    assert len(made.key_classes["cached"]) == pytest.approx(500, rel=0.15)
    assert len(made.key_classes["session"]) == pytest.approx(1000, rel=0.05)
    assert np.count_nonzero(made.commands.ops == GET) < 0.5 * 80.0 * 600.0


def test_the_keys_of_the_classes_are_different_ones_and_all() -> None:
    made = synthesise([CACHED, COUNTER, WRITTEN, SESSION], seconds=300.0, seed=5)
    all_keys = np.concatenate(list(made.key_classes.values()))
    assert sorted(all_keys.tolist()) == list(range(made.key_count))


def test_the_warm_up_is_not_measured() -> None:
    made = synthesise([CACHED], seconds=100.0, warm_up_seconds=300.0, seed=5)
    assert made.measured_from == pytest.approx(15_000, rel=0.05)
    assert made.seconds == pytest.approx(100.0, abs=1.0)


def test_the_same_seed_makes_the_same_traffic() -> None:
    first, again, other = (synthesise([CACHED], seconds=50.0, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.commands.keys, again.commands.keys)
    assert len(first.commands.keys) != len(other.commands.keys)
