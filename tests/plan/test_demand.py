"""Demand files: what is read, and every way in which one can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_inputs import EXAMPLE, as_toml, changed
from pydantic import TypeAdapter, ValidationError

from amply_capacity.errors import BadDemand
from amply_capacity.interval import Interval
from amply_capacity.plan.demand import Demand, Failures, load_demand
from amply_capacity.plan.quantity import Amount

Demands = Callable[..., Demand]


def faults_of(tmp_path: Path, changes: dict[str, object]) -> str:
    file = tmp_path / "demand.toml"
    file.write_text(as_toml(changed(changes)))
    with pytest.raises(BadDemand) as caught:
        load_demand(file)
    return str(caught.value)


def test_the_example_is_todays_cluster_of_the_specification() -> None:
    demand = load_demand(EXAMPLE)
    cluster = demand.cluster
    assert (cluster.engine, cluster.node_type, cluster.replicas) == ("redis", "cache.t3.micro", 0)
    assert demand.plan.horizon_months == 36
    assert demand.connections.pool_size == Interval.exact(20)


def test_a_number_is_known_and_a_table_is_an_interval(demand: Demands) -> None:
    read = demand({"users.registered": 1_000, "users.sessions_per_user": {"low": 1, "mid": 2, "high": 4.5}})
    assert read.users.registered == Interval.exact(1_000)
    assert read.users.sessions_per_user == Interval(1, 2, 4.5, 0.9)


def test_what_may_be_left_out_takes_its_prior(demand: Demands) -> None:
    read = demand({"failures": None, "plan": None, "allowed": None, "connections.pool_size": None})
    assert read.failures == Failures()
    assert read.failures.per_node_year == Interval(0.05, 0.3, 2)
    assert read.allowed.allows("cache.r7g.large")
    assert read.connections.pool_size.mid == 20


def test_the_file_reads_back_from_its_own_json(demand: Demands, tmp_path: Path) -> None:
    first = demand()
    again = tmp_path / "again.toml"
    again.write_text(as_toml(first.as_json()))
    assert load_demand(again) == first


def test_all_faults_are_told_at_once_each_with_its_path(tmp_path: Path) -> None:
    message = faults_of(tmp_path, {
        "users.registered": None,
        "users.registred": 10,
        "users.growth_percent_per_month": {"low": 9, "mid": 8, "high": 12},
        "users.sessions_per_user": {"low": 1, "mid": 2, "high": 3, "confidence": 1.5},
        "activity.touches_per_request": -1,
        "activity.peak_to_mean": 0.5,
        "connections.tasks": "three",
        "connections.grow_with_users": 1,
        "cluster.region": "us-esat-1",
        "cluster.engine": "reddis",
        "cluster.node_type": "cache.t3.mirco",
        "cluster.term": "2yr_no",
        "slo.p99_ms": {"sessions": 5, "rate_limit": 3, "cache": 5, "celery_result": 5},
        "money.usd_per_lost_session": {"low": 1, "mid": 2},
        "monye": {"x": 1},
        "plan.horizon_months": 24.5,
        "plan.confidence": 1.0,
    })
    for fault in (
        "has 18 faults",
        "users.registered: missing",
        "users.registred: unknown key (nearest: registered)",
        "users.growth_percent_per_month: low <= mid <= high does not hold: 9, 8, 12",
        "users.sessions_per_user: confidence must lie between 0 and 1, got 1.5",
        "activity.touches_per_request: must be at least 0, got -1",
        "activity.peak_to_mean: must be at least 1, got 0.5",
        "connections.tasks: must be a number, got 'three'",
        "connections.grow_with_users:",
        "cluster.region: unknown region 'us-esat-1' (nearest: ",
        "us-east-1",
        "cluster.engine: unknown engine 'reddis' (nearest: redis",
        "cluster.node_type: unknown node type 'cache.t3.mirco' (nearest: cache.t3.micro",
        "cluster.term: unknown term '2yr_no' (nearest: ",
        "slo.p99_ms.celery_results: missing",
        "slo.p99_ms.celery_result: unknown key (nearest: celery_results)",
        "money.usd_per_lost_session: high is missing",
        "monye: unknown key (nearest: money)",
        "plan.horizon_months:",
        "plan.confidence:",
    ):
        assert fault in message


def test_names_that_exist_but_not_together_are_a_fault(tmp_path: Path) -> None:
    message = faults_of(tmp_path, {"cluster.node_type": "cache.r8g.large"})
    assert "cluster: cache.r8g.large is not offered for redis" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), True, "12", [1], 10**400])
def test_no_quantity_is_infinite_or_no_number(tmp_path: Path, value: object) -> None:
    assert "users.registered: must be" in faults_of(tmp_path, {"users.registered": value})


def test_a_number_where_a_table_belongs_is_a_fault(tmp_path: Path) -> None:
    assert "users: must be a table, got 5" in faults_of(tmp_path, {"users": 5})
    assert "cluster: must be a table, got 5" in faults_of(tmp_path, {"cluster": 5})


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "demand.toml"
    file.write_text("[users]\nregistered = \n")
    with pytest.raises(BadDemand, match="line 2"):
        load_demand(file)


def test_a_file_that_is_not_there_a_directory_or_binary_is_one_paragraph(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    missing = tmp_path / "none.toml"
    for path, what in ((missing, "no such demand file"), (tmp_path, "directory"), (binary, "not UTF-8")):
        with pytest.raises(BadDemand, match=what) as caught:
            load_demand(path)
        assert "\n" not in str(caught.value)
        assert "Do: " in str(caught.value)


def test_an_empty_file_misses_every_table_that_has_no_default(tmp_path: Path) -> None:
    file = tmp_path / "demand.toml"
    file.write_text("")
    with pytest.raises(BadDemand) as caught:
        load_demand(file)
    for table in ("cluster", "users", "organisations", "activity", "connections", "slo", "money"):
        assert f"{table}: missing" in str(caught.value)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["low", "mid", "high", "x"]), inner),
    max_leaves=6,
))
def test_no_value_of_a_quantity_ends_in_anything_but_an_interval_or_a_fault(value: object) -> None:
    try:
        read = TypeAdapter(Amount).validate_python(value)
    except ValidationError as error:
        told = error.errors()[0]["msg"]
    else:
        assert 0 <= read.low <= read.mid <= read.high <= 1e12
        return
    assert any(word in told for word in ("must be", "missing", "does not hold", "unknown key")), told
