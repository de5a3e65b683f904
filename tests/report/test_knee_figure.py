"""The figure of the knee says what the run holds, and a run gives back the knee that its search found."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from simulated_queue import Service, SimulatedServer, record_search

from amply_capacity.errors import BadRun
from amply_capacity.load.knee import Knee, KneeSearch
from amply_capacity.model.knee_curve import KneeCurve, knee_of
from amply_capacity.model.latency import latency_by_use_case
from amply_capacity.report.knee_figure import knee, knee_of_run, latency_against_load
from amply_capacity.report.look import Picture
from amply_capacity.run.histogram import quantiles_us
from amply_capacity.run.reader import Run, read_run

pytestmark = pytest.mark.xdist_group("knee")

OBJECTIVES_MS = {"sessions": 5.0, "cache": 8.0}
SHARES = {"sessions": 0.6, "cache": 0.3, "rate_limit": 0.1}


def record(directory: Path, **server: Any) -> tuple[Run, Knee]:
    search = KneeSearch(OBJECTIVES_MS, 500.0)
    queue = SimulatedServer(Service(1 / 4000), np.random.default_rng(1), shares=SHARES, now=1_700_000_000,
                            **server)
    record_search(directory, search, queue)
    return read_run(directory), search.result


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Knee]:
    return record(tmp_path_factory.mktemp("knee") / "run")


@pytest.fixture(scope="module")
def curve(recorded: tuple[Run, Knee]) -> KneeCurve:
    found = knee_of(recorded[0])
    assert found is not None
    return found


def assert_drawn(picture: Picture) -> None:
    root = ET.fromstring(picture.svg)
    assert root.get("aria-label") == picture.claim
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 10


def with_events(run: Run, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Run:
    changed = Run(run.directory, run.manifest)
    vars(changed)["events"] = change(run.events.copy())
    return changed


def test_the_run_gives_back_the_knee_that_the_search_found(
        recorded: tuple[Run, Knee], curve: KneeCurve) -> None:
    _, found = recorded
    assert (curve.low, curve.mid, curve.high) == (found.low, found.mid, found.high)
    assert (curve.use_case, curve.reason) == (found.use_case, found.reason)
    assert curve.confidence == found.confidence
    assert found.mid is not None
    assert curve.objectives_ms == OBJECTIVES_MS


def test_a_point_of_the_curve_is_what_the_requests_of_its_seconds_say(
        recorded: tuple[Run, Knee], curve: KneeCurve) -> None:
    run, found = recorded
    assert len(curve.points) == len(found.steps) * len(SHARES)
    for step in found.steps:
        rows = run.requests[run.requests["second"].isin(step.seconds) & (run.requests["clock"] == "response")]
        for point in [point for point in curve.points if point.step == step.number]:
            own = rows[rows["use_case"] == point.use_case]
            assert point.operations == own["count"].sum()
            assert (point.rate_per_second, point.verdict) == (step.rate_per_second, step.verdict)
            wanted = quantiles_us(own["bucket_us"], own["count"], [0.5, 0.99]) / 1000.0
            for value, quantile in zip(wanted, (point.p50_ms, point.p99_ms), strict=True):
                assert quantile is None or quantile.mid == value
            counts = step.counts.get(point.use_case)
            assert point.share_beyond == (None if counts is None else counts.share)


def test_a_quantile_that_too_few_operations_tell_is_withheld(curve: KneeCurve) -> None:
    for point in curve.points:
        assert (point.p99_ms is None) == (point.operations * 0.01 < 5 - 1e-9)
        assert (point.p999_ms is None) == (point.operations * 0.001 < 5 - 1e-9)
    table = curve.table()
    assert table["p999_ms"].isna().any(), "the first steps have too few"
    assert not (table["p99_ms_low"] > table["p99_ms"]).any()
    assert (table["p99_ms_high"] > table["p99_ms_low"]).any()
    assert not (table[["p50_ms", "p99_ms"]] == 0.0).any().any()


def test_a_search_for_the_knee_tells_nothing_of_the_latency_in_use(recorded: tuple[Run, Knee]) -> None:
    run = recorded[0]
    searched = latency_by_use_case(run)
    assert searched == {}
    plain = latency_by_use_case(with_events(run, lambda events: events[events["kind"] != "knee"]))
    assert set(plain) == set(SHARES), "which it would, of times that were made bad on purpose"


def test_the_interval_of_a_p99_holds_its_true_value(tmp_path: Path) -> None:
    """At 90 %, over steps whose true p99 is known: ln(100) / (capacity - rate)."""
    held = []
    for seed in range(4):
        search = KneeSearch({"sessions": 5.0}, 500.0)
        server = SimulatedServer(Service(1 / 4000), np.random.default_rng(seed))
        record_search(tmp_path / str(seed), search, server)
        curve = knee_of(read_run(tmp_path / str(seed)))
        assert curve is not None
        for point in curve.points:
            if point.seconds >= 4 and point.p99_ms is not None and point.rate_per_second < 3200:
                true_ms = 1000.0 * np.log(100) / (4000 - point.rate_per_second)
                # a bucket is up to 6.3 % wide and named by its upper bound
                held.append(point.p99_ms.low / (1 + 1 / 16) <= true_ms <= point.p99_ms.high)
    assert len(held) > 15
    assert np.mean(held) >= 0.7, "few blocks: a bootstrap is a little narrow"


def test_the_figure_states_the_knee_its_interval_and_what_gives_out(curve: KneeCurve) -> None:
    stated = replace(curve, low=2951.2, mid=3084.9, high=3220.4, use_case="sessions")
    assert knee(stated, "one").claim == ("The knee is at 3,080 operations a second (2,950 to 3,220): "
                                         "beyond it the p99 of sessions exceeds 5 ms")


def test_the_figure_is_whole_and_the_same_twice(recorded: tuple[Run, Knee]) -> None:
    picture = latency_against_load(recorded[0])
    assert_drawn(picture)
    assert latency_against_load(recorded[0]) == picture


def test_a_knee_that_the_generator_hid_is_told_as_a_lower_bound(tmp_path: Path) -> None:
    run, found = record(tmp_path / "bound", capacity_of_generator=1900.0)
    picture = latency_against_load(run)
    assert_drawn(picture)
    assert found.low is not None
    assert picture.claim.startswith("The knee is above ")
    assert picture.claim.endswith("then the generator, not the server, was the bottleneck")
    curve = knee_of(run)
    assert curve is not None
    assert (curve.low, curve.mid, curve.high) == (found.low, None, None)


@pytest.mark.parametrize(("bounds", "claim"), [
    ((None, None, 120.0), "The knee is below 120 operations a second"),
    ((100.0, None, None), "The knee is above 100 operations a second"),
    ((100.0, None, 300.0), "The knee is between 100 and 300 operations a second"),
    ((None, None, None), "The knee was not found: no step was measured"),
])
def test_a_knee_of_one_side_is_drawn(curve: KneeCurve, bounds: tuple[Any, ...], claim: str) -> None:
    low, mid, high = bounds
    points = () if bounds == (None, None, None) else curve.points
    picture = knee(replace(curve, low=low, mid=mid, high=high, points=points), "one")
    assert_drawn(picture)
    assert picture.claim.startswith(claim)


def test_a_run_without_a_search_shows_its_seconds(recorded: tuple[Run, Knee]) -> None:
    plain = with_events(recorded[0], lambda events: events[events["kind"] != "knee"])
    assert knee_of(plain) is None
    assert knee_of_run(plain) is None
    picture = latency_against_load(plain)
    assert_drawn(picture)
    assert picture.claim.startswith("No knee was searched: at ")
    vars(plain)["requests"] = plain.requests.assign(bucket_us=163_839)
    assert latency_against_load(plain).claim.endswith("at most 164 ms")


def test_a_search_that_was_cut_off_is_told_as_far_as_it_came(recorded: tuple[Run, Knee]) -> None:
    cut = with_events(recorded[0], lambda events: events[~events["name"].isin(["ended"])].iloc[:5])
    found = knee_of(cut)
    assert found is not None
    assert found.reason is None
    assert len({point.step for point in found.points}) == 3
    assert found.mid is None


def test_events_that_are_not_ours_are_a_bad_run(recorded: tuple[Run, Knee]) -> None:
    def damage(events: pd.DataFrame) -> pd.DataFrame:
        is_step = (events["kind"] == "knee") & (events["name"] == "step")
        return events.assign(detail=[{} if bad else detail
                                     for bad, detail in zip(is_step, events["detail"], strict=True)])

    with pytest.raises(BadRun, match="knee search of run"):
        knee_of(with_events(recorded[0], damage))
