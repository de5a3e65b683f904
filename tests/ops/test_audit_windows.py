"""Windows: their forms, and the quiet hours that a fix proposes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.model.day import WEEK_MINUTES
from amply_capacity.ops.audit import audit_of
from amply_capacity.ops.circumstances import circumstances_of
from amply_capacity.ops.document import read_configuration
from amply_capacity.ops.windows import Window, busyness, daily_window, quietest_hour, weekly_window

BUSY = busyness(circumstances_of(today=date(2026, 11, 28)))


@pytest.mark.parametrize(("text", "first", "minutes"), [
    ("04:00-05:00", 240, 60), ("23:30-00:30", 1410, 60), ("00:00-00:00", 0, 0)])
def test_a_daily_window_may_go_over_midnight(text: str, first: int, minutes: int) -> None:
    assert daily_window(text) == Window(first, minutes, True)
    assert str(daily_window(text)) == text


@pytest.mark.parametrize(("text", "first", "minutes"), [
    ("mon:00:00-mon:01:00", 0, 60), ("sun:23:00-mon:01:30", 10_020, 150),
    ("SAT:22:00-sun:01:00", 8_520, 180)])
def test_a_weekly_window_may_go_over_the_week(text: str, first: int, minutes: int) -> None:
    assert weekly_window(text) == Window(first, minutes, False)
    assert str(weekly_window(text)) == text.lower()


@pytest.mark.parametrize("text", ["4:00-5:00", "24:00-25:00", "sun:05:00", "sun:05:00-06:00", "",
                                  "son:05:00-son:06:00", "04:00-05:00 UTC", "04:60-05:00"])
def test_what_is_no_window_is_none(text: str) -> None:
    assert daily_window(text) is None
    assert weekly_window(text) is None


@given(st.integers(0, WEEK_MINUTES - 1), st.integers(60, 1_440), st.booleans(), st.booleans())
def test_a_proposed_window_is_a_quiet_hour_beside_the_other_one(
        first: int, minutes: int, other_is_daily: bool, is_daily: bool) -> None:
    other = Window(first % 1_440 if other_is_daily else first, min(minutes, 1_320), other_is_daily)
    found = quietest_hour(BUSY, other.of_week(), is_daily=is_daily)
    assert found.minutes == 60
    assert not (found.of_week() & other.of_week()).any()
    assert (daily_window if is_daily else weekly_window)(str(found)) == found


def test_the_quietest_hours_lie_at_night_and_the_week_s_at_its_end() -> None:
    nothing = np.zeros(WEEK_MINUTES, dtype=np.bool_)
    daily, weekly = (quietest_hour(BUSY, nothing, is_daily=one) for one in (True, False))
    assert BUSY[daily.of_week()].max() < 0.2
    assert str(weekly).startswith(("sat", "sun"))


@pytest.mark.parametrize(("window", "rule", "fix"), [
    ("SnapshotWindow: 23:30-23:45", "window-invalid", "`SnapshotWindow: 23:30-00:30`"),
    ("PreferredMaintenanceWindow: sun:23:30-sun:23:45", "window-invalid",
     "`PreferredMaintenanceWindow: sun:23:30-mon:00:30`"),
    ("PreferredMaintenanceWindow: wed:10:00-wed:11:00", "window-in-peak",
     "`PreferredMaintenanceWindow: sat:"),
    ("SnapshotWindow: 00:00-00:00", "window-invalid", "`SnapshotWindow: 00:00-01:00`"),
])
def test_a_fix_writes_a_window_that_is_none_of_these(
        tmp_path: Path, window: str, rule: str, fix: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(f"CacheClusterId: a\n{window}\n")
    findings = audit_of(read_configuration(path), circumstances_of(today=date(2026, 11, 28))).findings
    found = [one for one in findings if "window" in one.rule]
    assert [one.rule for one in found] == [rule]
    assert fix in found[0].fix
