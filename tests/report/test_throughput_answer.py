"""The whole answer of `predict throughput`, as JSON and as text, from the recording that ships."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amply_capacity.catalog.nodes import node_types
from amply_capacity.errors import BadRun
from amply_capacity.files import DATA_DIR, EXAMPLE_RUN
from amply_capacity.model import latency_curve
from amply_capacity.model.network import mix_bytes, network_costs
from amply_capacity.model.packets import TLS_13
from amply_capacity.plan.demand import load_demand
from amply_capacity.report import throughput as module
from amply_capacity.report.throughput import ThroughputQuestion, throughput_of
from amply_capacity.report.throughput_text import throughput_text
from amply_capacity.run.reader import read_run

pytestmark = pytest.mark.xdist_group("throughput answer")

DEMAND = DATA_DIR / "demand.example.toml"
NODES = ("cache.t3.micro", "cache.t3.small", "cache.m7g.large")


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Few draws: the model's own tests hold its intervals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency_curve, "KNEE_DRAWS", 2)
        patch.setattr(latency_curve, "_DRAWS", 3)
        patch.setattr(module, "_WORLDS", 500)
        yield


@pytest.fixture(scope="module")
def with_demand(quick: None) -> dict[str, Any]:
    return throughput_of([str(EXAMPLE_RUN)], ThroughputQuestion(None, DEMAND, NODES))


@pytest.fixture(scope="module")
def without_demand(quick: None) -> dict[str, Any]:
    return throughput_of([str(EXAMPLE_RUN)], ThroughputQuestion(5.0, None, ("cache.t3.micro",)))


@pytest.fixture
def answer(with_demand: dict[str, Any]) -> dict[str, Any]:
    """A copy to be changed."""
    return copy.deepcopy(with_demand)


def node(answer: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in answer["nodes"] if one["node_type"] == name]
    assert isinstance(found, dict)
    return found


def limit(answer: dict[str, Any], name: str, constraint: str) -> float:
    (found,) = [one["mid"] for one in node(answer, name)["limits"] if one["constraint"] == constraint]
    return float(found)


def test_the_answer_is_json_without_infinities(with_demand: dict[str, Any]) -> None:
    assert json.loads(json.dumps(with_demand, allow_nan=False)) == with_demand


def test_the_objectives_are_the_demands_unless_one_is_given(
        with_demand: dict[str, Any], without_demand: dict[str, Any]) -> None:
    assert with_demand["p99_ms"] == {"cache": 5.0, "celery_results": 10.0, "rate_limit": 3.0, "sessions": 5.0}
    assert set(without_demand["p99_ms"].values()) == {5.0}
    assert "months" not in without_demand
    assert "connections" not in without_demand


def test_the_node_types_asked_for_are_answered_in_their_order(with_demand: dict[str, Any]) -> None:
    assert [one["node_type"] for one in with_demand["nodes"]] == list(NODES)
    for one in with_demand["nodes"]:
        mids = {each["constraint"]: each["mid"] for each in one["limits"]}
        assert one["binding"] == min(mids, key=lambda name: mids[name])
        assert one["low"] <= one["mid"] <= one["high"]


@pytest.mark.usefixtures("quick")
def test_without_node_types_all_are_answered_that_new_clusters_may_have(
        monkeypatch: pytest.MonkeyPatch) -> None:
    few = node_types()[::12]
    monkeypatch.setattr(module, "node_types", lambda: few)
    found = throughput_of([str(EXAMPLE_RUN)], ThroughputQuestion(5.0, None, ()))
    assert [one["node_type"] for one in found["nodes"]] == [one.name for one in few if one.new_clusters]


def test_the_demands_week_lowers_what_credits_sustain_no_more_than_it_must(
        with_demand: dict[str, Any], without_demand: dict[str, Any]) -> None:
    """Quiet weekends cannot be saved for, so that an unequal week sustains less; busy hours are cheaper."""
    unequal, equal = (limit(one, "cache.t3.micro", "cpu_credits") for one in (with_demand, without_demand))
    assert unequal != equal
    assert unequal == pytest.approx(equal, rel=0.5)


def test_every_month_from_today_to_the_horizon_has_a_row_of_each_node_type(
        with_demand: dict[str, Any]) -> None:
    horizon = load_demand(DEMAND).plan.horizon_months
    for name in NODES:
        months = [row["month"] for row in with_demand["months"] if row["node_type"] == name]
        assert len(set(months)) == len(months) == horizon + 1
        assert months == sorted(months)


def test_the_limit_that_binds_is_the_one_with_least_left_in_the_worlds_of_most_need(
        with_demand: dict[str, Any]) -> None:
    for row in with_demand["months"]:
        left = row["headroom_percent"]
        assert row["binding"] == min(left, key=lambda name: left[name]["low"])
        for name, bounds in left.items():
            assert bounds["low"] <= bounds["mid"] <= bounds["high"] <= 100.0, name
        assert row["headroom_mid"] == left[row["binding"]]["mid"]
        assert ("cpu_credits" in left) == row["node_type"].startswith("cache.t")


def test_a_growing_demand_leaves_less_and_a_larger_node_more(with_demand: dict[str, Any]) -> None:
    def left(name: str) -> list[float]:
        return [row["headroom_percent"]["memory"]["mid"] for row in with_demand["months"]
                if row["node_type"] == name]

    micro, small, large = map(left, NODES)
    assert micro == sorted(micro, reverse=True)
    assert all(a < b < c for a, b, c in zip(micro, small, large, strict=True))


@pytest.mark.usefixtures("quick")
def test_a_fact_that_the_catalog_lacks_is_named_and_has_no_headroom(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.capacities

    def without_network(*arguments: Any) -> Any:
        found = real(*arguments)
        return found | {"network": type(found["network"])(None, "its network baseline")}

    monkeypatch.setattr(module, "capacities", without_network)
    found = throughput_of([str(EXAMPLE_RUN)], ThroughputQuestion(5.0, DEMAND, ("cache.t3.micro",)))
    for row in found["months"]:
        assert row["unknown"] == ["network"]
        assert "network" not in row["headroom_percent"]


def test_the_text_begins_with_the_answer_and_who_gives_out(answer: dict[str, Any]) -> None:
    first = throughput_text(answer).split("\n\n")[0]
    assert f"{answer['operations_per_second']:,.0f} operations a second" in first
    assert f"{answer['low']:,.0f} to {answer['high']:,.0f}, 90 %" in first
    assert "within a p99 of 3 to 10 ms" in first
    assert f"{answer['gives_out_first'].replace('_', ' ')} gives out first" in first
    assert "A search measured" not in first
    answer["measured_knee"] = {"low": 70_000.0, "mid": 80_000.0, "high": 90_000.0}
    assert "A search measured 80,000 (70,000 to 90,000)." in throughput_text(answer)


def test_one_objective_of_all_is_said_as_one(without_demand: dict[str, Any]) -> None:
    text = throughput_text(without_demand)
    assert "within a p99 of 5 ms" in text
    assert "Connections:" not in text
    assert "Headroom" not in text


def test_every_command_node_type_and_note_is_in_the_text(answer: dict[str, Any]) -> None:
    text = throughput_text(answer)
    for one in answer["cpu_us_per_command"]:
        assert f"\n{one['command'].upper():<14} {one['mid']:>8.2f}" in text
    for one in answer["nodes"]:
        assert f"\n{one['node_type']:<20} {one['mid']:>13,.0f}" in text
    for note in answer["notes"]:
        assert f"note: {note}" in text


def test_silent_throttling_is_told_only_where_no_alarm_fires(answer: dict[str, Any]) -> None:
    assert "cache.t3.micro is throttled from a mean of" in throughput_text(answer)
    node(answer, "cache.t3.micro")["silent_throttling"]["alarm_fires"] = True
    assert "cache.t3.micro is throttled from a mean of" not in throughput_text(answer)


def test_what_is_withheld_or_unbounded_is_a_dash_and_has_its_reason(answer: dict[str, Any]) -> None:
    answer["curve"][0]["p99"] = {"low_ms": None, "mid_ms": None, "high_ms": None, "saturated": False,
                                 "withheld": "stalls alone"}
    answer["curve"][1]["p99"] = {"low_ms": 1.0, "mid_ms": 2.0, "high_ms": None, "saturated": True,
                                 "withheld": None}
    text = throughput_text(answer)
    assert text.count("withheld: stalls alone") == 1
    rows = {line.split()[0]: line for line in text.splitlines() if " % " in line}
    assert "–" in rows[f"{answer['curve'][0]['operations_per_second']:,.0f}"]
    assert "1.00 or more" in rows[f"{answer['curve'][1]['operations_per_second']:,.0f}"]
    assert "None" not in text


def test_a_rate_that_nobody_knows_is_unknown_not_nothing(answer: dict[str, Any]) -> None:
    node(answer, "cache.m7g.large").update(low=None, mid=None, high=None, binding="network")
    assert any(line.startswith("cache.m7g.large") and "unknown" in line and "network" in line
               for line in throughput_text(answer).splitlines())


def test_the_highest_rate_is_told_as_it_is_on_the_wire(with_demand: dict[str, Any]) -> None:
    wire = with_demand["wire"]
    plain, tls = wire["plain"], wire["tls"]
    costs = network_costs(read_run(EXAMPLE_RUN))
    resp_in, resp_out = mix_bytes(costs, _shares_of_the_example(with_demand["operations_per_second"]))
    for way, resp in (("in", resp_in), ("out", resp_out)):
        packets = plain[f"packets_{way}_per_second"]["mid"]
        assert plain[f"bytes_{way}_per_second"]["mid"] == pytest.approx(resp.mid + 66.0 * packets, rel=1e-6)
        # A record for each request and each reply, which here never fills one.
        assert tls[f"bytes_{way}_per_second"]["mid"] - plain[f"bytes_{way}_per_second"]["mid"] == (
            pytest.approx(TLS_13 * plain["packets_out_per_second"]["mid"], rel=1e-6))
    assert 0.0 < wire["replica_bytes_per_second"]["mid"] < resp_in.mid
    text = throughput_text(with_demand)
    (line,) = [line for line in text.splitlines() if line.startswith("to each replica")]
    assert f"{8e-6 * wire['replica_bytes_per_second']['high']:,.1f}" in line


def _shares_of_the_example(rate: float) -> dict[str, float]:
    done = read_run(EXAMPLE_RUN).sound_requests.query("command == '' and clock == 'service'")
    counts = done.groupby("operation", observed=True)["count"].sum()
    return {str(name): rate * float(count) / float(counts.sum()) for name, count in counts.items()}


def test_a_node_that_lives_on_its_networks_burst_says_so(answer: dict[str, Any]) -> None:
    large = node(answer, "cache.m7g.large")
    assert large["binding"] == "cpu"
    most = answer["wire"]["plain"]["bytes_out_per_second"]["mid"] * 8e-9
    carried = large["mid"] / answer["operations_per_second"]
    assert large["network"]["peak_gbps"]["mid"] == pytest.approx(most * carried, rel=1e-3)
    micro = node(answer, "cache.t3.micro")
    assert micro["binding"] == "cpu_credits"
    carried = micro["mid"] / answer["operations_per_second"]
    assert micro["network"]["mean_gbps"]["mid"] == pytest.approx(most * carried, rel=1e-3)
    for one in answer["nodes"]:
        one["network"] |= {"verdict": "baseline", "burst_minutes": None}
    assert "network's burst" not in throughput_text(answer)
    micro["network"] |= {"verdict": "burst", "burst_minutes": [5.0, 60.0]}
    assert "cache.t3.micro lives on its network's burst at that rate's peak" in throughput_text(answer)
    for one in answer["nodes"]:
        one["network"] = None
    assert "network's burst" not in throughput_text(answer | {"wire": None})
    assert "on the wire" not in throughput_text(answer | {"wire": None})


def test_a_surcharge_is_told_in_a_line(answer: dict[str, Any]) -> None:
    answer["surcharges"] = [{
        "what": "TLS", "us_per_round": {"low": 1.0, "mid": 2.5, "high": 4.0},
        "percent": {"low": 5.0, "mid": 12.0, "high": 20.0}, "rounds_per_second": 1_000.0}]
    assert "TLS: +2.5 µs a round trip (+1.0 to +4.0), +12 %, at 1,000 a second" in throughput_text(answer)


def test_months_show_the_limit_its_median_and_the_worst_twentieth(answer: dict[str, Any]) -> None:
    row = answer["months"][0]
    words = {"memory": "memory", "cpu": "engine core", "cpu_credits": "CPU credits"}[row["binding"]]
    assert f"{words} {row['headroom_mid']:.0f} ({row['headroom_low']:.0f})" in throughput_text(answer)


@pytest.mark.usefixtures("quick")
def test_an_objective_that_the_host_misses_is_refused() -> None:
    with pytest.raises(BadRun, match="no rate can be told"):
        throughput_of([str(EXAMPLE_RUN)], ThroughputQuestion(0.01, None, ("cache.t3.micro",)))


@pytest.mark.usefixtures("quick")
def test_runs_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="no such run"):
        throughput_of([str(tmp_path / "none")], ThroughputQuestion(5.0, None, ()))
