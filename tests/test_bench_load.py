"""What the load benchmark makes of its readings."""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path

import numpy as np
import pytest

from bench import load
from bench.load import _TURN_SECONDS, _median_interval, _on_over_off
from bench.rig import Reading, Rig, Throughput

EVERY_S = 0.2


def test_who_is_not_installed_is_left_out_of_the_contest(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As beside an embedded server, which brings no tools."""
    once = Throughput(2_000.0, 1_000.0)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("awake", "rig"):
        monkeypatch.setattr(load, name, lambda *_: contextlib.nullcontext(Rig(*[None] * 3)))  # type: ignore[arg-type]
    monkeypatch.setattr(Rig, "locust", lambda *_, **__: once)
    monkeypatch.setattr(load, "_plain", lambda *_, **__: once)
    monkeypatch.setattr(load, "_bytes_per_minute", lambda *_: 1.0)
    monkeypatch.setattr(load, "_processes", lambda _: [])
    for name in ("_at_once", "_alternating", "_recording"):
        monkeypatch.setattr(load, name, lambda *_: "")
    table = load.table()
    assert "mixed, ours / mixed, plain Locust" in table
    assert "GET/SETEX, ours" in table
    assert "redis-benchmark" not in table
    assert "memtier" not in table


def readings_of(rates: list[float], began_s: float) -> list[Reading]:
    """So many commands a second in each turn."""
    found, calls = [], 0.0
    for number in range(round(len(rates) * _TURN_SECONDS / EVERY_S)):
        found.append(Reading(began_s + EVERY_S * number + 0.01, round(calls), 0.0))
        calls += EVERY_S * rates[int((EVERY_S * number + 0.02) // _TURN_SECONDS)]
    return found


def test_recording_is_compared_turn_by_turn_and_each_turn_once() -> None:
    rates = [9_000.0, 10_000.0, 9_000.0, 10_000.0, 9_000.0, 5_000.0, 9_000.0, 10_000.0]
    ratios = _on_over_off(readings_of(rates, began_s=6.0 * 1_000_000))
    assert np.allclose(ratios, [0.9, 0.9, 1.8, 0.9], rtol=0.001)
    beginning_off = _on_over_off(readings_of(rates[1:], began_s=6.0 * 1_000_000 + _TURN_SECONDS))
    assert np.allclose(beginning_off, [0.9, 1.8, 0.9], rtol=0.001)


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(7), []
    for _ in range(200):
        rates = 10_000.0 * (1.0 + 0.05 * random.standard_normal(40))
        words = _median_interval(_on_over_off(readings_of(rates.tolist(), began_s=6.0 * 1_000_000)))
        low, high = map(float, words.partition("(")[2].rstrip(")").split("–"))
        held.append(low <= 1.0 <= high)
    assert statistics.fmean(held) > 0.9
