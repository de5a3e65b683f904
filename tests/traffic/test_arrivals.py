from __future__ import annotations

import math
from itertools import islice
from random import Random

import numpy as np
import pytest

from amply_capacity.traffic.arrivals import ARRIVALS, DayRate, SteadyRate, day_weights, positions

_DRAWS = 20_000
_HOURS = np.arange(25) * 3600.0


def _gaps(arrivals: str, rate: float, seed: int = 1) -> np.ndarray:
    schedule = SteadyRate(rate, began_s=0.0)
    starts = np.array(schedule.moments([*islice(positions(arrivals, Random(seed)), _DRAWS)]))
    return np.diff(starts, prepend=0.0)


def _is_exponential(gaps: np.ndarray, rate: float) -> bool:
    """Kolmogorov-Smirnov: the greatest distance of the two distributions, against its 1 % quantile."""
    law = 1.0 - np.exp(-rate * np.sort(gaps))
    ranks = np.arange(len(gaps) + 1) / len(gaps)
    distance = max(np.max(ranks[1:] - law), np.max(law - ranks[:-1]))
    return bool(distance < math.sqrt(-math.log(0.01 / 2) / 2 / len(gaps)))


@pytest.mark.parametrize("rate", [0.5, 500.0])
def test_poisson_gaps_are_exponential(rate: float) -> None:
    assert _is_exponential(_gaps("poisson", rate), rate)
    assert not _is_exponential(_gaps("constant", rate), rate)


def test_poisson_gaps_do_not_depend_on_the_one_before() -> None:
    gaps = _gaps("poisson", 10.0)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 3.0 / math.sqrt(_DRAWS)


def test_many_poisson_clients_together_are_poisson() -> None:
    schedule = SteadyRate(5.0, began_s=0.0)
    starts = np.sort(schedule.moments([place for seed in range(40)
                                       for place in islice(positions("poisson", Random(seed)), 500)]))
    together = starts[starts < 80.0]  # while each client still has draws left
    assert _is_exponential(np.diff(together), 200.0)


def test_constant_gaps_are_equal_after_a_phase_of_less_than_one() -> None:
    gaps = _gaps("constant", 8.0)
    assert 0.0 <= gaps[0] < 1 / 8
    assert gaps[1:] == pytest.approx(1 / 8)


def test_many_constant_clients_do_not_march_in_step() -> None:
    firsts = [next(positions("constant", Random(seed))) for seed in range(200)]
    assert len(set(firsts)) == 200
    assert 0.4 < np.mean(firsts) < 0.6


@pytest.mark.parametrize("arrivals", ["poisson", "constant", "day"])
def test_the_same_seed_gives_the_same_starts_in_order(arrivals: str) -> None:
    assert (_gaps(arrivals, 3.0) == _gaps(arrivals, 3.0)).all()
    assert (_gaps(arrivals, 3.0) != _gaps(arrivals, 3.0, seed=2)).any()
    assert (_gaps(arrivals, 3.0) >= 0.0).all()


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_no_positive_number_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="a rate has to be positive"):
        SteadyRate(rate, began_s=0.0)
    with pytest.raises(ValueError, match="a rate has to be positive"):
        DayRate(rate, 0.0, 60.0, 2.0)
    with pytest.raises(ValueError, match="a rate has to be positive"):
        SteadyRate(1.0, began_s=0.0).change(rate, 1.0)


@pytest.mark.parametrize("arrivals", ["closed", ""])
def test_what_has_no_schedule_is_refused(arrivals: str) -> None:
    with pytest.raises(ValueError, match="no schedule"):
        positions(arrivals, Random(1))
    assert "closed" in ARRIVALS


def test_a_changed_rate_holds_from_then_on_and_moves_nothing_before() -> None:
    schedule = SteadyRate(10.0, began_s=100.0)
    assert schedule.moments([5.0])[0] == pytest.approx(100.5)
    schedule.change(2.0, now_s=101.0)
    assert schedule.position(101.0) == pytest.approx(10.0)
    assert schedule.moments([10.0])[0] == pytest.approx(101.0)
    assert schedule.moments([14.0])[0] == pytest.approx(103.0)


@pytest.mark.parametrize("peak_to_mean", [1.0, 1.5, 3.0, 8.0])
def test_a_day_has_its_mean_and_its_peak_in_the_afternoon(peak_to_mean: float) -> None:
    day = DayRate(100.0, 0.0, 86_400.0, peak_to_mean)
    assert day.position(86_400.0) == pytest.approx(100.0 * 86_400.0)
    at_peak = (day.position(14 * 3600 + 60.0) - day.position(14 * 3600 - 60.0)) / 120.0
    assert at_peak == pytest.approx(100.0 * peak_to_mean, rel=0.001)
    by_hour = np.diff([day.position(second) for second in _HOURS])
    assert (by_hour > 0.0).all()
    if peak_to_mean > 1.0:
        assert {int(np.argmax(by_hour)), int(np.argmin(by_hour))} <= {13, 14, 1, 2}


def test_a_days_moments_and_positions_are_each_others_inverse_over_days() -> None:
    day = DayRate(7.0, 50.0, 600.0, 3.0)
    for moment in (50.0, 51.0, 349.0, 650.0, 1249.9):
        assert day.moments([day.position(moment)])[0] == pytest.approx(moment, abs=1e-6)


@pytest.mark.parametrize(("seconds", "peak"), [(0.0, 2.0), (math.inf, 2.0), (60.0, 0.5), (60.0, 21.0)])
def test_an_impossible_day_is_refused(seconds: float, peak: float) -> None:
    with pytest.raises(ValueError, match=r"a day has to|the peak is"):
        DayRate(1.0, 0.0, seconds, peak)


@pytest.mark.parametrize("peak_to_mean", [1.0, 3.0, 8.0, 20.0])
def test_a_days_weights_are_its_rate_over_the_mean(peak_to_mean: float) -> None:
    weights = day_weights(peak_to_mean)
    assert weights.shape == (1440,)
    assert weights.mean() == pytest.approx(1.0)
    assert weights.max() == pytest.approx(peak_to_mean, rel=0.001)
    day = DayRate(1440.0, 0.0, 1440.0, peak_to_mean)
    counts = np.diff([day.position(minute) for minute in range(1441)])
    assert counts == pytest.approx(1440.0 * weights, rel=1e-6, abs=1e-6)
    if peak_to_mean > 1.0:
        assert int(weights.argmax()) in {14 * 60 - 1, 14 * 60}


def test_a_days_weights_in_hours_are_those_of_its_minutes_together() -> None:
    by_hour = day_weights(3.0).reshape(24, 60).mean(axis=1)
    assert day_weights(3.0, 24) == pytest.approx(by_hour, rel=0.01)


def test_a_day_without_steps_or_with_an_impossible_peak_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        day_weights(2.0, 0)
    with pytest.raises(ValueError, match="the peak is 1 to 20"):
        day_weights(0.9)
