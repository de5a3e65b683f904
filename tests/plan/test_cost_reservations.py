"""Size-flexible reservations: AWS' own examples, and the laws that any coverage obeys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amply_capacity.catalog.nodes import node_type
from amply_capacity.errors import BadInput, UnknownName
from amply_capacity.plan.cost import nodes_bill
from amply_capacity.plan.reservations import NodeHours, Reservation, coverage, units_of

SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge")


def redis(name: str, hours: float) -> NodeHours:
    return NodeHours("redis", name, hours)


def valkey(name: str, hours: float) -> NodeHours:
    return NodeHours("valkey", name, hours)


def test_two_large_nodes_are_one_xlarge() -> None:
    found = coverage(redis("cache.r6gd.2xlarge", 1.0), [redis("cache.r6gd.xlarge", 2.0)])
    assert (found.covered, found.on_demand, found.wasted) == ((2.0,), (0.0,), 0.0)


def test_half_of_a_node_twice_as_large_is_covered() -> None:
    found = coverage(redis("cache.r6gd.xlarge", 1.0), [redis("cache.r6gd.2xlarge", 1.0)])
    assert (found.covered, found.on_demand, found.wasted) == ((0.5,), (0.5,), 0.0)


def test_one_hour_of_two_4xlarge_is_16_hours_of_a_large() -> None:
    found = coverage(redis("cache.r6g.4xlarge", 2.0), [redis("cache.r6g.large", 20.0)])
    assert (found.covered, found.on_demand) == ((16.0,), (4.0,))


def test_redis_that_runs_valkey_has_a_fifth_to_spare() -> None:
    reserved = redis("cache.r7g.4xlarge", 1.0)
    alone = coverage(reserved, [valkey("cache.r7g.4xlarge", 1.0)])
    assert (alone.covered, alone.wasted) == ((1.0,), 0.2)
    beside = coverage(reserved, [valkey("cache.r7g.4xlarge", 1.0), valkey("cache.r7g.xlarge", 1.0)])
    assert (beside.covered, beside.wasted) == ((1.0, 1.0), 0.0)
    twice = coverage(reserved, [valkey("cache.r7g.4xlarge", 2.0)])
    assert twice.covered == (1.25,)


def test_valkey_covers_no_redis_and_no_family_covers_another() -> None:
    for reserved, running in ((valkey("cache.r7g.large", 730.0), redis("cache.r7g.large", 730.0)),
                              (redis("cache.r6g.xlarge", 730.0), redis("cache.r6gd.xlarge", 730.0)),
                              (redis("cache.t3.micro", 730.0), redis("cache.t4g.micro", 730.0))):
        found = coverage(reserved, [running])
        assert (found.covered, found.on_demand, found.wasted) == ((0.0,), (730.0,), 730.0)


def test_the_smallest_nodes_are_covered_first() -> None:
    found = coverage(redis("cache.r7g.large", 3.0),
                     [redis("cache.r7g.2xlarge", 1.0), redis("cache.r7g.large", 1.0)])
    assert found.covered == (0.5, 1.0)


def test_a_node_type_without_facts_has_no_units() -> None:
    with pytest.raises(UnknownName, match=r"cache\.m1\.small"):
        coverage(redis("cache.m1.small", 1.0), [redis("cache.t3.small", 1.0)])


@given(reserved=st.sampled_from(SIZES), engine=st.sampled_from(("redis", "valkey")),
       hours=st.floats(0.0, 1e5), running=st.lists(st.tuples(
           st.sampled_from(SIZES), st.sampled_from(("redis", "valkey")), st.floats(0.0, 1e5)), max_size=4))
def test_no_unit_is_lost_and_none_is_made(reserved: str, engine: str, hours: float,
                                          running: list[tuple[str, str, float]]) -> None:
    held = NodeHours(engine, f"cache.r7g.{reserved}", hours)
    nodes = [NodeHours(each, f"cache.r7g.{size}", time) for size, each, time in running]
    found = coverage(held, nodes)

    def units(one: NodeHours, time: float) -> float:
        return float(units_of(node_type(one.node_type), one.engine)) * time

    for node, covered, rest in zip(nodes, found.covered, found.on_demand, strict=True):
        assert covered + rest == pytest.approx(node.hours, abs=1e-6)
        assert covered >= 0.0
        assert covered == 0.0 or (engine, node.engine) != ("valkey", "redis")
    used = sum(units(node, time) for node, time in zip(nodes, found.covered, strict=True))
    assert used + units(held, found.wasted) == pytest.approx(units(held, hours), rel=1e-9, abs=1e-5)
    # Nothing is wasted while something that it could cover is left over.
    could = [rest for node, rest in zip(nodes, found.on_demand, strict=True)
             if (engine, node.engine) != ("valkey", "redis")]
    assert found.wasted < 1e-6 or sum(could) < 1e-6


def test_a_reservation_that_is_larger_than_the_nodes_is_paid_and_said_to_be_wasted() -> None:
    bill = nodes_bill("us-east-1", "redis", "cache.r7g.large",
                      reservation=Reservation("redis", "cache.r7g.xlarge", 1, "3yr_no"))
    assert bill.usd_per_month == pytest.approx(730 * 0.227)
    assert any("365 node-hours of cache.r7g.xlarge are paid for" in note for note in bill.notes)
    assert any("covers 730 of 730 node-hours" in note for note in bill.notes)


def test_faults_of_a_reservation_are_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        nodes_bill("us-east-1", "redis", "cache.r7g.large", term="1yr_no",
                   reservation=Reservation("radis", "cache.r7g.huge", 0, "on_demand"))
    for part in ("5 inputs are wrong", "a reservation and a term", "reserved nodes 0",
                 "no such term 'on_demand'",
                 "unknown reserved node type 'cache.r7g.huge'", "unknown engine of a reservation 'radis'"):
        assert part in str(caught.value)
