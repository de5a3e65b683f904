"""One way beside the plan's own, against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from amply_capacity.plan.strategy import Strategy

_MONTHS = ("2027-01", "2027-02")


def test_what_is_expected_of_a_way_through_a_few_worlds_adds_up_with_the_plans() -> None:
    outages = np.array([[0.0, 10.0], [0.0, 30.0], [0.0, 80.0], [0.0, 0.0]])
    own = Strategy("plan", "", np.array([[10.0, 10.0], [10.0, 20.0], [10.0, 30.0], [50.0, 60.0]]),
                   outage_usd=outages)
    other = Strategy("other", "", np.array([[9.0, 9.0], [9.0, 15.0]]), outage_usd=outages)
    plan = own.as_json(own, _MONTHS, 0.9)
    way = other.as_json(own, _MONTHS, 0.9)
    # Own by world: 20, 30, 40, 110 and outages of 10, 30, 80, 0. The other's first two: 18 and 24.
    assert plan["usd_total_expected"] == pytest.approx(200 / 4 + 120 / 4)
    assert plan["usd_outages_expected"] == pytest.approx(30.0)
    assert plan["usd_first_month"] == pytest.approx(20.0)
    assert way["difference_expected"] == pytest.approx((-2 - 6) / 2)
    assert way["usd_total_expected"] == pytest.approx(80.0 - 4.0)
    assert way["usd_outages_expected"] == pytest.approx(30.0)
    assert way["usd_first_month"] == pytest.approx(20.0 - 1.0)


def test_a_way_through_all_worlds_is_expected_to_come_to_its_own_mean() -> None:
    own = Strategy("plan", "", np.array([[10.0, 10.0], [30.0, 50.0]]))
    other = Strategy("other", "", np.array([[5.0, 7.0], [9.0, 1.0]]))
    assert other.as_json(own, _MONTHS, 0.9)["usd_total_expected"] == pytest.approx(11.0)
