"""What node types carry: laws that hold whatever the run, on the recording that ships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from amply_capacity.catalog.nodes import NodeType, node_type
from amply_capacity.files import EXAMPLE_RUN
from amply_capacity.interval import Interval
from amply_capacity.model import latency_curve
from amply_capacity.model.throughput import Throughput, throughput
from amply_capacity.plan.node_limits import MixBytes, NodeLimits, WeekShape, node_limits
from amply_capacity.run.reader import read_run

pytestmark = pytest.mark.xdist_group("throughput answer")

MIX = MixBytes(bytes_in=200.0, bytes_out=400.0)
EQUAL, OFFICE = WeekShape(), WeekShape(3.0, 0.5)
MICRO, SMALL, MEDIUM, GRAVITON_MICRO = (node_type(f"cache.{name}") for name in (
    "t3.micro", "t3.small", "t3.medium", "t4g.micro"))
OLD, NEW = node_type("cache.m5.large"), node_type("cache.m7g.large")


@pytest.fixture(scope="module")
def found() -> Throughput:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency_curve, "KNEE_DRAWS", 8)
        patch.setattr(latency_curve, "_DRAWS", 2)
        return throughput([read_run(EXAMPLE_RUN)], 5.0)


def limits_of(node: NodeType, found: Throughput, week: WeekShape = EQUAL, mix: MixBytes | None = MIX,
              seed: int = 1) -> NodeLimits:
    (one,) = node_limits([node], found, mix, week, seed=seed)
    return one


def limit(one: NodeLimits, constraint: str) -> Interval:
    (value,) = [each.operations_per_second for each in one.limits if each.constraint == constraint]
    assert value is not None
    return value


def mids(nodes: Sequence[NodeType], found: Throughput, constraint: str) -> list[float]:
    return [limit(one, constraint).mid for one in node_limits(nodes, found, MIX, EQUAL)]


def test_a_faster_family_carries_more_of_the_same_mix(found: Throughput) -> None:
    slower, faster = node_limits([OLD, NEW], found, MIX, EQUAL)
    assert faster.cpu_factor.mid < slower.cpu_factor.mid
    assert limit(faster, "cpu").mid > limit(slower, "cpu").mid
    assert limit(faster, "cpu").mid / limit(slower, "cpu").mid == pytest.approx(
        slower.cpu_factor.mid / faster.cpu_factor.mid, rel=0.03)


def test_the_engine_carries_the_hosts_rate_over_the_nodes_factor(found: Throughput) -> None:
    one = limits_of(NEW, found)
    cpu = limit(one, "cpu")
    # One is a median of draws, the other the best one's, and the draws' knees are not symmetric around it.
    assert cpu.mid == pytest.approx(found.operations_per_second.mid / one.cpu_factor.mid, rel=0.08)
    assert cpu.low < cpu.mid < cpu.high


def test_the_size_within_a_family_changes_nothing_of_its_one_engine_core(found: Throughput) -> None:
    assert mids([MICRO, SMALL, MEDIUM], found, "cpu") == [limit(limits_of(MICRO, found), "cpu").mid] * 3


def test_credits_bind_a_micro_and_only_burstable_types_have_them(found: Throughput) -> None:
    for node in (MICRO, GRAVITON_MICRO):
        assert limits_of(node, found).binding.constraint == "cpu_credits"
    assert {each.constraint for each in limits_of(NEW, found).limits} == {"cpu", "network"}


def test_credits_sustain_what_the_baseline_less_the_host_allows(found: Throughput) -> None:
    """Cores are in proportion to the baseline; a round trip costs less in haste, so rates rise more."""
    micro, small = mids([MICRO, SMALL], found, "cpu_credits")
    assert MICRO.cpu_credits_per_hour is not None
    assert SMALL.cpu_credits_per_hour == 2 * MICRO.cpu_credits_per_hour
    assert small > 2.0 * micro
    latency = found.latency
    for node, rate in ((MICRO, micro), (SMALL, small)):
        cores = found.curve.cores(rate * latency.mix.rounds_per_operation, latency.mix.execution_us)[0]
        factor = limits_of(node, found).cpu_factor.mid
        assert node.cpu_credits_per_hour is not None
        assert factor * cores == pytest.approx(node.cpu_credits_per_hour / 60.0 - 0.02, rel=0.1)


def test_a_week_of_quiet_weekends_sustains_a_lower_mean(found: Throughput) -> None:
    """Credits of a quiet weekend are lost beyond a day's; with equal days the day's shape costs nothing."""
    equal, weekends = (limit(limits_of(MICRO, found, week), "cpu_credits").mid
                       for week in (WeekShape(3.0, 1.0), WeekShape(3.0, 0.2)))
    assert weekends < 0.97 * equal
    flat = limit(limits_of(MICRO, found, EQUAL), "cpu_credits").mid
    assert equal >= flat, "busy hours cost less a round trip, and the balance bridges the day"


def test_the_weeks_shape_is_of_no_concern_to_engine_and_network(found: Throughput) -> None:
    office, equal = limits_of(MICRO, found, OFFICE), limits_of(MICRO, found)
    for constraint in ("cpu", "network"):
        assert limit(office, constraint) == limit(equal, constraint)
    assert limit(office, "cpu_credits") != limit(equal, "cpu_credits")


def test_the_network_is_the_baseline_over_the_busier_directions_bytes(found: Throughput) -> None:
    out, both = (limit(limits_of(NEW, found, mix=mix), "network").mid
                 for mix in (MIX, MixBytes(bytes_in=MIX.bytes_out, bytes_out=MIX.bytes_in)))
    assert out == both
    assert NEW.network_baseline_gbps is not None
    payload_alone = 1e9 * NEW.network_baseline_gbps / 8.0 / MIX.bytes_out
    assert 0.5 * payload_alone < out < payload_alone, "framing comes on top"
    big = limit(limits_of(NEW, found, mix=MixBytes(200.0, 4_000.0)), "network").mid
    assert out / 10.0 < big < out


@pytest.mark.parametrize("case", ["bytes", "baseline"])
def test_a_network_that_nobody_knows_is_absent_not_nothing(found: Throughput, case: str) -> None:
    one = (limits_of(NEW, found, mix=None) if case == "bytes" else
           limits_of(replace(NEW, network_baseline_gbps=None), found))
    (network,) = [each for each in one.limits if each.constraint == "network"]
    assert network.operations_per_second is None
    assert network.as_json() == {"constraint": "network", "low": None, "mid": None, "high": None}
    assert one.as_json()["binding"] == "network", "what is not known comes before what is"
    assert one.as_json()["mid"] is None


def test_silent_throttling_is_told_of_burstable_types_alone(found: Throughput) -> None:
    assert limits_of(NEW, found).silent is None
    assert limits_of(NEW, found).as_json()["silent_throttling"] is None
    silent = limits_of(MICRO, found, OFFICE).silent
    assert silent is not None
    assert silent.node_type == MICRO.name
    sustained = limit(limits_of(MICRO, found, OFFICE), "cpu_credits")
    assert sustained.low < silent.ops_per_second < sustained.high
    assert not silent.alarm_fires


def test_a_burstable_type_whose_credits_are_not_known_has_no_figure(found: Throughput) -> None:
    one = limits_of(replace(MICRO, cpu_baseline_percent_per_vcpu=None), found)
    assert one.silent is None
    (unknown,) = [each for each in one.limits if each.constraint == "cpu_credits"]
    assert unknown.operations_per_second is None


def test_published_gains_are_quoted_and_not_counted(found: Throughput) -> None:
    gains = node_limits([NEW], found, MIX, EQUAL, engine="redis", version="7.0")[0]
    assert gains.published_gains
    assert all("up to" in each and "https://" in each for each in gains.published_gains)
    assert node_limits([MICRO], found, MIX, EQUAL)[0].published_gains == ()
    older = node_limits([NEW], found, MIX, EQUAL, engine="redis", version="5.0.6")[0]
    assert limit(older, "cpu") == limit(gains, "cpu")


def test_the_same_seed_gives_the_same_limits_and_another_others(found: Throughput) -> None:
    assert limits_of(MICRO, found) == limits_of(MICRO, found)
    assert limits_of(MICRO, found, seed=2) != limits_of(MICRO, found)
