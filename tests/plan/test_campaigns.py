"""Campaigns: dated, and only for the months that they say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from plan_inputs import as_toml, changed

from amply_capacity.errors import BadDemand
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.workload import workload
from amply_capacity.plan.worlds import Worlds

START, WORLDS = date(2026, 11, 23), Worlds(300, 1)


def with_tables(folder: Path, text: str) -> Demand:
    file = folder / "demand.toml"
    file.write_text(as_toml(changed({"users.growth_percent_per_month": 0})) + text)
    return load_demand(file)


def test_a_campaign_raises_its_months_and_no_other(tmp_path: Path) -> None:
    usual = workload(with_tables(tmp_path, ""), WORLDS, START)
    sale = workload(with_tables(tmp_path, """
[[campaign]]
name = "sale"
month = "2027-02"
months = 2
load = 3
"""), WORLDS, START)
    factor = sale.active_users / usual.active_users
    assert np.flatnonzero(factor.max(axis=0) > 1).tolist() == [3, 4], "February and March, November being 0"
    assert factor[:, 3:5] == pytest.approx(3.0)
    assert sale.results[:, 3] == pytest.approx(3 * usual.results[:, 3])
    assert np.array_equal(sale.users, usual.users), "who is registered stays so"


def test_one_that_lies_outside_the_horizon_counts_for_nothing(tmp_path: Path) -> None:
    text = '\n[[campaign]]\nname = "{0}"\nmonth = "{0}"\nload = 5\n'
    load = workload(with_tables(tmp_path, text.format("2020-01") + text.format("2099-01")), WORLDS, START)
    assert np.array_equal(load.active_users, load.users)


def test_two_of_one_month_multiply(tmp_path: Path) -> None:
    text = '\n[[campaign]]\nname = "{0}"\nmonth = "2027-01"\nload = 2\n'
    load = workload(with_tables(tmp_path, text.format("a") + text.format("b")), WORLDS, START)
    assert load.active_users[:, 2] == pytest.approx(4 * load.users[:, 2])


def test_faults_of_campaigns_are_told_by_their_place(tmp_path: Path) -> None:
    with pytest.raises(BadDemand) as caught:
        with_tables(tmp_path, '\n[[campaign]]\nname = "x"\nmonth = "2027-13"\nload = -1\nmoths = 2\n')
    for words in ("campaign.0.month", "campaign.0.load: must be more than 0",
                  "campaign.0.moths: unknown key (nearest: month"):
        assert words in str(caught.value)


def test_a_workload_with_campaigns_needs_a_date(demand: Callable[..., Demand], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dated"):
        workload(with_tables(tmp_path, '\n[[campaign]]\nname = "x"\nmonth = "2027-01"\nload = 2\n'), WORLDS)
