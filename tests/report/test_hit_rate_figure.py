"""The curve over memory, and what its figure claims."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from cheaper import cheapen

from amply_capacity.catalog.nodes import node_type
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.interval import Interval
from amply_capacity.model.layout import Layout
from amply_capacity.model.shapes import shapes_of
from amply_capacity.plan.demand import Demand, load_demand
from amply_capacity.plan.hit_rate_curve import HitRateCurve, Point, hit_rate_curve
from amply_capacity.report.hit_rate_figure import hit_rate_against_memory
from amply_capacity.report.notebooks import Text, open_session
from amply_capacity.run.reader import read_run

pytestmark = pytest.mark.xdist_group("hit rate")

NODES = [node_type(f"cache.{name}") for name in ("t3.micro", "t4g.micro", "t3.small")]


@pytest.fixture(scope="module")
def amply_demand(demand: Path) -> Demand:
    return load_demand(demand)


@pytest.fixture(scope="module")
def curve(amply_demand: Demand) -> HitRateCurve:
    return hit_rate_curve(amply_demand, shapes_of(read_run(EXAMPLE_RUN)), Layout(), NODES)


def test_more_memory_hits_as_often_and_evicts_less(curve: HitRateCurve) -> None:
    mids = [point.hit_rate.mid for point in curve.points]
    assert all(later >= earlier - 0.01 for earlier, later in pairwise(mids))
    assert curve.points[0].evictions_per_minute.high > 100.0
    assert curve.unlimited.evictions_per_minute.high == 0.0


def test_a_node_that_holds_everything_gives_what_unlimited_memory_gives(curve: HitRateCurve) -> None:
    sizes = dict(curve.node_types)
    assert sizes["cache.t3.micro"] == 402_653_184
    assert curve.needed.high < sizes["cache.t3.micro"]
    assert curve.at(sizes["cache.t3.micro"]) == curve.unlimited


def test_where_nothing_is_evicted_what_misses_has_expired(curve: HitRateCurve) -> None:
    """A cached value lives 300 s: asked for at a rate of r it misses once in 1 + 300 r reads."""
    assert 0.5 < curve.unlimited.hit_rate.mid < 0.99


def test_the_reserve_is_taken_off_the_node_types(
        amply_demand: Demand, monkeypatch: pytest.MonkeyPatch) -> None:
    cheapen(monkeypatch)
    found = hit_rate_curve(amply_demand, shapes_of(read_run(EXAMPLE_RUN)), Layout(), NODES[:1],
                           reserved_memory_percent=50.0)
    assert found.node_types == (("cache.t3.micro", 268_435_456),)


def point(megabytes: int, hit_rate: float, evictions: float) -> Point:
    return Point(megabytes * 1_000_000, Interval(hit_rate - 0.02, hit_rate, hit_rate + 0.01),
                 Interval(0.0, evictions / 2, evictions))


def curve_of(*points: Point, needed_mb: float = 300.0) -> HitRateCurve:
    return HitRateCurve(points, points[-1], Interval(0.8e6 * needed_mb, 1e6 * needed_mb, 1.2e6 * needed_mb), (
        ("cache.t3.micro", 402_653_184), ("cache.t4g.micro", 402_653_184), ("cache.t3.small", 1_103_269_724)))


def test_the_claim_names_the_first_type_that_keeps_the_limit(amply_demand: Demand) -> None:
    found = curve_of(point(300, 0.7, 9000.0), point(420, 0.9, 500.0), point(1200, 0.95, 0.0))
    picture = hit_rate_against_memory(found, amply_demand, 0, "a run")
    assert picture.claim.startswith("From cache.t3.small on 95 %")
    ET.fromstring(picture.svg)


def test_the_claim_says_when_memory_is_not_what_is_missing(amply_demand: Demand) -> None:
    found = curve_of(point(300, 0.6, 50.0), point(420, 0.7, 0.0))
    assert "90 % needs a longer TTL, not a larger node" in hit_rate_against_memory(
        found, amply_demand, 0, "a run").claim


def test_the_claim_says_when_no_type_is_large_enough(amply_demand: Demand) -> None:
    found = replace(curve_of(point(300, 0.6, 5000.0), point(2000, 0.7, 5000.0)))
    assert "No node type keeps evictions under 100 a minute in 18 months" in hit_rate_against_memory(
        found, amply_demand, 18, "a run").claim


def test_a_run_without_every_class_of_keys_is_a_sentence(demand: Path) -> None:
    session = open_session(EXAMPLE_RUN, demand)
    session.run.__dict__["accesses"] = session.run.accesses[session.run.accesses["key_class"] == "cache"]
    shown = session.hit_rates()
    assert isinstance(shown, Text)
    assert "Not drawn" in shown.markdown
