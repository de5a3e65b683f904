"""The hour from which the report is timed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.run.reader import read_run
from bench.report import _stretched


@pytest.mark.parametrize(("table", "when"), [("requests", "second"), ("server", "second"),
                                             ("accesses", "time_s")])
def test_a_table_that_grows_with_traffic_is_that_of_an_hour(tmp_path: Path, table: str, when: str) -> None:
    directory = _stretched(tmp_path / "hour")
    first, last = read_run(directory).measured_seconds
    assert last - first > 3_500
    times = pd.read_parquet(directory / f"{table}.parquet")[when]
    example = pd.read_parquet(EXAMPLE_RUN / f"{table}.parquet")[when]
    assert times.min() == example.min()
    assert last - times.max() < 2
    beats = times[times >= first].astype("int64").nunique()
    assert beats > 0.98 * (last - first), "no gaps"
