from __future__ import annotations

import math
from itertools import islice
from random import Random

import numpy as np
import pytest

from amply_capacity.traffic.arrivals import ARRIVALS, intended_starts

_DRAWS = 20_000


def _gaps(arrivals: str, rate: float, seed: int = 1) -> np.ndarray:
    starts = np.fromiter(islice(intended_starts(arrivals, rate, Random(seed)), _DRAWS), dtype=np.float64)
    return np.diff(starts, prepend=0.0)


@pytest.mark.parametrize("rate", [0.5, 500.0])
def test_poisson_gaps_are_exponential(rate: float) -> None:
    gaps = np.sort(_gaps("poisson", rate))
    law = 1.0 - np.exp(-rate * gaps)
    ranks = np.arange(_DRAWS + 1) / _DRAWS
    # Kolmogorov-Smirnov: the greatest distance of the two distributions, against its 1 % quantile.
    distance = max(np.max(ranks[1:] - law), np.max(law - ranks[:-1]))
    assert distance < math.sqrt(-math.log(0.01 / 2) / 2 / _DRAWS)


def test_poisson_gaps_do_not_depend_on_the_one_before() -> None:
    gaps = _gaps("poisson", 10.0)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 3.0 / math.sqrt(_DRAWS)


def test_constant_gaps_are_equal_after_a_phase_of_less_than_one() -> None:
    gaps = _gaps("constant", 8.0)
    assert 0.0 <= gaps[0] < 1 / 8
    assert gaps[1:] == pytest.approx(1 / 8)


def test_many_constant_clients_do_not_march_in_step() -> None:
    firsts = [next(intended_starts("constant", 1.0, Random(seed))) for seed in range(200)]
    assert len(set(firsts)) == 200
    assert 0.4 < np.mean(firsts) < 0.6


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_the_same_seed_gives_the_same_starts_in_order(arrivals: str) -> None:
    assert (_gaps(arrivals, 3.0) == _gaps(arrivals, 3.0)).all()
    assert (_gaps(arrivals, 3.0) != _gaps(arrivals, 3.0, seed=2)).any()
    assert (_gaps(arrivals, 3.0) >= 0.0).all()


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_that_is_no_positive_number_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="a rate has to be positive"):
        intended_starts("poisson", rate, Random(1))


@pytest.mark.parametrize("arrivals", ["closed", "day", ""])
def test_what_has_no_schedule_is_refused(arrivals: str) -> None:
    with pytest.raises(ValueError, match="no schedule"):
        intended_starts(arrivals, 1.0, Random(1))


def test_every_open_name_has_a_schedule() -> None:
    assert all(next(intended_starts(name, 1.0, Random(1))) >= 0.0 for name in ARRIVALS if name != "closed")
