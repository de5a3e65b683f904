"""The metrics of recordings and imports as CloudWatch would hold them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from metric_run import BEGAN, NODE, metric_run, nodes_run

from amply_capacity.errors import BadRun
from amply_capacity.ops.alarm_points import RunPoints, points_of
from amply_capacity.ops.alarm_sets import aws_alarms, spec_alarms, swap_alarm

NAN = math.nan


def values(points: RunPoints, metric: str, node: int = 0) -> list[float]:
    return points.nodes[node].metrics[metric].values.tolist()


def test_a_recording_is_put_together_by_the_minute(tmp_path: Path) -> None:
    seconds = range(130)  # two minutes, and ten seconds that are left out
    points = points_of(metric_run(tmp_path / "run", {
        "CPUUtilization": [10.0 if second < 60 else 30.0 for second in seconds],
        "CurrConnections": [float(second) for second in seconds],
        "Evictions": [2.0 for _ in seconds],
        "CacheHits": [9.0 if second < 30 else 0.0 for second in seconds],
        "CacheMisses": [1.0 for _ in seconds],
        "CacheHitRate": [90.0 if second < 30 else 0.0 for second in seconds],
    }, step_s=1))
    assert (points.minutes, points.start_s, points.is_approximate) == (2, BEGAN, False)
    assert values(points, "CPUUtilization") == [10.0, 30.0]
    assert values(points, "CurrConnections") == [59.0, 119.0]  # INFO at the end of the minute
    assert values(points, "Evictions") == [120.0, 120.0]
    assert values(points, "CacheHitRate")[0] == pytest.approx(100.0 * 270 / 330)  # of all look-ups
    assert values(points, "CacheHitRate")[1] == 0.0


def test_a_minute_of_which_half_was_sampled_counts_and_a_shorter_one_does_not(tmp_path: Path) -> None:
    points = points_of(metric_run(tmp_path / "run", {"Evictions": [1.0] * 95}, step_s=1))
    assert values(points, "Evictions") == [60.0, 35.0]
    short = points_of(metric_run(tmp_path / "short", {"Evictions": [1.0] * 20}, step_s=1))
    assert (short.minutes, short.nodes[0].metrics) == (0, {})


def test_a_gap_in_a_recording_is_told_by_the_sample_after_it(tmp_path: Path) -> None:
    seconds: list[float | None] = [1.0] * 60
    run = metric_run(tmp_path / "run", {"Evictions": seconds}, step_s=1)
    run.__dict__["server"] = run.server.drop(index=range(10, 20))
    assert values(points_of(run), "Evictions") == [60.0]


def test_an_hour_without_look_ups_has_no_hit_rate(tmp_path: Path) -> None:
    points = points_of(metric_run(tmp_path / "run", {
        "CacheHits": [0.0] * 60, "CacheMisses": [0.0] * 60, "CacheHitRate": [50.0] * 60}, step_s=1))
    assert "CacheHitRate" not in points.nodes[0].metrics


def test_an_import_of_minutes_stays_as_it_is_with_its_gaps(tmp_path: Path) -> None:
    points = points_of(metric_run(tmp_path / "run", {
        "CPUUtilization": [10.0, None, 30.0], "Evictions": [1.0, 2.0, 3.0], "SwapUsage": [None, None, None]}))
    np.testing.assert_array_equal(values(points, "CPUUtilization"), [10.0, NAN, 30.0])
    assert values(points, "Evictions") == [60.0, 120.0, 180.0]  # a run holds counts per second
    assert "SwapUsage" not in points.nodes[0].metrics


def test_an_import_of_five_minutes_gives_each_minute_its_share_and_says_so(tmp_path: Path) -> None:
    points = points_of(metric_run(tmp_path / "run", {
        "CPUUtilization": [10.0, 20.0], "Evictions": [1.0, 2.0], "CPUCreditBalance": [5.0, 4.0]}, step_s=300))
    assert (points.is_approximate, points.minutes) == (True, 10)
    assert values(points, "CPUUtilization") == [10.0] * 5 + [20.0] * 5
    assert values(points, "Evictions") == [60.0] * 5 + [120.0] * 5
    credits = points.nodes[0].metrics["CPUCreditBalance"]  # as published
    assert (credits.step_s, credits.values.tolist()) == (300, [5.0, 4.0])


def test_nodes_are_told_apart(tmp_path: Path) -> None:
    points = points_of(nodes_run(tmp_path / "run", {
        "a": {"Evictions": [0.0, 0.0]}, "b": {"ReplicationLag": [1.0, 2.0], "Evictions": [1.0, 1.0]}}))
    assert [node.node for node in points.nodes] == ["a", "b"]
    assert "ReplicationLag" not in points.nodes[0].metrics
    assert values(points, "ReplicationLag", 1) == [1.0, 2.0]


def test_an_alarm_on_a_difference_needs_both_metrics(tmp_path: Path) -> None:
    swap = swap_alarm("swap")
    both = points_of(metric_run(tmp_path / "both", {"SwapUsage": [5.0, 1.0], "FreeableMemory": [3.0, 3.0]}))
    assert (found := both.nodes[0].of(swap)) is not None
    assert found.values.tolist() == [2.0, -2.0]
    one = points_of(metric_run(tmp_path / "one", {"SwapUsage": [5.0, 1.0]}))
    assert one.nodes[0].of(swap) is None
    assert one.nodes[0].of(spec_alarms()[0]) is None


def test_a_run_without_metrics_is_refused(tmp_path: Path) -> None:
    for name, manifest in (("accesses", {"imported": {"kind": "trace", "file": "a.csv"}}), ("empty", {})):
        run = metric_run(tmp_path / name, {"CPUUtilization": [None, None]}, node=NODE, step_s=60, **manifest)
        with pytest.raises(BadRun):
            points_of(run)


def test_an_alarm_on_an_extreme_takes_the_imports_own_column_of_it(tmp_path: Path) -> None:
    points = points_of(metric_run(tmp_path / "run", {
        "DatabaseMemoryUsagePercentage": [10.0, 20.0], "DatabaseMemoryUsagePercentage.Maximum": [15.0, 95.0],
        "CPUCreditBalance": [9.0, 8.0], "CPUCreditBalance.Minimum": [8.5, 1.0]}, step_s=300))
    by_name = {alarm.name: alarm for alarm in aws_alarms(None, 0)}
    most = points.nodes[0].of(by_name["aws-memory-warning"])
    assert most is not None
    assert most.values.tolist() == [15.0] * 5 + [95.0] * 5
    assert points.nodes[0].metrics["CPUCreditBalance.Minimum"].step_s == 300


def test_an_imports_period_is_what_it_says_it_is(tmp_path: Path) -> None:
    run = metric_run(tmp_path / "run", {"CPUUtilization": [10.0, None, None, 40.0]}, step_s=60,
                     imported={"kind": "cloudwatch", "file": "none", "period_s": 60})
    run.__dict__["server"] = run.server.dropna(subset="CPUUtilization")  # a period without values is no row
    np.testing.assert_array_equal(values(points_of(run), "CPUUtilization"), [10.0, NAN, NAN, 40.0])
