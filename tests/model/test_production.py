"""Production's figures: what they are of, and that what is not published stays unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.aws.cloudwatch import Series, Window
from amply_capacity.aws.elasticache import GROUP, Cache, Inventory, Node
from amply_capacity.aws.import_run import NodeSeries, write_run
from amply_capacity.aws.metrics import Listed, node_queries
from amply_capacity.errors import BadRun
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.model.production import (
    commands_per_second,
    hourly,
    primaries,
    range_of,
    review_of,
)
from amply_capacity.run.reader import Run, read_run

MONDAY = 1_794_787_200
"""2026-11-16, midnight UTC."""
DAYS, PERIOD_S = 14, 300
HOURS = np.arange(DAYS * 288) // 12
DAY = np.arange(DAYS * 288) // 288


def production(directory: Path, nodes: Mapping[str, Mapping[str, Any]], *,
               roles: Sequence[str | None] = ("master",), shards: int = 1,
               node_type: str | None = "cache.t3.micro") -> Run:
    """Two weeks of 5-minute values by node and metric: of counts the sum of each period; NaN is a gap."""
    window = Window(MONDAY, MONDAY + DAYS * 86_400, PERIOD_S)
    seconds = np.arange(window.start_s, window.end_s, PERIOD_S)
    members = tuple(Node(name, role, None) for name, role in zip(nodes, roles, strict=True))
    cache = Cache("shop", GROUP, "redis", "7.1", node_type, members, shards, None, None, False, None, {})
    found = []
    for member in members:
        dimensions = (("CacheClusterId", member.id), ("CacheNodeId", "0001"))
        listed = [Listed(name, dimensions) for name in nodes[member.id]]
        queries = node_queries(member.id, listed, PERIOD_S)
        series = []
        for query in queries:
            values = np.broadcast_to(np.asarray(nodes[member.id][query.metric], dtype=float), seconds.shape)
            known = ~np.isnan(values)
            series.append(Series(seconds[known], values[known]))
        found.append(NodeSeries(member.id, member.role, queries, series))
    write_run(directory, cache, Inventory("us-east-1", (cache,)), window, found, origin="a test")
    return read_run(directory)


def test_rates_are_of_the_commands_and_their_busiest_hour_is_over_the_mean(tmp_path: Path) -> None:
    busy = np.where(HOURS % 24 == 14, 300.0, 100.0)
    review = review_of(production(tmp_path / "run", {"n": {"ProcessedCommands": 300.0 * busy}}))
    commands, peak = review.figure("commands"), review.figure("peak to mean")
    assert commands is not None
    assert peak is not None
    assert commands.mid == pytest.approx(100.0)
    mean = (23 * 100.0 + 300.0) / 24
    assert (peak.low, peak.mid, peak.high) == pytest.approx((300.0 / mean,) * 3)
    assert review.days == 14.0


def test_weekends_are_told_from_weekdays(tmp_path: Path) -> None:
    is_weekend = DAY % 7 >= 5
    review = review_of(production(tmp_path / "run", {"n": {
        "GetTypeCmds": np.where(is_weekend, 3_000.0, 12_000.0), "SetTypeCmds": 0.0}}))
    weekend = review.figure("weekend to weekday")
    assert weekend is not None
    assert weekend.mid == pytest.approx(0.25)


def test_one_odd_night_does_not_decide_on_the_peak(tmp_path: Path) -> None:
    rate = np.where(HOURS % 24 == 14, 300.0, 100.0)
    rate[10 * 288:10 * 288 + 72] = 20_000.0
    peak = review_of(production(tmp_path / "run", {"n": {"ProcessedCommands": rate}})).figure("peak to mean")
    assert peak is not None
    assert peak.mid == pytest.approx(300.0 / (2_600.0 / 24), rel=0.01)


def test_growth_is_the_slope_of_the_days_with_its_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    used = 1e8 + 2e6 * DAY + rng.normal(0.0, 1e5, DAY.size)
    made = production(tmp_path / "run", {"n": {"BytesUsedForCache": used}})
    growth = review_of(made).figure("memory's growth")
    assert growth is not None
    assert growth.low <= 2.0 <= growth.high
    assert growth.high - growth.low < 0.2


def test_what_is_not_published_is_not_there(tmp_path: Path) -> None:
    review = review_of(production(tmp_path / "run", {"n": {"CurrItems": 5.0}}, node_type=None))
    assert [one.name for one in review.figures] == ["keys"]
    assert review.findings == ()
    assert commands_per_second(primaries(read_run(tmp_path / "run"))) is None


def test_shards_are_added_and_replicas_left_out(tmp_path: Path) -> None:
    each = {"CacheHits": 300.0, "CacheMisses": 100.0, "CurrItems": 10.0, "EngineCPUUtilization": 5.0,
            "FreeableMemory": 100.0}
    hot = each | {"EngineCPUUtilization": 50.0, "FreeableMemory": 50.0}
    run = production(tmp_path / "run", {"a": each, "b": hot, "r": each | {"CurrItems": 999.0}},
                     roles=("master", "master", "slave"), shards=2)
    rows = primaries(run)
    assert rows["CurrItems"].unique().tolist() == [20.0]
    assert rows["CacheHits"].unique().tolist() == pytest.approx([2.0])
    assert rows["EngineCPUUtilization"].unique().tolist() == [50.0], "of states the one that limits"
    assert rows["FreeableMemory"].unique().tolist() == [50.0]


def test_a_shard_that_often_misses_is_found_beside_one_that_does_not(tmp_path: Path) -> None:
    run = production(tmp_path / "run", {"a": {"CacheHitRate": 95.0}, "b": {"CacheHitRate": 60.0}},
                     roles=("master", "master"), shards=2)
    assert primaries(run)["CacheHitRate"].unique().tolist() == [60.0]
    assert any("hit rate" in words for words in review_of(run).findings)


def test_findings_say_how_often_and_when_first(tmp_path: Path) -> None:
    evicted = np.where(np.arange(HOURS.size) >= 100, 7.0, 0.0)
    cpu = np.where(HOURS == 30, 60.0, 5.0)
    review = review_of(production(tmp_path / "run", {"n": {
        "Evictions": evicted, "CPUUtilization": cpu, "CPUCreditBalance": 10.0, "SwapUsage": 0.0}}))
    text = "\n".join(review.findings)
    assert "keys were evicted in 3,932 of 4,032 periods of 300 s, first 2026-11-16 08:20 UTC" in text
    assert "the host's CPU was above 45 %, AWS' limit for 2 vCPUs, in 12 of 4,032" in text
    assert "fewer than 28.8 CPU credits were left in 4,032 of 4,032" in text
    assert "swapped" not in text


def test_a_gap_is_a_finding_and_no_zero(tmp_path: Path) -> None:
    items = np.where(HOURS == 5, np.nan, 7.0)
    review = review_of(production(tmp_path / "run", {"n": {"CurrItems": items}}))
    assert review.findings == ("1 gap without any value, 1.0 h together",)
    keys = review.figure("keys")
    assert keys is not None
    assert keys.low == 7.0


def test_a_recording_is_no_production() -> None:
    with pytest.raises(BadRun, match="is no production import"):
        review_of(read_run(EXAMPLE_RUN))


@given(st.lists(st.floats(0.0, 1e9), min_size=1, max_size=50))
def test_a_range_holds_its_median(values: list[float]) -> None:
    found = range_of(values)
    assert found is not None
    assert found.low <= found.mid <= found.high
    assert found.mid == np.median(values)
    assert found.high <= max(values) * (1.0 + 1e-12)
    assert range_of([]) is None


def test_an_hour_is_the_mean_of_what_it_has() -> None:
    values = pd.Series([1.0, 3.0, np.nan, 5.0], index=[0, 300, 600, 3_600])
    assert hourly(values).to_dict() == {0: 2.0, 3_600: 5.0}
