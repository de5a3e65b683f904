"""Unavailability from operations: of known length, of chance, of stalls, and of one that does not end."""

from __future__ import annotations

import numpy as np
import pytest
from histories import played
from hypothesis import given, settings
from hypothesis import strategies as st

from amply_capacity.drill.outage import outage_of

_FAULT, _END = 4.0, 20.0


def _load(rate: float, down: tuple[float, float], *, seed: int | None = None, end: float = _END) -> list:
    """Operations at that rate, which fail while it is down."""
    if seed is None:
        times = np.arange(0.0, end, 1.0 / rate)
    else:
        times = np.cumsum(np.random.default_rng(seed).exponential(1.0 / rate, int(2 * rate * end)))
        times = times[times < end]
    return [played(float(time), is_ok=not down[0] <= time < down[1]) for time in times]


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@settings(max_examples=15, deadline=None)
@given(length=st.floats(0.3, 12.0), rate=st.sampled_from([400.0, 800.0]))
def test_an_outage_of_known_length_is_measured_within_50_ms(seed: int | None, length: float,
                                                             rate: float) -> None:
    found = outage_of(_load(rate, (_FAULT, _FAULT + length), seed=seed, end=18.0), _FAULT, 18.0)
    assert found.unavailable_seconds == pytest.approx(length, abs=0.05)
    assert found.is_over
    assert found.until_s == pytest.approx(_FAULT + length, abs=0.05)


def test_in_health_there_is_none_whatever_chance_does() -> None:
    for seed in range(20):
        found = outage_of(_load(200.0, (_END, _END), seed=seed), _FAULT, _END)
        assert found.unavailable_seconds == 0.0
        assert found.until_s is None


def test_a_stall_in_which_nothing_fails_is_seen_too() -> None:
    waiting = [one for one in _load(500.0, (_END, _END)) if not 6.0 <= one.ended_s < 7.5]
    assert outage_of(waiting, _FAULT, _END).unavailable_seconds == pytest.approx(1.5, abs=0.05)


def test_what_the_generators_own_standstill_explains_is_no_outage() -> None:
    waiting = [one for one in _load(500.0, (_END, _END)) if not 6.2 <= one.ended_s < 6.7]
    assert outage_of(waiting, _FAULT, _END, {6: 0.45}).unavailable_seconds == 0.0
    elsewhere = outage_of(waiting, _FAULT, _END, {6: 0.1, 8: 0.45})
    assert elsewhere.unavailable_seconds == pytest.approx(0.5, abs=0.05)
    failing = _load(500.0, (6.2, 6.7))
    assert outage_of(failing, _FAULT, _END, {6: 0.45}).unavailable_seconds == pytest.approx(0.5, abs=0.05)


def test_what_is_not_over_when_the_load_ends_says_so() -> None:
    found = outage_of(_load(500.0, (_FAULT, 99.0)), _FAULT, _END)
    assert not found.is_over
    assert found.unavailable_seconds == pytest.approx(_END - _FAULT, abs=0.05)
    ended = [one for one in _load(500.0, (_END, _END)) if one.ended_s < 10.0]
    assert outage_of(ended, _FAULT, _END).is_over, "the load ended early: nobody asked for more"


def test_too_few_operations_tell_nothing() -> None:
    found = outage_of([played(3.0), played(3.5), played(12.0)], _FAULT, _END)
    assert found.unavailable_seconds is None
    assert found.resolution_seconds is None


def test_an_outage_before_the_fault_is_none_of_it() -> None:
    assert outage_of(_load(500.0, (1.0, 3.0)), _FAULT, _END).unavailable_seconds == 0.0
