"""The schedule that the clocks' benchmark judges is the one that clients are given."""

from __future__ import annotations

import pytest

from amply_capacity.load.pace import Pace
from bench import clocks


class Forgetful(Pace):
    """Every other start is lost."""

    def next_start(self) -> float:
        super().next_start()
        return super().next_start()


def test_the_schedule_judged_is_the_one_given(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = [clocks._ks_probability(50_000.0, seed) for seed in (1, 2)]
    assert min(probabilities) > 0.001
    assert probabilities[0] != probabilities[1]
    monkeypatch.setattr(clocks, "Pace", Forgetful)
    assert clocks._ks_probability(50_000.0, 1) < 1e-9
