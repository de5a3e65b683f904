"""A run foretold from itself and from others: the same figures, before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from amply_capacity.errors import BadRun
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.model.forecast import BYTES_IN, BYTES_OUT, CPU, forecasts, outcomes
from amply_capacity.run.reader import read_run

RATE = 1_000.0


def rates_of_the_example() -> dict[str, float]:
    mix = read_run(EXAMPLE_RUN).manifest["mix"]
    return {name: RATE * weight / sum(mix.values()) for name, weight in mix.items()}


def test_a_run_at_its_own_rate_shows_what_it_foretells() -> None:
    run = read_run(EXAMPLE_RUN)
    seen = outcomes(run)
    told = {one.quantity: one.predicted for one in forecasts([run], rates_of_the_example(), 60.0)}
    assert told.keys() == seen.keys()
    for quantity, tolerance in ((CPU, 0.03), (BYTES_IN, 0.01), (BYTES_OUT, 0.02), ("p50 response time", 0.1),
                                ("p99 response time", 0.15)):
        assert told[quantity].mid == pytest.approx(seen[quantity], rel=tolerance), quantity
        assert told[quantity].low <= seen[quantity] <= told[quantity].high, quantity


def test_ten_times_the_rate_costs_less_cpu_a_command_and_is_less_sure() -> None:
    run = read_run(EXAMPLE_RUN)
    rates = rates_of_the_example()
    here, faster = ({one.quantity: one.predicted for one in forecasts(
        [run], {name: times * rate for name, rate in rates.items()})} for times in (1.0, 10.0))
    assert faster[CPU].mid < 0.7 * here[CPU].mid
    assert faster[CPU].high / faster[CPU].low > here[CPU].high / here[CPU].low
    assert faster[BYTES_IN].mid == pytest.approx(here[BYTES_IN].mid), "of one operation"


def test_what_no_run_shows_is_refused(make_run: Callable) -> None:
    run = read_run(EXAMPLE_RUN)
    with pytest.raises(BadRun, match="no forget_result"):
        forecasts([run], {"forget_result": 10.0})
    cut = replace(run, manifest={**run.manifest, "verdict": "partial"})
    with pytest.raises(BadRun, match="recorded to its end"):
        forecasts([cut], rates_of_the_example())
    with pytest.raises(BadRun, match="no run"):
        forecasts([], rates_of_the_example())
