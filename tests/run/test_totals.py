"""Rows of `requests` added up over a column."""

from __future__ import annotations

import pandas as pd
import pytest

from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.run.reader import Run, read_run
from amply_capacity.run.totals import added_up


@pytest.fixture(scope="module")
def run() -> Run:
    return read_run(EXAMPLE_RUN)


@pytest.mark.parametrize("over", ["second", "bucket_us"])
def test_the_counts_are_those_of_a_plain_sum(run: Run, over: str) -> None:
    keys = [name for name in run.requests if name not in (over, "count")]
    summed = run.requests.groupby(keys, observed=True, as_index=False)["count"].sum()
    found = added_up(run.requests, over).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(found, summed)
    assert len(found) < len(run.requests)


def test_rows_come_in_the_order_in_which_they_are_first_met() -> None:
    rows = pd.DataFrame({"second": [7, 7, 8, 8], "outcome": pd.Categorical(["ok", "hit", "hit", "ok"]),
                         "bucket_us": [3, 1, 1, 2], "count": [1, 2, 3, 4]})
    assert added_up(rows, "second").to_dict("list") == {
        "outcome": ["ok", "hit", "ok"], "bucket_us": [3, 1, 2], "count": [1, 5, 4]}


def test_nothing_adds_up_to_nothing(run: Run) -> None:
    none = added_up(run.requests.head(0), "second")
    assert none.empty
    assert list(none) == [name for name in run.requests if name != "second"]


def test_the_totals_of_a_run_are_of_its_sound_seconds(run: Run) -> None:
    assert run.sound_totals["count"].sum() == run.sound_requests["count"].sum()
    assert run.counts_by_second["count"].sum() == run.requests["count"].sum()
    assert "second" not in run.sound_totals
    assert "bucket_us" not in run.counts_by_second
