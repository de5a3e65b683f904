"""A load's bytes against a node type's network."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.catalog.nodes import node_type, node_types
from amply_capacity.errors import BadInput
from amply_capacity.interval import Interval
from amply_capacity.model.allowance import network_headroom

MICRO = node_type("cache.t3.micro")
IN = Interval(0.9e6, 1e6, 1.1e6)
OUT = Interval(3.8e6, 4e6, 4.2e6)


def test_the_busier_direction_is_held_against_baseline_and_burst() -> None:
    found = network_headroom(MICRO, IN, OUT, peak_to_mean=2.5)
    assert found.direction == "out"
    assert found.mean_gbps.mid == pytest.approx(0.032)
    assert found.mean_left is not None
    assert found.mean_left.mid == pytest.approx(0.5), "0.064 Gbps"
    assert found.peak_left is not None
    assert found.peak_left.mid == pytest.approx(-0.25)
    assert found.verdict == "burst"
    assert found.burst_left is not None
    assert found.burst_left.mid == pytest.approx(1.0 - 0.08 / 5.0)
    assert found.as_json()["burst_minutes"] == [5.0, 60.0]
    assert network_headroom(MICRO, OUT, IN).direction == "in"


def test_a_mean_above_the_baseline_is_beyond_however_far_it_may_burst() -> None:
    assert network_headroom(MICRO, IN, OUT).verdict == "baseline"
    assert network_headroom(MICRO, IN, OUT.scaled(2.5)).verdict == "beyond"
    assert network_headroom(MICRO, IN, OUT.scaled(0.5), peak_to_mean=1e4).verdict == "beyond"


def test_what_the_catalog_does_not_know_is_unknown_and_no_burst_is_no_room() -> None:
    blank = network_headroom(replace(MICRO, network_baseline_gbps=None), IN, OUT)
    assert blank.verdict == "unknown"
    assert blank.mean_left is None
    assert blank.as_json()["mean_left"] is None
    fixed = network_headroom(replace(MICRO, network_burst_gbps=None), IN, OUT, peak_to_mean=3.0)
    assert fixed.verdict == "beyond"
    assert fixed.burst_left == fixed.peak_left


@given(st.sampled_from(node_types()), st.floats(1.0, 1e9), st.floats(1.0, 20.0))
def test_more_load_never_leaves_more(node: object, bytes_out: float, peak: float) -> None:
    less, more = (network_headroom(node, IN, Interval.exact(rate), peak_to_mean=peak)  # type: ignore[arg-type]
                  for rate in (bytes_out + 2e6, bytes_out * 1.5 + 3e6))
    order = ["baseline", "burst", "beyond", "unknown"]
    assert order.index(less.verdict) <= order.index(more.verdict)
    if less.mean_left is not None and more.mean_left is not None:
        assert more.mean_left.mid <= less.mean_left.mid


def test_a_peak_below_the_mean_is_refused() -> None:
    with pytest.raises(BadInput, match="not below the mean"):
        network_headroom(MICRO, IN, OUT, peak_to_mean=0.5)
